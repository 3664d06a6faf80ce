/* labels - numbers of any type as the floats or class numbers that losses and metrics take.
 *
 * Owns:     nothing.
 * Threads:  pure functions.
 * Errors:   labels_to_classes: ERR_RANGE, path "y", with row and value.
 * Lifetime: none.
 */
#ifndef TRAINER_LOSS_LABELS_H
#define TRAINER_LOSS_LABELS_H

#include "base/tensor.h"

struct labels_classes {
    int64_t n_classes;
    bool ignores; /* whether `ignored` is taken, and becomes -1 */
    int64_t ignored;
};

/* Returns how many of the labels are not ignored. */
int64_t labels_to_classes(enum dtype dtype, const void *labels, size_t count,
                          const struct labels_classes *classes, int32_t *ret, struct err *err);
void labels_to_floats(enum dtype dtype, const void *labels, size_t count, float *ret);

#endif
