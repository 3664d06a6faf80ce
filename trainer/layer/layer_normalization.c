#include "trainer/layer/layer_affine.h"
#include "trainer/layer/layer_sets.h"

struct layer_normalization {
    LAYER_FIELDS
    const struct doc *axis;
    double epsilon;
    bool rms_scaling;
    struct layer_affine affine;
};

static const struct opt options[] = {
    LAYER_ROWS(layer_normalization),
    OPT_DOC_ROW(layer_normalization, axis, "The axis, or a list of them, that is normalized.",
                .flags = OPT_NULLABLE),
    OPT_F64_ROW(layer_normalization, epsilon, 1e-3, 0.0, 1e30, "What is added to the variance."),
    OPT_BOOL_ROW(layer_normalization, rms_scaling, false,
                 "Of older versions; RMSNormalization is what it was."),
    LAYER_AFFINE_ROWS(layer_normalization),
    OPT_END_ROW,
};

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    const struct layer_normalization *o = layer->options;
    struct layer_sets *sets = ARENA_NEW(arena, struct layer_sets);
    struct shape params;
    if (o->rms_scaling) {
        return err_set_at(err, ERR_UNSUPPORTED, "rms_scaling",
                          "is not supported; use RMSNormalization");
    }
    *sets = (struct layer_sets){.kind = LAYER_SETS_MOMENTS, .epsilon = o->epsilon};
    int r = layer_sets_over(layer, o->axis, sets, &params, arena, err);
    r = r < 0 ? r
              : layer_affine_add(layer, &o->affine, &params, &sets->gamma, &sets->beta, arena, err);
    layer->kernel = sets;
    layer->flops = 8.0 * (double)sets->count;
    layer->needs_x = true;
    return r;
}

const struct layer_desc layer_layer_normalization = {
    .name = "LayerNormalization",
    .summary = "Each sample to mean 0 and variance 1 over some of its axes.",
    .options = options,
    .size = sizeof(struct layer_normalization),
    .infer = infer,
    .prepare = layer_sets_prepare,
    .forward = layer_sets_forward,
    .backward = layer_sets_backward,
};
