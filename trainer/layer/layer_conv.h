/* layer_conv - what the layers share that move a window over an image: Conv2D, DepthwiseConv2D.
 *
 * Owns, Threads, Lifetime: as layer.h.
 * Errors: ERR_INVALID, ERR_SHAPE, the path below the layer's options.
 */
#ifndef TRAINER_LAYER_LAYER_CONV_H
#define TRAINER_LAYER_LAYER_CONV_H

#include "trainer/layer/layer.h"

/* A field `window` of the options, with the rows below. */
struct layer_conv {
    struct opt_ints kernel_size, strides, dilation_rate;
    int padding, data_format;
};
// clang-format off
#define LAYER_CONV_INTS(S, f, h, ...) \
    { .name = #f, .help = (h), .type = OPT_INTS, .offset = OPT_FIELD(S, window.f, struct opt_ints), \
      .min_n = 2, .max_n = 2, .min = 1, .max = 1 << 16, ##__VA_ARGS__ }
#define LAYER_CONV_NAME(S, f, d, table, h, ...) \
    { .name = #f, .help = (h), .type = OPT_ENUM, .offset = OPT_FIELD(S, window.f, int), .def = (d), .names = (table), ##__VA_ARGS__ }
#define LAYER_CONV_ROWS(S) \
    LAYER_CONV_INTS(S, kernel_size, "Height and width of the window.", .flags = OPT_REQUIRED), \
    LAYER_CONV_INTS(S, strides, "Steps of the window.", .def_str = "[1,1]"), \
    LAYER_CONV_NAME(S, padding, KERNEL_PAD_VALID, layer_conv_paddings, "Whether the border is padded."), \
    LAYER_CONV_NAME(S, data_format, 0, layer_formats, "The order of the axes; channels stand last.", .flags = OPT_NULLABLE), \
    LAYER_CONV_INTS(S, dilation_rate, "Distance of the window's cells.", .def_str = "[1,1]")
// clang-format on
extern const struct opt_name layer_conv_paddings[];

/* What rows cannot say; the input is an image. */
int layer_conv_check(const struct layer *layer, const struct layer_conv *window, struct err *err);
/* desc has k, groups and has_bias; the rest is filled in from window and input. */
int layer_conv_desc(const struct layer *layer, const struct layer_conv *window,
                    struct kernel_conv_desc *desc, struct err *err);
/* What infer says but for the variables. */
void layer_conv_infer(struct layer *layer, const struct kernel_conv_desc *desc);
int layer_conv_prepare(struct layer *layer, const struct layer_setup *setup,
                       struct kernel_conv_desc *desc, struct err *err);
void layer_conv_forward(struct layer *layer, const struct layer_call *call);
void layer_conv_backward(struct layer *layer, const struct layer_call *call);
void layer_conv_destroy(struct layer *layer);

#endif
