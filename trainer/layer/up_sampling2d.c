#include "pipeline/image/resize.h"
#include "trainer/layer/layer_repeat.h"
#include "trainer/layer/layer_resample.h"

struct up_sampling2d {
    LAYER_FIELDS
    struct opt_ints size;
    int interpolation, data_format;
};

static const struct opt_name interpolations[] = {
    {"nearest", RESIZE_NEAREST},   {"bilinear", RESIZE_BILINEAR}, {"bicubic", RESIZE_BICUBIC},
    {"lanczos3", RESIZE_LANCZOS3}, {"lanczos5", RESIZE_LANCZOS5}, {NULL, 0}};

static const struct opt options[] = {
    LAYER_ROWS(up_sampling2d),
    OPT_INTS_ROW(up_sampling2d, size, "[2,2]", 2, 2, 1, 1 << 16,
                 "How often rows and columns are repeated."),
    OPT_ENUM_ROW(up_sampling2d, interpolation, RESIZE_NEAREST, interpolations,
                 "How values between are made."),
    LAYER_FORMAT_ROW(up_sampling2d),
    OPT_END_ROW,
};

static bool is_nearest(const struct layer *layer)
{
    const struct up_sampling2d *o = layer->options;
    return o->interpolation == RESIZE_NEAREST;
}

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    const struct up_sampling2d *o = layer->options;
    int r = layer_repeat_infer(layer, &o->size, arena, err);
    return r < 0 || is_nearest(layer) ? r
                                      : layer_resample_infer(layer, o->interpolation, arena, err);
}

static int prepare(struct layer *layer, const struct layer_setup *setup, struct err *err)
{
    return is_nearest(layer) ? 0 : layer_resample_prepare(layer, setup, err);
}

static void forward(struct layer *layer, const struct layer_call *call)
{
    if (is_nearest(layer)) {
        layer_repeat_forward(layer, call);
    } else {
        layer_resample_forward(layer, call);
    }
}

static void backward(struct layer *layer, const struct layer_call *call)
{
    if (is_nearest(layer)) {
        layer_repeat_backward(layer, call);
    } else {
        layer_resample_backward(layer, call);
    }
}

const struct layer_desc layer_up_sampling2d = {
    .name = "UpSampling2D",
    .summary = "Rows and columns are repeated, or values between them made.",
    .options = options,
    .size = sizeof(struct up_sampling2d),
    .infer = infer,
    .prepare = prepare,
    .forward = forward,
    .backward = backward,
};
