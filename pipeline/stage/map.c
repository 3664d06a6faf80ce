/* map - operations on each sample, in their order. */
#include "pipeline/stage.h"

extern const struct stage_desc stage_map;

static const struct opt_name autotune[] = {{"AUTOTUNE", -1}, {NULL, 0}};
static const struct opt options[] = {
    OPT_DOC_ROW(stage_map, ops, "A list of operations: [{Rescaling: {scale: 0.5}}, RandomFlip].",
                .flags = OPT_REQUIRED),
    OPT_BOOL_ROW(stage_map, exact, false,
                 "Run each operation by itself, as Keras does: neighbours are not fused."),
    OPT_STRS_ROW(stage_map, fields,
                 "Names of the fields to work on. Without: every image; where there is none, every "
                 "audio and numeric field; where there is none either, every text."),
    OPT_STR_ROW(stage_map, into, NULL,
                "Name of a new field: what an operation of several fields makes of them (without: "
                "x), or a copy of the one field, for the operations to work on.",
                .flags = OPT_NULLABLE),
    OPT_BOOL_ROW(stage_map, keep, false, "Keeps the fields that were joined into one."),
    OPT_I64_ROW(stage_map, num_parallel_calls, -1, -1, OPT_I64_MAX,
                "Accepted; resources.workers decides.", .names = autotune,
                .flags = OPT_NULLABLE | OPT_IGNORED),
    OPT_BOOL_ROW(stage_map, deterministic, true, "Accepted; it always is.",
                 .flags = OPT_NULLABLE | OPT_IGNORED),
    OPT_END_ROW,
};

const struct stage_desc stage_map = {
    .name = "map",
    .summary = "Applies operations to each sample.",
    .options = options,
    .ctx_size = sizeof(struct stage_map),
    .shorthand = "ops",
    .kind = STAGE_MAP,
};
