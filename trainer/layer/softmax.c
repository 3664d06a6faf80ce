#include "trainer/layer/layer.h"

struct softmax {
    LAYER_FIELDS
    int64_t axis;
};

static const struct opt options[] = {
    LAYER_ROWS(softmax),
    OPT_I64_ROW(softmax, axis, -1, -1, 8, "The axis of the classes: the last."),
    OPT_END_ROW,
};

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    (void)arena;
    const struct softmax *o = layer->options;
    if (o->axis != -1 && o->axis != layer->inputs[0].rank) {
        return err_set_at(err, ERR_UNSUPPORTED, "axis", "only the last axis is supported");
    }
    layer->output = layer->inputs[0];
    layer->is_view = true;
    layer->tail = (struct layer_act){.over_rows = true, .rows_kind = KERNEL_ROWS_SOFTMAX};
    return 0;
}

const struct layer_desc layer_softmax = {
    .name = "Softmax",
    .summary = "Probabilities from logits.",
    .options = options,
    .size = sizeof(struct softmax),
    .infer = infer,
};
