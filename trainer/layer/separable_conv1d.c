#include "trainer/layer/layer_separable.h"

static const struct opt options[] = {
    LAYER_SEPARABLE_ROWS(1, "[1]"),
    OPT_END_ROW,
};

const struct layer_desc layer_separable_conv1d = {
    .name = "SeparableConv1D",
    .aliases = "SeparableConvolution1D",
    .summary = "A convolution of each channel, then one that mixes channels.",
    .options = options,
    .size = sizeof(struct layer_separable),
    .infer = layer_separable_infer,
    .prepare = layer_separable_prepare,
    .forward = layer_separable_forward,
    .backward = layer_separable_backward,
    .destroy = layer_separable_destroy,
};
