#include "trainer/layer/layer.h"

struct flatten {
    LAYER_FIELDS
    int data_format;
};

static const struct opt options[] = {
    LAYER_ROWS(flatten),
    LAYER_FORMAT_ROW(flatten),
    OPT_END_ROW,
};

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    (void)arena;
    int64_t count;
    int r = shape_count(&layer->inputs[0], &count);
    if (r < 0) {
        return err_set(err, r, "the input has too many values");
    }
    layer->output = (struct shape){.rank = 1, .d = {count}};
    layer->is_view = true;
    return 0;
}

const struct layer_desc layer_flatten = {
    .name = "Flatten",
    .summary = "All axes become one.",
    .options = options,
    .size = sizeof(struct flatten),
    .infer = infer,
};
