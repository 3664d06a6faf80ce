#include "trainer/layer/layer_repeat.h"

struct up_sampling3d {
    LAYER_FIELDS
    struct opt_ints size;
    int data_format;
};

static const struct opt options[] = {
    LAYER_ROWS(up_sampling3d),
    OPT_INTS_ROW(up_sampling3d, size, "[2,2,2]", 3, 3, 1, 1 << 16, "How often each is repeated."),
    LAYER_FORMAT_ROW(up_sampling3d),
    OPT_END_ROW,
};

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    const struct up_sampling3d *o = layer->options;
    return layer_repeat_infer(layer, &o->size, arena, err);
}

const struct layer_desc layer_up_sampling3d = {
    .name = "UpSampling3D",
    .summary = "Planes, rows and columns are repeated.",
    .options = options,
    .size = sizeof(struct up_sampling3d),
    .infer = infer,
    .forward = layer_repeat_forward,
    .backward = layer_repeat_backward,
};
