/* layer_resample - an image to another size by weighted means of rows and of columns, and back:
 * UpSampling2D with an interpolation.
 *
 * Owns, Threads, Errors, Lifetime: as layer.h.
 *
 * The weights are those of pipeline/image/resize.h (tf.image.resize without antialias): what it
 * makes of single cells.
 */
#ifndef TRAINER_LAYER_LAYER_RESAMPLE_H
#define TRAINER_LAYER_LAYER_RESAMPLE_H

#include "trainer/layer/layer.h"

/* method: enum resize_method. The output's height and width are known; layer->kernel becomes ours.
 */
int layer_resample_infer(struct layer *layer, int method, struct arena *arena, struct err *err);
int layer_resample_prepare(struct layer *layer, const struct layer_setup *setup, struct err *err);
void layer_resample_forward(struct layer *layer, const struct layer_call *call);
void layer_resample_backward(struct layer *layer, const struct layer_call *call);

#endif
