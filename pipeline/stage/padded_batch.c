/* padded_batch - batches of elements that are filled up to one shape. */
#include "pipeline/derive_batch.h"

extern const struct stage_desc stage_padded_batch;

struct padded_batch {
    struct stage_batch batch; /* what the compiler of streams reads */
    const struct doc *padded_shapes, *padding_values;
    bool lengths, masks;
};
static const struct opt options[] = {
    OPT_I64_ROW(stage_batch, batch_size, 32, 1, 1 << 20, "Rows of a batch.", .flags = OPT_REQUIRED),
    OPT_BOOL_ROW(stage_batch, drop_remainder, false, "Leave out a last batch that is not full."),
    OPT_DOC_ROW(padded_batch, padded_shapes,
                "The shape of each field, by name: {x: [28, 28, 1]}; -1 and fields left out: the "
                "longest of the batch, and of the data set where the trainer takes it.",
                .flags = OPT_NULLABLE),
    OPT_DOC_ROW(padded_batch, padding_values,
                "What fields are filled up with: a number, or one a field: {x: 255}. 0 without.",
                .flags = OPT_NULLABLE),
    OPT_BOOL_ROW(
        padded_batch, lengths, false,
        "Adds to each field x whose size is not the same in all elements the field `x_length`: its "
        "size before it was filled up, int64, one number for each axis that differs."),
    OPT_BOOL_ROW(padded_batch, masks, false,
                 "Adds to each such field x the field `x_mask` over these axes: uint8, 1 where "
                 "there is data and 0 where it was filled up."),
    OPT_END_ROW,
};

static int derive(const struct stage *stage, struct derive *derive, struct source *ret,
                  struct err *err)
{
    const struct padded_batch *k = stage->ctx;
    const struct derive_pad_options how = {k->padded_shapes, k->padding_values, k->lengths,
                                           k->masks};
    struct derive_pads *pads;
    int r = derive_measure(derive, &how, ret, err);
    r = r < 0 ? r : derive_pads_read(&how, &ret->spec, derive->pool->arena, &pads, err);
    if (r == 0) {
        derive->batch.pads = pads;
    }
    return r;
}

const struct stage_desc stage_padded_batch = {
    .name = "padded_batch",
    .summary = "Fills every field up to one shape, at the end of each axis, and puts `batch_size` "
               "elements into a batch.",
    .options = options,
    .ctx_size = sizeof(struct padded_batch),
    .shorthand = "batch_size",
    .kind = STAGE_BATCH,
    .flags = STAGE_IN_WINDOW,
    .derive = derive,
};
