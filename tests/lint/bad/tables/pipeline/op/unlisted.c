static const struct opt rows[] = {
    OPT_I64_ROW(unlisted, n, 1, 0, 9, "How many."),
    OPT_END_ROW,
};
const struct op_desc op_unlisted = {
    .name = "Unlisted",
    .help = "Does a thing unseen.",
};
