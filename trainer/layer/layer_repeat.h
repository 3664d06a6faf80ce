/* layer_repeat - what UpSampling1D to 3D share: cells that are repeated along one to three axes.
 *
 * Owns, Threads, Errors, Lifetime: as layer.h.
 */
#ifndef TRAINER_LAYER_LAYER_REPEAT_H
#define TRAINER_LAYER_LAYER_REPEAT_H

#include "trainer/layer/layer.h"

/* size: one number for each axis before the channels. */
int layer_repeat_infer(struct layer *layer, const struct opt_ints *size, struct arena *arena,
                       struct err *err);
void layer_repeat_forward(struct layer *layer, const struct layer_call *call);
void layer_repeat_backward(struct layer *layer, const struct layer_call *call);

#endif
