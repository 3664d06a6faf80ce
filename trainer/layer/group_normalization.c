#include <inttypes.h>

#include "trainer/layer/layer_affine.h"
#include "trainer/layer/layer_axis.h"
#include "trainer/layer/layer_sets.h"

struct group_normalization {
    LAYER_FIELDS
    int64_t groups;
    const struct doc *axis;
    double epsilon;
    struct layer_affine affine;
};

static const struct opt options[] = {
    LAYER_ROWS(group_normalization),
    OPT_I64_ROW(group_normalization, groups, 32, -1, 1 << 26,
                "Into how many groups the channels fall; -1: one for each channel."),
    OPT_DOC_ROW(group_normalization, axis, "The axis of the channels.", .flags = OPT_NULLABLE),
    OPT_F64_ROW(group_normalization, epsilon, 1e-3, 0.0, 1e30, "What is added to the variance."),
    LAYER_AFFINE_ROWS(group_normalization),
    OPT_END_ROW,
};

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    const struct group_normalization *o = layer->options;
    struct layer_sets *sets = ARENA_NEW(arena, struct layer_sets);
    int axis;
    if (layer->inputs[0].rank < 1) {
        return err_set(err, ERR_SHAPE, "takes at least one axis beside the batch");
    }
    int r = layer_axis_read(o->axis, &layer->inputs[0], &axis, err);
    if (r < 0) {
        return r;
    }
    int64_t channels = layer->inputs[0].d[axis], groups = o->groups == -1 ? channels : o->groups;
    if (groups < 1 || groups > channels || channels % groups != 0) {
        return err_set_at(err, ERR_SHAPE, "groups",
                          "%" PRId64 " do not divide the %" PRId64 " channels", groups, channels);
    }
    *sets = (struct layer_sets){.kind = LAYER_SETS_MOMENTS, .epsilon = o->epsilon};
    const struct shape params = {.rank = 1, .d = {channels}};
    r = layer_sets_within(layer, axis, groups, sets, arena, err);
    r = r < 0 ? r
              : layer_affine_add(layer, &o->affine, &params, &sets->gamma, &sets->beta, arena, err);
    layer->kernel = sets;
    layer->flops = 8.0 * (double)sets->count;
    layer->needs_x = true;
    return r;
}

const struct layer_desc layer_group_normalization = {
    .name = "GroupNormalization",
    .summary = "Each group of channels of a sample to mean 0 and variance 1 (Wu and He 2018).",
    .options = options,
    .size = sizeof(struct group_normalization),
    .infer = infer,
    .prepare = layer_sets_prepare,
    .forward = layer_sets_forward,
    .backward = layer_sets_backward,
};
