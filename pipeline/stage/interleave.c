/* interleave - rows of several elements in turns. */
#include "pipeline/derive.h"

extern const struct stage_desc stage_interleave;

struct interleave {
    int64_t cycle_length, block_length, num_parallel_calls;
    bool deterministic;
};
static const struct opt_name autotune[] = {{"AUTOTUNE", -1}, {NULL, 0}};
static const struct opt options[] = {
    OPT_I64_ROW(interleave, cycle_length, 2, 1, 1 << 20, "Elements that take turns."),
    OPT_I64_ROW(interleave, block_length, 1, 1, INT32_MAX, "Rows of an element a turn."),
    OPT_I64_ROW(interleave, num_parallel_calls, -1, -1, OPT_I64_MAX,
                "Accepted; resources.workers decides.", .names = autotune,
                .flags = OPT_NULLABLE | OPT_IGNORED),
    OPT_BOOL_ROW(interleave, deterministic, true, "Accepted; it always is.",
                 .flags = OPT_NULLABLE | OPT_IGNORED),
    OPT_END_ROW,
};

static int derive(const struct stage *stage, struct derive *derive, struct source *ret,
                  struct err *err)
{
    const struct interleave *k = stage->ctx;
    return derive_rows(derive, k->cycle_length, k->block_length, ret, err);
}

const struct stage_desc stage_interleave = {
    .name = "interleave",
    .summary = "Each row of an element becomes an element; `cycle_length` elements take turns of "
               "`block_length` rows: tf.data's `interleave` with `from_tensor_slices`.",
    .options = options,
    .ctx_size = sizeof(struct interleave),
    .kind = STAGE_DERIVE,
    .derive = derive,
};
