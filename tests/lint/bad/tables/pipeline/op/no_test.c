static const struct opt rows[] = {
    OPT_I64_ROW(no_test, n, 1, 0, 9, "How many."),
    OPT_END_ROW,
};
const struct op_desc op_no_test = {
    .name = "NoTest",
    .help = "Does a thing untested.",
};
