#include "trainer/layer/layer.h"

struct global_average_pooling2d {
    LAYER_FIELDS
    int data_format;
    bool keepdims;
};

static const struct opt options[] = {
    LAYER_ROWS(global_average_pooling2d),
    LAYER_FORMAT_ROW(global_average_pooling2d),
    OPT_BOOL_ROW(global_average_pooling2d, keepdims, false, "Whether the axes stay, as ones."),
    OPT_END_ROW,
};

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    (void)arena;
    const struct global_average_pooling2d *o = layer->options;
    int r = layer_want_rank(layer, 3, err);
    if (r < 0) {
        return r;
    }
    int64_t c = layer->inputs[0].d[2];
    layer->output = o->keepdims ? (struct shape){.rank = 3, .d = {1, 1, c}}
                                : (struct shape){.rank = 1, .d = {c}};
    layer->flops = (double)layer->inputs[0].d[0] * (double)layer->inputs[0].d[1] * (double)c;
    return 0;
}

static int cells(const struct layer *layer)
{
    return (int)(layer->inputs[0].d[0] * layer->inputs[0].d[1]);
}

static void forward(struct layer *layer, const struct layer_call *call)
{
    call->backend->pool->global_average_forward((int)call->rows, cells(layer),
                                                (int)layer->inputs[0].d[2], call->x[0], call->y);
}

static void backward(struct layer *layer, const struct layer_call *call)
{
    call->backend->pool->global_average_backward((int)call->rows, cells(layer),
                                                 (int)layer->inputs[0].d[2], call->dy, call->dx[0]);
}

const struct layer_desc layer_global_average_pooling2d = {
    .name = "GlobalAveragePooling2D",
    .aliases = "GlobalAvgPool2D",
    .summary = "The mean of each channel.",
    .options = options,
    .size = sizeof(struct global_average_pooling2d),
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
