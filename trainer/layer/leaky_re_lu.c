#include "trainer/layer/layer.h"

struct leaky_re_lu {
    LAYER_FIELDS
    double negative_slope;
};

static const struct opt options[] = {
    LAYER_ROWS(leaky_re_lu),
    OPT_F64_ROW(leaky_re_lu, negative_slope, 0.3, 0.0, 1e30, "The slope below 0."),
    OPT_END_ROW,
};

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    (void)arena;
    (void)err;
    const struct leaky_re_lu *o = layer->options;
    layer->output = layer->inputs[0];
    layer->is_view = true;
    layer->tail.act =
        (struct kernel_act){.kind = KERNEL_ACT_LEAKY_RELU, .alpha = (float)o->negative_slope};
    return 0;
}

const struct layer_desc layer_leaky_re_lu = {
    .name = "LeakyReLU",
    .summary = "x above 0, a part of it below.",
    .options = options,
    .size = sizeof(struct leaky_re_lu),
    .infer = infer,
};
