#include "trainer/layer/layer_margin.h"

static const struct opt options[] = {
    LAYER_ROWS(layer_margin),
    OPT_DOC_ROW(layer_margin, padding,
                "Rows of zeros: a number or [before, after]; 1 if not given.",
                .flags = OPT_NULLABLE),
    LAYER_FORMAT_ROW(layer_margin),
    OPT_END_ROW,
};

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    return layer_padding_infer(layer, 1, 1, arena, err);
}

const struct layer_desc layer_zero_padding1d = {
    .name = "ZeroPadding1D",
    .summary = "Rows of zeros around a sample.",
    .options = options,
    .size = sizeof(struct layer_margin),
    .infer = infer,
    .forward = layer_padding_forward,
    .backward = layer_padding_backward,
};
