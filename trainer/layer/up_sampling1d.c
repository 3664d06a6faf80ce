#include "trainer/layer/layer_repeat.h"

struct up_sampling1d {
    LAYER_FIELDS
    int64_t size;
};

static const struct opt options[] = {
    LAYER_ROWS(up_sampling1d),
    OPT_I64_ROW(up_sampling1d, size, 2, 1, 1 << 16, "How often each is repeated."),
    OPT_END_ROW,
};

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    const struct up_sampling1d *o = layer->options;
    int64_t size[] = {o->size};
    return layer_repeat_infer(layer, &(struct opt_ints){.n = 1, .v = size}, arena, err);
}

const struct layer_desc layer_up_sampling1d = {
    .name = "UpSampling1D",
    .summary = "The steps of a sequence are repeated.",
    .options = options,
    .size = sizeof(struct up_sampling1d),
    .infer = infer,
    .forward = layer_repeat_forward,
    .backward = layer_repeat_backward,
};
