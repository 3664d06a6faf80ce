/* prefetch - how many batches are made ahead of need. */
#include "pipeline/stage.h"

extern const struct stage_desc stage_prefetch;

static const struct opt_name autotune[] = {{"AUTOTUNE", 0}, {NULL, 0}};
static const struct opt options[] = {
    OPT_I64_ROW(stage_prefetch, buffer_size, 0, -1, 4096,
                "Batches ahead; AUTOTUNE (0, -1) = chosen while running.", .names = autotune),
    OPT_I64_ROW(stage_prefetch, buffer_bytes, 0, 0, OPT_I64_MAX,
                "Instead of buffer_size: as many batches as take so many bytes, one at least.",
                .flags = OPT_NULLABLE),
    OPT_END_ROW,
};

const struct stage_desc stage_prefetch = {
    .name = "prefetch",
    .summary = "Makes batches ahead of need.",
    .options = options,
    .ctx_size = sizeof(struct stage_prefetch),
    .shorthand = "buffer_size",
    .kind = STAGE_PREFETCH,
};
