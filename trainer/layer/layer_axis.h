/* layer_axis - layers whose rows run along another axis than the last.
 *
 * Owns:     nothing.
 * Threads:  reentrant.
 * Errors:   ERR_INVALID, ERR_RANGE with the path "axis".
 * Lifetime: none.
 *
 * An axis is counted without the batch: Keras's axis 1 is 0 here.
 */
#ifndef TRAINER_LAYER_LAYER_AXIS_H
#define TRAINER_LAYER_LAYER_AXIS_H

#include "base/doc.h"
#include "base/tensor.h"

/* Keras's axis (a number, from the end if negative; or a list of one) of a sample; NULL: the last.
 */
int layer_axis_read(const struct doc *doc, const struct shape *shape, int *ret, struct err *err);
/* The same of a number. */
int layer_axis_find(int64_t axis, const struct shape *shape, int *ret, struct err *err);
/* (rows, outer, axis, inner) to (rows, outer, inner, axis), and back. from and to do not overlap.
 */
void layer_axis_to_last(const struct shape *shape, int axis, int64_t rows, const float *from,
                        float *to);
void layer_axis_from_last(const struct shape *shape, int axis, int64_t rows, const float *from,
                          float *to);

#endif
