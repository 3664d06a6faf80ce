#include "trainer/layer/layer.h"

struct activation {
    LAYER_FIELDS
    const struct doc *activation;
};

static const struct opt options[] = {
    LAYER_ROWS(activation),
    OPT_DOC_ROW(activation, activation, "The activation's name.", .flags = OPT_REQUIRED),
    OPT_END_ROW,
};

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    (void)arena;
    const struct activation *o = layer->options;
    layer->output = layer->inputs[0];
    layer->is_view = true;
    int r = layer_act_read(o->activation, &layer->tail, err);
    if (r < 0) {
        err_prefix(err, "activation");
    }
    return r;
}

const struct layer_desc layer_activation = {
    .name = "Activation",
    .summary = "An activation, alone.",
    .options = options,
    .size = sizeof(struct activation),
    .infer = infer,
};
