/* layer_conv - what the layers share that move a window over a sequence or an image: Conv1D,
 * Conv2D, DepthwiseConv1D, DepthwiseConv2D.
 *
 * Owns, Threads, Lifetime: as layer.h.
 * Errors: ERR_INVALID, ERR_SHAPE, ERR_LIMIT, the path below the layer's options.
 *
 * A sequence is an image with one row.
 */
#ifndef TRAINER_LAYER_LAYER_CONV_H
#define TRAINER_LAYER_LAYER_CONV_H

#include "trainer/layer/layer_weights.h"

/* A field `window` of the options, with the rows below. */
struct layer_conv {
    struct opt_ints kernel_size, strides, dilation_rate;
    int padding, data_format;
};
// clang-format off
#define LAYER_CONV_INTS(S, f, axes, h, ...) \
    { .name = #f, .help = (h), .type = OPT_INTS, .offset = OPT_FIELD(S, window.f, struct opt_ints), \
      .min_n = (axes), .max_n = (axes), .min = 1, .max = 1 << 16, ##__VA_ARGS__ }
#define LAYER_CONV_NAME(S, f, d, table, h, ...) \
    { .name = #f, .help = (h), .type = OPT_ENUM, .offset = OPT_FIELD(S, window.f, int), .def = (d), .names = (table), ##__VA_ARGS__ }
/* axes: 1 or 2, ones: as many, "[1,1]". */
#define LAYER_CONV_ROWS(S, axes, ones, paddings) \
    LAYER_CONV_INTS(S, kernel_size, axes, "Sizes of the window.", .flags = OPT_REQUIRED), \
    LAYER_CONV_INTS(S, strides, axes, "Steps of the window.", .def_str = (ones)), \
    LAYER_CONV_NAME(S, padding, KERNEL_PAD_VALID, paddings, "Whether the border is padded."), \
    LAYER_CONV_NAME(S, data_format, 0, layer_formats, "The order of the axes; channels stand last.", .flags = OPT_NULLABLE), \
    LAYER_CONV_INTS(S, dilation_rate, axes, "Distance of the window's cells.", .def_str = (ones))
// clang-format on
enum { LAYER_PAD_CAUSAL = KERNEL_PAD_SAME + 1 }; /* all of it before the sequence */
extern const struct opt_name layer_conv_paddings[];
extern const struct opt_name layer_causal_paddings[];

/* Conv1D, Conv2D. */
struct layer_convolution {
    LAYER_FIELDS
    int64_t filters, groups;
    struct layer_conv window;
    struct layer_weights weights;
};
// clang-format off
#define LAYER_CONVOLUTION_ROWS(axes, ones, paddings) \
    LAYER_ROWS(layer_convolution), \
    OPT_I64_ROW(layer_convolution, filters, 1, 1, 1 << 24, "Channels of the output.", .flags = OPT_REQUIRED), \
    LAYER_CONV_ROWS(layer_convolution, axes, ones, paddings), \
    OPT_I64_ROW(layer_convolution, groups, 1, 1, 1 << 24, "Groups of channels that do not see each other."), \
    LAYER_WEIGHTS_ROWS(layer_convolution, "kernel")
// clang-format on
int layer_convolution_infer(struct layer *layer, struct arena *arena, struct err *err);
int layer_convolution_prepare(struct layer *layer, const struct layer_setup *setup,
                              struct err *err);

/* DepthwiseConv1D, DepthwiseConv2D. */
struct layer_depthwise {
    LAYER_FIELDS
    int64_t depth_multiplier;
    struct layer_conv window;
    struct layer_weights weights;
};
// clang-format off
#define LAYER_DEPTHWISE_ROWS(axes, ones) \
    LAYER_ROWS(layer_depthwise), \
    LAYER_CONV_ROWS(layer_depthwise, axes, ones, layer_conv_paddings), \
    OPT_I64_ROW(layer_depthwise, depth_multiplier, 1, 1, 1 << 16, "Channels of the output for each of the input."), \
    LAYER_WEIGHTS_ROWS(layer_depthwise, "depthwise")
// clang-format on
int layer_depthwise_infer(struct layer *layer, struct arena *arena, struct err *err);
int layer_depthwise_prepare(struct layer *layer, const struct layer_setup *setup, struct err *err);

/* For the others of the family. What rows cannot say. */
int layer_conv_check(const struct layer *layer, const struct layer_conv *window, struct err *err);
/* desc has k, groups and has_bias; the rest is filled in from window and input. */
int layer_conv_desc(const struct layer *layer, const struct layer_conv *window,
                    struct kernel_conv_desc *desc, struct err *err);
void layer_conv_forward(struct layer *layer, const struct layer_call *call);
void layer_conv_backward(struct layer *layer, const struct layer_call *call);
void layer_conv_destroy(struct layer *layer);

#endif
