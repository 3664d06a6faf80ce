#include <string.h>

#include "trainer/layer/layer.h"

struct repeat_vector {
    LAYER_FIELDS
    int64_t n;
};

static const struct opt options[] = {
    LAYER_ROWS(repeat_vector),
    OPT_I64_ROW(repeat_vector, n, 1, 1, 1 << 26, "How often.", .flags = OPT_REQUIRED),
    OPT_END_ROW,
};

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    (void)arena;
    const struct repeat_vector *o = layer->options;
    layer->output = (struct shape){.rank = 2, .d = {o->n, layer->inputs[0].d[0]}};
    return layer_want_rank(layer, 1, err);
}

static void forward(struct layer *layer, const struct layer_call *call)
{
    size_t cols = (size_t)layer->output.d[1];
    for (int64_t i = 0; i < call->rows * layer->output.d[0]; i++) {
        memcpy(call->y + (size_t)i * cols,
               (const float *)call->x[0] + (size_t)(i / layer->output.d[0]) * cols,
               cols * sizeof(float));
    }
}

static void backward(struct layer *layer, const struct layer_call *call)
{
    size_t cols = (size_t)layer->output.d[1];
    call->backend->vec->fill((size_t)call->rows * cols, 0.0F, call->dx[0]);
    for (int64_t i = 0; i < call->rows * layer->output.d[0]; i++) {
        float *dx = call->dx[0] + (size_t)(i / layer->output.d[0]) * cols;
        call->backend->vec->add(cols, dx, call->dy + (size_t)i * cols, dx);
    }
}

const struct layer_desc layer_repeat_vector = {
    .name = "RepeatVector",
    .summary = "A vector n times, as rows.",
    .options = options,
    .size = sizeof(struct repeat_vector),
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
