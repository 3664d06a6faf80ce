#include "trainer/layer/layer_conv.h"

static const struct opt options[] = {
    LAYER_CONVOLUTION_ROWS(2, "[1,1]", layer_conv_paddings),
    OPT_END_ROW,
};

const struct layer_desc layer_conv2d = {
    .name = "Conv2D",
    .aliases = "Convolution2D",
    .summary = "Convolution of an image with windows of weights.",
    .options = options,
    .size = sizeof(struct layer_convolution),
    .infer = layer_convolution_infer,
    .prepare = layer_convolution_prepare,
    .forward = layer_conv_forward,
    .backward = layer_conv_backward,
    .destroy = layer_conv_destroy,
};
