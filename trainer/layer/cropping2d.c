#include "trainer/layer/layer_margin.h"

static const struct opt options[] = {
    LAYER_ROWS(layer_margin),
    OPT_DOC_ROW(layer_margin, cropping,
                "Rows and columns to leave out: a number, [rows, columns], or [[top, bottom], "
                "[left, right]]; 0 if not given.",
                .flags = OPT_NULLABLE),
    LAYER_FORMAT_ROW(layer_margin),
    OPT_END_ROW,
};

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    return layer_cropping_infer(layer, 2, 0, arena, err);
}

const struct layer_desc layer_cropping2d = {
    .name = "Cropping2D",
    .summary = "Rows and columns at the borders left out.",
    .options = options,
    .size = sizeof(struct layer_margin),
    .infer = infer,
    .forward = layer_cropping_forward,
    .backward = layer_cropping_backward,
};
