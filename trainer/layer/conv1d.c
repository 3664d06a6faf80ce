#include "trainer/layer/layer_conv.h"

static const struct opt options[] = {
    LAYER_CONVOLUTION_ROWS(1, "[1]", layer_causal_paddings),
    OPT_END_ROW,
};

const struct layer_desc layer_conv1d = {
    .name = "Conv1D",
    .aliases = "Convolution1D",
    .summary = "Convolution of a sequence with windows of weights.",
    .options = options,
    .size = sizeof(struct layer_convolution),
    .infer = layer_convolution_infer,
    .prepare = layer_convolution_prepare,
    .forward = layer_conv_forward,
    .backward = layer_conv_backward,
    .destroy = layer_conv_destroy,
};
