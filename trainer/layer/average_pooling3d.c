#include "trainer/layer/layer_pool3d.h"

static const struct opt options[] = {
    LAYER_POOL_ROWS(3, NULL, OPT_REQUIRED),
    OPT_END_ROW,
};

const struct layer_desc layer_average_pooling3d = {
    .name = "AveragePooling3D",
    .aliases = "AveragePool3D",
    .summary = "The mean of each window of a volume, without its cells outside of it.",
    .options = options,
    .size = sizeof(struct layer_pool),
    .infer = layer_pool3d_infer,
    .forward = layer_pool3d_average_forward,
    .backward = layer_pool3d_average_backward,
};
