#include "trainer/layer/layer_conv.h"

static const struct opt options[] = {
    LAYER_DEPTHWISE_ROWS(2, "[1,1]"),
    OPT_END_ROW,
};

const struct layer_desc layer_depthwise_conv2d = {
    .name = "DepthwiseConv2D",
    .aliases = "DepthwiseConvolution2D",
    .summary = "Convolution of each channel with windows of its own.",
    .options = options,
    .size = sizeof(struct layer_depthwise),
    .infer = layer_depthwise_infer,
    .prepare = layer_depthwise_prepare,
    .forward = layer_conv_forward,
    .backward = layer_conv_backward,
    .destroy = layer_conv_destroy,
};
