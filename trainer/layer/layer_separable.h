/* layer_separable - what SeparableConv1D and SeparableConv2D share: a depthwise convolution and one
 * of single cells.
 *
 * Owns, Threads, Lifetime: as layer.h.
 * Errors:   as layer_conv.
 */
#ifndef TRAINER_LAYER_LAYER_SEPARABLE_H
#define TRAINER_LAYER_LAYER_SEPARABLE_H

#include "trainer/layer/layer_conv.h"

struct layer_separable {
    LAYER_FIELDS
    int64_t filters, depth_multiplier;
    struct layer_conv window;
    struct layer_weights weights; /* the kernel's are the depthwise one's */
    const struct doc *pointwise_initializer, *pointwise_regularizer, *pointwise_constraint;
};
// clang-format off
#define LAYER_SEPARABLE_ROWS(axes, ones) \
    LAYER_ROWS(layer_separable), \
    OPT_I64_ROW(layer_separable, filters, 1, 1, 1 << 24, "Channels of the output.", .flags = OPT_REQUIRED), \
    LAYER_CONV_ROWS(layer_separable, axes, ones, layer_conv_paddings), \
    OPT_I64_ROW(layer_separable, depth_multiplier, 1, 1, 1 << 16, "Channels between for each of the input."), \
    LAYER_WEIGHTS_ROWS(layer_separable, "depthwise"), \
    OPT_DOC_ROW(layer_separable, pointwise_initializer, "First values of the pointwise kernel.", .flags = OPT_NULLABLE), \
    OPT_DOC_ROW(layer_separable, pointwise_regularizer, "Not supported yet.", .flags = OPT_NULLABLE), \
    OPT_DOC_ROW(layer_separable, pointwise_constraint, "Not supported yet.", .flags = OPT_NULLABLE)
// clang-format on

int layer_separable_infer(struct layer *layer, struct arena *arena, struct err *err);
int layer_separable_prepare(struct layer *layer, const struct layer_setup *setup, struct err *err);
void layer_separable_forward(struct layer *layer, const struct layer_call *call);
void layer_separable_backward(struct layer *layer, const struct layer_call *call);
void layer_separable_destroy(struct layer *layer);

#endif
