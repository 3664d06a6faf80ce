static const struct opt rows[] = {
    OPT_I64_ROW(bare_option, n, 1, 0, 9, ""),
    OPT_END_ROW,
};
const struct op_desc op_bare_option = {
    .name = "BareOption",
    .help = "Does a thing in silence.",
};
