/* layer_margin - what ZeroPadding1D to 3D and Cropping1D to 3D share: cells around a sample that
 * are added or left out.
 *
 * Owns, Threads, Lifetime: as layer.h.
 * Errors:   ERR_INVALID with the option's path, ERR_SHAPE where nothing would be left.
 */
#ifndef TRAINER_LAYER_LAYER_MARGIN_H
#define TRAINER_LAYER_LAYER_MARGIN_H

#include "trainer/layer/layer.h"

struct layer_margin {
    LAYER_FIELDS
    const struct doc *padding, *cropping; /* one of them is an option */
    int data_format;
};

/* axes: 1 to 3, before the channels. The margin is a number, one for each axis, or a pair for each.
 */
int layer_padding_infer(struct layer *layer, int axes, int64_t fallback, struct arena *arena,
                        struct err *err);
int layer_cropping_infer(struct layer *layer, int axes, int64_t fallback, struct arena *arena,
                         struct err *err);
void layer_padding_forward(struct layer *layer, const struct layer_call *call);
void layer_padding_backward(struct layer *layer, const struct layer_call *call);
void layer_cropping_forward(struct layer *layer, const struct layer_call *call);
void layer_cropping_backward(struct layer *layer, const struct layer_call *call);

#endif
