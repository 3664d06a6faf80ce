#include "trainer/layer/layer_noise.h"

static const struct opt options[] = {
    LAYER_RATE_ROWS(LAYER_NAME_ROWS, "The part of the channels that become 0."),
    OPT_END_ROW,
};

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    (void)arena;
    return layer_spatial_infer(layer, 2, err);
}

const struct layer_desc layer_spatial_dropout1d = {
    .name = "SpatialDropout1D",
    .summary = "In training a random part of the channels becomes 0, the rest grows by as much.",
    .options = options,
    .size = sizeof(struct layer_rate),
    .random = true,
    .infer = infer,
    .prepare = layer_spatial_prepare,
    .forward = layer_spatial_forward,
    .backward = layer_spatial_backward,
};
