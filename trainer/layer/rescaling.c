#include "trainer/layer/layer.h"

struct rescaling {
    LAYER_FIELDS
    double scale, offset;
};

static const struct opt options[] = {
    LAYER_ROWS(rescaling),
    OPT_F64_ROW(rescaling, scale, 1.0, -1e30, 1e30, "The factor.", .flags = OPT_REQUIRED),
    OPT_F64_ROW(rescaling, offset, 0.0, -1e30, 1e30, "What is added then."),
    OPT_END_ROW,
};

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    (void)arena;
    int64_t count;
    layer->output = layer->inputs[0];
    int r = shape_count(&layer->output, &count);
    if (r < 0) {
        return err_set(err, r, "the input has too many values");
    }
    layer->flops = 2.0 * (double)count;
    return 0;
}

static size_t count_of(const struct layer *layer, int64_t rows)
{
    int64_t count = 0;
    BUG_ON(shape_count(&layer->output, &count) < 0);
    return (size_t)(count * rows);
}

static void forward(struct layer *layer, const struct layer_call *call)
{
    const struct rescaling *o = layer->options;
    call->backend->vec->affine(count_of(layer, call->rows), (float)o->scale, (float)o->offset,
                               call->x[0], call->y);
}

static void backward(struct layer *layer, const struct layer_call *call)
{
    const struct rescaling *o = layer->options;
    call->backend->vec->scale(count_of(layer, call->rows), (float)o->scale, call->dy, call->dx[0]);
}

const struct layer_desc layer_rescaling = {
    .name = "Rescaling",
    .summary = "x * scale + offset.",
    .options = options,
    .size = sizeof(struct rescaling),
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
