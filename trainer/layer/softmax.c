#include "trainer/layer/layer.h"
#include "trainer/layer/layer_axis.h"

struct softmax {
    LAYER_FIELDS
    int64_t axis;
};

static const struct opt options[] = {
    LAYER_ROWS(softmax),
    OPT_I64_ROW(softmax, axis, -1, -8, 8, "The axis of the classes."),
    OPT_END_ROW,
};

static int axis_of(const struct layer *layer)
{
    const struct softmax *o = layer->options;
    int axis = layer->output.rank - 1;
    BUG_ON(layer_axis_find(o->axis, &layer->output, &axis, NULL) < 0);
    return axis;
}

/* Along the last axis it is an activation, which losses may fuse with. */
static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    (void)arena;
    const struct softmax *o = layer->options;
    int axis;
    layer->output = layer->inputs[0];
    int r = layer_axis_find(o->axis, &layer->output, &axis, err);
    if (r < 0) {
        return r;
    }
    layer->is_view = axis == layer->output.rank - 1;
    layer->needs_y = !layer->is_view;
    if (layer->is_view) {
        layer->tail = (struct layer_act){.over_rows = true, .rows_kind = KERNEL_ROWS_SOFTMAX};
    }
    return 0;
}

static int prepare(struct layer *layer, const struct layer_setup *setup, struct err *err)
{
    (void)err;
    layer->scratch_bytes = layer->is_view ? 0 : 2 * layer_count(&layer->output, setup->rows) * sizeof(float);
    return 0;
}

static void forward(struct layer *layer, const struct layer_call *call)
{
    int axis = axis_of(layer);
    size_t count = layer_count(&layer->output, call->rows), cols = (size_t)layer->output.d[axis];
    float *turned = call->scratch;
    layer_axis_to_last(&layer->output, axis, call->rows, call->x[0], turned);
    call->backend->act->rows_forward(KERNEL_ROWS_SOFTMAX, count / cols, cols, turned, turned);
    layer_axis_from_last(&layer->output, axis, call->rows, turned, call->y);
}

static void backward(struct layer *layer, const struct layer_call *call)
{
    int axis = axis_of(layer);
    size_t count = layer_count(&layer->output, call->rows), cols = (size_t)layer->output.d[axis];
    float *y = call->scratch, *dy = y + count;
    layer_axis_to_last(&layer->output, axis, call->rows, call->y, y);
    layer_axis_to_last(&layer->output, axis, call->rows, call->dy, dy);
    call->backend->act->rows_backward(KERNEL_ROWS_SOFTMAX, count / cols, cols, y, dy, dy);
    layer_axis_from_last(&layer->output, axis, call->rows, dy, call->dx[0]);
}

const struct layer_desc layer_softmax = {
    .name = "Softmax",
    .summary = "Probabilities from logits.",
    .options = options,
    .size = sizeof(struct softmax),
    .infer = infer,
    .prepare = prepare,
    .forward = forward,
    .backward = backward,
};
