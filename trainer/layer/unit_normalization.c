#include "trainer/layer/layer_sets.h"

struct unit_normalization {
    LAYER_FIELDS
    const struct doc *axis;
};

static const struct opt options[] = {
    LAYER_ROWS(unit_normalization),
    OPT_DOC_ROW(unit_normalization, axis, "The axis, or a list of them, that gets the norm 1.",
                .flags = OPT_NULLABLE),
    OPT_END_ROW,
};

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    const struct unit_normalization *o = layer->options;
    struct layer_sets *sets = ARENA_NEW(arena, struct layer_sets);
    struct shape params;
    *sets = (struct layer_sets){.kind = LAYER_SETS_UNIT, .epsilon = 1e-12};
    int r = layer_sets_over(layer, o->axis, sets, &params, arena, err);
    layer->kernel = sets;
    layer->flops = 3.0 * (double)sets->count;
    layer->needs_x = true;
    return r;
}

const struct layer_desc layer_unit_normalization = {
    .name = "UnitNormalization",
    .summary = "Each sample divided by its Euclidean norm; zeros stay zeros.",
    .options = options,
    .size = sizeof(struct unit_normalization),
    .infer = infer,
    .prepare = layer_sets_prepare,
    .forward = layer_sets_forward,
    .backward = layer_sets_backward,
};
