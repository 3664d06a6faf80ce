static const struct opt rows[] = {
    OPT_I64_ROW(no_help, n, 1, 0, 9, "How many."),
    OPT_END_ROW,
};
const struct op_desc op_no_help = {
    .name = "NoHelp",
    .help = "",
};
