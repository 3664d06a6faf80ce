static const struct opt rows[] = {
    OPT_I64_ROW(two, n, 1, 0, 9, "How many."),
    OPT_END_ROW,
};
const struct op_desc op_two = {
    .name = "Two",
    .help = "Does two things at once.",
};
const struct op_desc op_three = {
    .name = "Two",
    .help = "Does another thing.",
};
