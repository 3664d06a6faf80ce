/* layer_act - an activation as Keras's documents name it: elementwise, or over the last axis.
 *
 * Owns:     nothing.
 * Threads:  plain values.
 * Errors:   ERR_UNKNOWN with the nearest name, ERR_INVALID.
 * Lifetime: none.
 */
#ifndef TRAINER_LAYER_LAYER_ACT_H
#define TRAINER_LAYER_LAYER_ACT_H

#include "base/doc.h"
#include "base/err.h"
#include "trainer/kernel/kernel.h"

/* {0} is linear. */
struct layer_act {
    bool over_rows; /* softmax and its like */
    enum kernel_rows_kind rows_kind;
    struct kernel_act act;
};

/* "relu", or Keras's {class_name: ReLU, config: {...}}; NULL or null: linear. */
int layer_act_read(const struct doc *doc, struct layer_act *ret, struct err *err);
bool layer_act_is_linear(const struct layer_act *act);
bool layer_act_is(const struct layer_act *act, enum kernel_rows_kind kind);
/* cols: the last axis. */
void layer_act_forward(const struct kernel_backend *backend, const struct layer_act *act,
                       size_t rows, size_t cols, const float *x, float *y);
/* x is read unless the activation is over rows or from its output. */
void layer_act_backward(const struct kernel_backend *backend, const struct layer_act *act,
                        size_t rows, size_t cols, const float *x, const float *y, const float *dy,
                        float *dx);
bool layer_act_needs_x(const struct layer_act *act);

#endif
