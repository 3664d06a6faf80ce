/* rebatch - batches of another size. */
#include "pipeline/derive.h"

extern const struct stage_desc stage_rebatch;

static const struct opt options[] = {
    OPT_I64_ROW(stage_batch, batch_size, 32, 1, 1 << 20, "Rows of a batch.", .flags = OPT_REQUIRED),
    OPT_BOOL_ROW(stage_batch, drop_remainder, false, "Leave out a last batch that is not full."),
    OPT_END_ROW,
};

static int derive(const struct stage *stage, struct derive *derive, struct source *ret,
                  struct err *err)
{
    (void)stage;
    return derive_rows(derive, 1, 1, ret, err);
}

const struct stage_desc stage_rebatch = {
    .name = "rebatch",
    .summary = "Puts the rows of batches into batches of another size.",
    .options = options,
    .ctx_size = sizeof(struct stage_batch),
    .shorthand = "batch_size",
    .kind = STAGE_BATCH,
    .derive = derive,
};
