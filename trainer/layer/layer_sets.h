/* layer_sets - what the layers share that normalize sets of values of one sample:
 * LayerNormalization, GroupNormalization, RMSNormalization, UnitNormalization.
 *
 * Owns, Threads, Lifetime: as layer.h.
 * Errors:   ERR_INVALID, ERR_RANGE with the path "axis", ERR_LIMIT.
 *
 * A sample is seen as (blocks, rows, cols), the normalized axes or the channels last; a block's
 * columns fall into groups of cols / groups neighbours, and all rows of a group are one set. Sums
 * are double, their order depends on sizes alone.
 */
#ifndef TRAINER_LAYER_LAYER_SETS_H
#define TRAINER_LAYER_LAYER_SETS_H

#include "trainer/layer/layer.h"

enum layer_sets_kind {
    LAYER_SETS_MOMENTS, /* (x - mean) / sqrt(variance + epsilon) */
    LAYER_SETS_RMS,     /* x / sqrt(mean of squares + epsilon) */
    LAYER_SETS_UNIT,    /* x / max(norm, epsilon) */
};

struct layer_sets {
    enum layer_sets_kind kind;
    double epsilon;
    size_t blocks, rows, cols, groups;
    size_t count;          /* values of a sample */
    const uint32_t *index; /* where value j of the seen order lies in a sample; NULL: at j */
    int gamma, beta;       /* variables of `cols` values, or -1 */
};

/* The sets run over these axes: Keras's number or list of them; NULL: the last. *ret_params: sizes
 * of the axes in order. */
int layer_sets_over(struct layer *layer, const struct doc *axes, struct layer_sets *sets,
                    struct shape *ret_params, struct arena *arena, struct err *err);
/* The sets run over all axes and a group of this axis' values. */
int layer_sets_within(struct layer *layer, int axis, int64_t groups, struct layer_sets *sets,
                      struct arena *arena, struct err *err);
/* Says scratch and state; layer->kernel = sets. */
int layer_sets_prepare(struct layer *layer, const struct layer_setup *setup, struct err *err);
void layer_sets_forward(struct layer *layer, const struct layer_call *call);
void layer_sets_backward(struct layer *layer, const struct layer_call *call);

#endif
