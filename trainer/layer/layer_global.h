/* layer_global - what GlobalAveragePooling and GlobalMaxPooling share, of one to three axes.
 *
 * Owns, Threads, Errors, Lifetime: as layer.h.
 */
#ifndef TRAINER_LAYER_LAYER_GLOBAL_H
#define TRAINER_LAYER_LAYER_GLOBAL_H

#include "trainer/layer/layer.h"

struct layer_global {
    LAYER_FIELDS
    int data_format;
    bool keepdims;
};
// clang-format off
#define LAYER_GLOBAL_ROWS() \
    LAYER_ROWS(layer_global), \
    LAYER_FORMAT_ROW(layer_global), \
    OPT_BOOL_ROW(layer_global, keepdims, false, "Whether the axes stay, as ones.")
// clang-format on

/* axes: those before the channels. */
int layer_global_infer(struct layer *layer, int axes, struct err *err);
void layer_global_average_forward(struct layer *layer, const struct layer_call *call);
void layer_global_average_backward(struct layer *layer, const struct layer_call *call);
int layer_global_max_infer(struct layer *layer, int axes, struct err *err);
void layer_global_max_forward(struct layer *layer, const struct layer_call *call);
void layer_global_max_backward(struct layer *layer, const struct layer_call *call);

#endif
