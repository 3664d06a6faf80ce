/* layer_conv_transpose - what Conv1DTranspose and Conv2DTranspose share: the gradient of a
 * convolution as a layer.
 *
 * Owns, Threads, Lifetime: as layer.h.
 * Errors:   ERR_INVALID, ERR_SHAPE, ERR_RANGE, the path below the layer's options.
 */
#ifndef TRAINER_LAYER_LAYER_CONV_TRANSPOSE_H
#define TRAINER_LAYER_LAYER_CONV_TRANSPOSE_H

#include "trainer/layer/layer_conv.h"

struct layer_conv_transpose {
    LAYER_FIELDS
    int64_t filters;
    struct opt_ints output_padding;
    struct layer_conv window;
    struct layer_weights weights;
};
// clang-format off
#define LAYER_CONV_TRANSPOSE_ROWS(axes, ones) \
    LAYER_ROWS(layer_conv_transpose), \
    OPT_I64_ROW(layer_conv_transpose, filters, 1, 1, 1 << 24, "Channels of the output.", .flags = OPT_REQUIRED), \
    LAYER_CONV_ROWS(layer_conv_transpose, axes, ones, layer_conv_paddings), \
    OPT_INTS_ROW(layer_conv_transpose, output_padding, NULL, axes, axes, 0, 1 << 16, \
                 "Cells that the output has beyond the least size; below the strides.", .flags = OPT_NULLABLE), \
    LAYER_WEIGHTS_ROWS(layer_conv_transpose, "kernel")
// clang-format on

int layer_conv_transpose_infer(struct layer *layer, struct arena *arena, struct err *err);
int layer_conv_transpose_prepare(struct layer *layer, const struct layer_setup *setup,
                                 struct err *err);
void layer_conv_transpose_forward(struct layer *layer, const struct layer_call *call);
void layer_conv_transpose_backward(struct layer *layer, const struct layer_call *call);

#endif
