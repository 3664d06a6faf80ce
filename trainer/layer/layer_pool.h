/* layer_pool - what MaxPooling and AveragePooling share, of sequences and images.
 *
 * A sequence is an image with one row.
 *
 * Owns, Threads, Errors, Lifetime: as layer.h.
 */
#ifndef TRAINER_LAYER_LAYER_POOL_H
#define TRAINER_LAYER_LAYER_POOL_H

#include "trainer/layer/layer.h"

struct layer_pool {
    LAYER_FIELDS
    struct opt_ints pool_size, strides;
    int padding, data_format;
};
extern const struct opt_name layer_pool_paddings[];

// clang-format off
/* axes: 1 or 2. */
#define LAYER_POOL_ROWS(axes, default_size, size_flags) \
    LAYER_ROWS(layer_pool), \
    OPT_INTS_ROW(layer_pool, pool_size, default_size, axes, axes, 1, 1 << 16, "Sizes of the window.", .flags = (size_flags)), \
    OPT_INTS_ROW(layer_pool, strides, NULL, axes, axes, 1, 1 << 16, "Steps of the window; its size if none are given.", .flags = OPT_NULLABLE), \
    OPT_ENUM_ROW(layer_pool, padding, KERNEL_PAD_VALID, layer_pool_paddings, "Whether the border is padded."), \
    LAYER_FORMAT_ROW(layer_pool)
// clang-format on

int layer_pool_infer(struct layer *layer, struct err *err);
int layer_pool_prepare(struct layer *layer, enum kernel_pool_kind kind,
                       const struct layer_setup *setup, struct err *err);
void layer_pool_forward(struct layer *layer, const struct layer_call *call);
void layer_pool_backward(struct layer *layer, const struct layer_call *call);
void layer_pool_destroy(struct layer *layer);

#endif
