#include "trainer/layer/layer.h"

struct elu {
    LAYER_FIELDS
    double alpha;
};

static const struct opt options[] = {
    LAYER_ROWS(elu),
    OPT_F64_ROW(elu, alpha, 1.0, 0.0, 1e30, "How far it falls."),
    OPT_END_ROW,
};

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    (void)arena;
    (void)err;
    const struct elu *o = layer->options;
    layer->output = layer->inputs[0];
    layer->is_view = true;
    layer->tail.act = (struct kernel_act){.kind = KERNEL_ACT_ELU, .alpha = (float)o->alpha};
    return 0;
}

const struct layer_desc layer_elu = {
    .name = "ELU",
    .summary = "x above 0, an exponential towards -alpha below.",
    .options = options,
    .size = sizeof(struct elu),
    .infer = infer,
};
