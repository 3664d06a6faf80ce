/* layer_pool3d - what MaxPooling3D and AveragePooling3D share.
 *
 * Owns, Threads, Errors, Lifetime: as layer.h.
 */
#ifndef TRAINER_LAYER_LAYER_POOL3D_H
#define TRAINER_LAYER_LAYER_POOL3D_H

#include "trainer/layer/layer_pool.h"

int layer_pool3d_infer(struct layer *layer, struct arena *arena, struct err *err);
/* Keeps the place of each maximum for backward. */
int layer_pool3d_max_prepare(struct layer *layer, const struct layer_setup *setup, struct err *err);
void layer_pool3d_max_forward(struct layer *layer, const struct layer_call *call);
void layer_pool3d_max_backward(struct layer *layer, const struct layer_call *call);
void layer_pool3d_average_forward(struct layer *layer, const struct layer_call *call);
void layer_pool3d_average_backward(struct layer *layer, const struct layer_call *call);

#endif
