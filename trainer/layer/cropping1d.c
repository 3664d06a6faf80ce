#include "trainer/layer/layer_margin.h"

static const struct opt options[] = {
    LAYER_ROWS(layer_margin),
    OPT_DOC_ROW(layer_margin, cropping,
                "Rows to leave out: a number or [before, after]; 1 if not given.",
                .flags = OPT_NULLABLE),
    OPT_END_ROW,
};

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    return layer_cropping_infer(layer, 1, 1, arena, err);
}

const struct layer_desc layer_cropping1d = {
    .name = "Cropping1D",
    .summary = "Rows at the borders left out.",
    .options = options,
    .size = sizeof(struct layer_margin),
    .infer = infer,
    .forward = layer_cropping_forward,
    .backward = layer_cropping_backward,
};
