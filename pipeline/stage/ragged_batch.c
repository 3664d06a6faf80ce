/* ragged_batch - batches of elements of unlike sizes, with their sizes. */
#include "pipeline/derive_batch.h"

extern const struct stage_desc stage_ragged_batch;

struct ragged_batch {
    struct stage_batch batch; /* what the compiler of streams reads */
    bool masks;
};
static const struct opt options[] = {
    OPT_I64_ROW(stage_batch, batch_size, 32, 1, 1 << 20, "Rows of a batch.", .flags = OPT_REQUIRED),
    OPT_BOOL_ROW(stage_batch, drop_remainder, false, "Leave out a last batch that is not full."),
    OPT_BOOL_ROW(ragged_batch, masks, false,
                 "Adds to each such field x the field `x_mask` over these axes: uint8, 1 where "
                 "there is data and 0 where it was filled up."),
    OPT_END_ROW,
};

static int derive(const struct stage *stage, struct derive *derive, struct source *ret,
                  struct err *err)
{
    const struct ragged_batch *k = stage->ctx;
    const struct derive_pad_options how = {.lengths = true, .masks = k->masks};
    struct derive_pads *pads;
    int r = derive_measure(derive, &how, ret, err);
    r = r < 0 ? r : derive_pads_read(&how, &ret->spec, derive->pool->arena, &pads, err);
    if (r == 0) {
        derive->batch.pads = pads;
    }
    return r;
}

const struct stage_desc stage_ragged_batch = {
    .name = "ragged_batch",
    .summary = "Puts `batch_size` elements of unlike sizes into a batch. A field x whose size is "
               "not the same in all elements is filled up with 0 to the longest of the batch, and "
               "the field `x_length` has its sizes, one number for each axis that differs: what "
               "`to_tensor` and the row lengths of tf.data's ragged tensor are.",
    .options = options,
    .ctx_size = sizeof(struct ragged_batch),
    .shorthand = "batch_size",
    .kind = STAGE_BATCH,
    .flags = STAGE_IN_WINDOW,
    .derive = derive,
};
