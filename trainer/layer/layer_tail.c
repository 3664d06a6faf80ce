/* The activation that a layer does not fuse, as a layer without a row of its own. */
#include "trainer/layer/layer.h"

static size_t rows_of(const struct layer *layer, int64_t batch)
{
    size_t rows = (size_t)batch;
    for (int i = 0; i + 1 < layer->output.rank; i++) {
        rows *= (size_t)layer->output.d[i];
    }
    return rows;
}

static size_t cols_of(const struct layer *layer)
{
    return layer->output.rank > 0 ? (size_t)layer->output.d[layer->output.rank - 1] : 1;
}

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    (void)arena;
    (void)err;
    layer->output = layer->inputs[0];
    layer->needs_x = layer_act_needs_x(&layer->tail);
    layer->needs_y = true;
    return 0;
}

static void forward(struct layer *layer, const struct layer_call *call)
{
    layer_act_forward(call->backend, &layer->tail, rows_of(layer, call->rows), cols_of(layer),
                      call->x[0], call->y);
}

static void backward(struct layer *layer, const struct layer_call *call)
{
    layer_act_backward(call->backend, &layer->tail, rows_of(layer, call->rows), cols_of(layer),
                       call->x[0], call->y, call->dy, call->dx[0]);
}

static const struct opt no_rows[] = {OPT_END_ROW};
static const struct layer_desc desc = {
    .name = "(activation)",
    .summary = "The activation of the layer before it.",
    .options = no_rows,
    .size = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};

struct layer *layer_make_tail(const struct layer *of, struct arena *arena)
{
    struct layer *layer = ARENA_NEW(arena, struct layer);
    layer->desc = &desc;
    layer->name = of->name;
    layer->tail = of->tail;
    return layer;
}

const struct kernel_act *layer_tail_act(const struct layer *layer)
{
    return layer->desc == &desc && !layer->tail.over_rows ? &layer->tail.act : NULL;
}
