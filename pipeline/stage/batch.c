/* batch - rows to a batch; the last one may be short. */
#include "pipeline/stage.h"

extern const struct stage_desc stage_batch;

static const struct opt_name autotune[] = {{"AUTOTUNE", -1}, {NULL, 0}};
static const struct opt options[] = {
    OPT_I64_ROW(stage_batch, batch_size, 32, 1, 1 << 20, "Rows of a batch."),
    OPT_BOOL_ROW(stage_batch, drop_remainder, false, "Leave out a last batch that is not full."),
    OPT_I64_ROW(stage_batch, num_parallel_calls, -1, -1, OPT_I64_MAX,
                "Accepted; resources.workers decides.", .names = autotune,
                .flags = OPT_NULLABLE | OPT_IGNORED),
    OPT_BOOL_ROW(stage_batch, deterministic, true, "Accepted; it always is.",
                 .flags = OPT_NULLABLE | OPT_IGNORED),
    OPT_END_ROW,
};

const struct stage_desc stage_batch = {
    .name = "batch",
    .summary = "Puts `batch_size` samples into a batch.",
    .options = options,
    .ctx_size = sizeof(struct stage_batch),
    .shorthand = "batch_size",
    .kind = STAGE_BATCH,
    .flags = STAGE_IN_WINDOW,
};
