#include "trainer/layer/layer_global.h"

static const struct opt options[] = {
    LAYER_GLOBAL_ROWS(),
    OPT_END_ROW,
};

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    (void)arena;
    return layer_global_infer(layer, 1, err);
}

const struct layer_desc layer_global_average_pooling1d = {
    .name = "GlobalAveragePooling1D",
    .aliases = "GlobalAvgPool1D",
    .summary = "The mean of each channel.",
    .options = options,
    .size = sizeof(struct layer_global),
    .infer = infer,
    .forward = layer_global_average_forward,
    .backward = layer_global_average_backward,
};
