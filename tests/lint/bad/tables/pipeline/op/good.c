static const struct opt rows[] = {
    OPT_I64_ROW(good, n, 1, 0, 9, "How many."),
    OPT_END_ROW,
};
const struct op_desc op_good = {
    .name = "Good",
    .help = "Does a good thing.",
};
