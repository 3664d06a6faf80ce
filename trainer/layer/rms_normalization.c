#include "trainer/layer/layer_sets.h"

struct rms_normalization {
    LAYER_FIELDS
    const struct doc *axis;
    double epsilon;
};

static const struct opt options[] = {
    LAYER_ROWS(rms_normalization),
    OPT_DOC_ROW(rms_normalization, axis, "The axis, or a list of them, that is normalized.",
                .flags = OPT_NULLABLE),
    OPT_F64_ROW(rms_normalization, epsilon, 1e-6, 0.0, 1e30,
                "What is added to the mean of the squares."),
    OPT_END_ROW,
};

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    const struct rms_normalization *o = layer->options;
    struct layer_sets *sets = ARENA_NEW(arena, struct layer_sets);
    struct layer_var scale = {.name = "scale", .dtype = DTYPE_F32, .trainable = true};
    *sets = (struct layer_sets){.kind = LAYER_SETS_RMS, .epsilon = o->epsilon};
    int r = layer_sets_over(layer, o->axis, sets, &scale.shape, arena, err);
    r = r < 0 ? r : layer_add_var(layer, &scale, NULL, "Ones", arena, err);
    sets->gamma = 0;
    layer->kernel = sets;
    layer->flops = 5.0 * (double)sets->count;
    layer->needs_x = true;
    return r;
}

const struct layer_desc layer_rms_normalization = {
    .name = "RMSNormalization",
    .summary = "Each sample divided by the root of its mean square (Zhang and Sennrich 2019).",
    .options = options,
    .size = sizeof(struct rms_normalization),
    .infer = infer,
    .prepare = layer_sets_prepare,
    .forward = layer_sets_forward,
    .backward = layer_sets_backward,
};
