#include "trainer/layer/layer_pool3d.h"

static const struct opt options[] = {
    LAYER_POOL_ROWS(3, "[2,2,2]", 0),
    OPT_END_ROW,
};

const struct layer_desc layer_max_pooling3d = {
    .name = "MaxPooling3D",
    .aliases = "MaxPool3D",
    .summary = "The greatest number of each window of a volume.",
    .options = options,
    .size = sizeof(struct layer_pool),
    .infer = layer_pool3d_infer,
    .prepare = layer_pool3d_max_prepare,
    .forward = layer_pool3d_max_forward,
    .backward = layer_pool3d_max_backward,
};
