/* layer_merge - what the layers share that make one tensor of several, value by value.
 *
 * Owns, Threads, Errors, Lifetime: as layer.h.
 *
 * Axes of size 1 are stretched to the others' size.
 */
#ifndef TRAINER_LAYER_LAYER_MERGE_H
#define TRAINER_LAYER_LAYER_MERGE_H

#include "trainer/layer/layer.h"

enum layer_merge_op {
    LAYER_MERGE_ADD,
    LAYER_MERGE_SUBTRACT,
    LAYER_MERGE_MULTIPLY,
    LAYER_MERGE_AVERAGE,
    LAYER_MERGE_MAXIMUM,
    LAYER_MERGE_MINIMUM,
};
enum { LAYER_MERGE_MAX = 64 };

struct layer_merge {
    LAYER_FIELDS
};
extern const struct opt layer_merge_options[];

bool layer_merge_takes(struct layer *layer, const struct kernel_act *act);
int layer_merge_infer(struct layer *layer, struct arena *arena, struct err *err);
void layer_merge_forward(enum layer_merge_op op, struct layer *layer,
                         const struct layer_call *call);
void layer_merge_backward(enum layer_merge_op op, struct layer *layer,
                          const struct layer_call *call);

#endif
