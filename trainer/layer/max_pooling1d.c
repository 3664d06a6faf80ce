#include "trainer/layer/layer_pool.h"

static const struct opt options[] = {
    LAYER_POOL_ROWS(1, "[2]", 0),
    OPT_END_ROW,
};

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    (void)arena;
    return layer_pool_infer(layer, err);
}

static int prepare(struct layer *layer, const struct layer_setup *setup, struct err *err)
{
    return layer_pool_prepare(layer, KERNEL_POOL_MAX, setup, err);
}

const struct layer_desc layer_max_pooling1d = {
    .name = "MaxPooling1D",
    .aliases = "MaxPool1D",
    .summary = "The greatest number of each window.",
    .options = options,
    .size = sizeof(struct layer_pool),
    .infer = infer,
    .prepare = prepare,
    .forward = layer_pool_forward,
    .backward = layer_pool_backward,
    .destroy = layer_pool_destroy,
};
