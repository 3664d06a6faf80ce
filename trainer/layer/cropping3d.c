#include "trainer/layer/layer_margin.h"

static const struct opt options[] = {
    LAYER_ROWS(layer_margin),
    OPT_DOC_ROW(layer_margin, cropping,
                "Planes, rows and columns to leave out: a number, one for each axis, or a pair for "
                "each; 1 if not given.",
                .flags = OPT_NULLABLE),
    LAYER_FORMAT_ROW(layer_margin),
    OPT_END_ROW,
};

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    return layer_cropping_infer(layer, 3, 1, arena, err);
}

const struct layer_desc layer_cropping3d = {
    .name = "Cropping3D",
    .summary = "Planes, rows and columns at the borders left out.",
    .options = options,
    .size = sizeof(struct layer_margin),
    .infer = infer,
    .forward = layer_cropping_forward,
    .backward = layer_cropping_backward,
};
