#include <math.h>

#include "trainer/layer/layer.h"

struct re_lu {
    LAYER_FIELDS
    double max_value, negative_slope, threshold;
};

static const struct opt options[] = {
    LAYER_ROWS(re_lu),
    OPT_F64_ROW(re_lu, max_value, -1.0, -1.0, 1e30, "The greatest output; none: no bound.",
                .flags = OPT_NULLABLE),
    OPT_F64_ROW(re_lu, negative_slope, 0.0, 0.0, 1e30, "The slope below the threshold."),
    OPT_F64_ROW(re_lu, threshold, 0.0, 0.0, 1e30, "Where the output begins to be the input."),
    OPT_END_ROW,
};

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    (void)arena;
    (void)err;
    const struct re_lu *o = layer->options;
    layer->output = layer->inputs[0];
    layer->is_view = true;
    bool plain = o->max_value < 0.0 && o->negative_slope == 0.0 && o->threshold == 0.0;
    bool is_6 = o->max_value == 6.0 && o->negative_slope == 0.0 && o->threshold == 0.0;
    layer->tail.act = (struct kernel_act){
        .kind = plain ? KERNEL_ACT_RELU : (is_6 ? KERNEL_ACT_RELU6 : KERNEL_ACT_RELU_GENERAL),
        .alpha = (float)o->negative_slope,
        .max_value = o->max_value < 0.0 ? INFINITY : (float)o->max_value,
        .threshold = (float)o->threshold,
    };
    return 0;
}

const struct layer_desc layer_re_lu = {
    .name = "ReLU",
    .summary = "max(x, 0), with a bound, a slope and a threshold if wanted.",
    .options = options,
    .size = sizeof(struct re_lu),
    .infer = infer,
};
