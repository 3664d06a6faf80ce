#include "trainer/layer/layer.h"

struct identity {
    LAYER_FIELDS
};

static const struct opt options[] = {
    LAYER_ROWS(identity),
    OPT_END_ROW,
};

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    (void)arena;
    (void)err;
    layer->output = layer->inputs[0];
    layer->is_view = true;
    layer->is_same = true;
    return 0;
}

const struct layer_desc layer_identity = {
    .name = "Identity",
    .summary = "What it is given.",
    .options = options,
    .size = sizeof(struct identity),
    .infer = infer,
};
