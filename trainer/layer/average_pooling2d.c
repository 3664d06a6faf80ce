#include "trainer/layer/layer_pool.h"

static const struct opt options[] = {
    LAYER_POOL_ROWS(2, NULL, OPT_REQUIRED),
    OPT_END_ROW,
};

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    (void)arena;
    return layer_pool_infer(layer, err);
}

static int prepare(struct layer *layer, const struct layer_setup *setup, struct err *err)
{
    return layer_pool_prepare(layer, KERNEL_POOL_AVERAGE, setup, err);
}

const struct layer_desc layer_average_pooling2d = {
    .name = "AveragePooling2D",
    .aliases = "AveragePool2D",
    .summary = "The mean of each window, without its cells outside of the image.",
    .options = options,
    .size = sizeof(struct layer_pool),
    .infer = infer,
    .prepare = prepare,
    .forward = layer_pool_forward,
    .backward = layer_pool_backward,
    .destroy = layer_pool_destroy,
};
