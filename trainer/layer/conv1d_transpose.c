#include "trainer/layer/layer_conv_transpose.h"

static const struct opt options[] = {
    LAYER_CONV_TRANSPOSE_ROWS(1, "[1]"),
    OPT_END_ROW,
};

const struct layer_desc layer_conv1d_transpose = {
    .name = "Conv1DTranspose",
    .aliases = "Convolution1DTranspose",
    .summary = "The transpose of a convolution: a sequence becomes larger.",
    .options = options,
    .size = sizeof(struct layer_conv_transpose),
    .infer = layer_conv_transpose_infer,
    .prepare = layer_conv_transpose_prepare,
    .forward = layer_conv_transpose_forward,
    .backward = layer_conv_transpose_backward,
    .destroy = layer_conv_destroy,
};
