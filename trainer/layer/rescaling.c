#include "trainer/layer/layer.h"

struct rescaling {
    LAYER_FIELDS
    struct opt_floats scale, offset; /* one number, or one a channel */
};

static const struct opt options[] = {
    LAYER_ROWS(rescaling),
    OPT_FLOATS_ROW(rescaling, scale, NULL, 1, 0, -1e30, 1e30, "The factor, or one a channel.",
                   .flags = OPT_REQUIRED),
    OPT_FLOATS_ROW(rescaling, offset, "[0]", 1, 0, -1e30, 1e30,
                   "What is added then, or one a channel."),
    OPT_END_ROW,
};

static size_t cols_of(const struct layer *layer)
{
    return layer->output.rank > 0 ? (size_t)layer->output.d[layer->output.rank - 1] : 1;
}

static bool is_single(const struct layer *layer)
{
    const struct rescaling *o = layer->options;
    return o->scale.n == 1 && o->offset.n == 1;
}

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    const struct rescaling *o = layer->options;
    int64_t count;
    layer->output = layer->inputs[0];
    int r = shape_count(&layer->output, &count);
    if (r < 0) {
        return err_set(err, r, "the input has too many values");
    }
    size_t cols = cols_of(layer);
    if ((o->scale.n != 1 && o->scale.n != cols) || (o->offset.n != 1 && o->offset.n != cols)) {
        return err_set_at(err, ERR_SHAPE,
                          o->scale.n != 1 && o->scale.n != cols ? "scale" : "offset",
                          "takes one number, or one for each of %zu channels", cols);
    }
    /* Factors, then offsets, of each channel. */
    float *numbers = arena_array(arena, 2 * cols + 1, sizeof(float));
    for (size_t c = 0; c < cols; c++) {
        numbers[c] = (float)o->scale.v[o->scale.n == 1 ? 0 : c];
        numbers[cols + c] = (float)o->offset.v[o->offset.n == 1 ? 0 : c];
    }
    layer->kernel = numbers;
    layer->flops = 2.0 * (double)count;
    return 0;
}

static void forward(struct layer *layer, const struct layer_call *call)
{
    const float *scale = layer->kernel;
    size_t count = layer_count(&layer->output, call->rows), cols = cols_of(layer);
    if (is_single(layer)) {
        call->backend->vec->affine(count, scale[0], scale[cols], call->x[0], call->y);
    } else {
        call->backend->vec->row_affine(count / cols, cols, call->x[0], scale, scale + cols,
                                       call->y);
    }
}

static void backward(struct layer *layer, const struct layer_call *call)
{
    const float *scale = layer->kernel;
    size_t count = layer_count(&layer->output, call->rows), cols = cols_of(layer);
    if (is_single(layer)) {
        call->backend->vec->scale(count, scale[0], call->dy, call->dx[0]);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        call->dx[0][i] = call->dy[i] * scale[i % cols];
    }
}

/* Keras writes a number where there is one. */
static void config(const struct layer *layer, struct doc *config, struct arena *arena)
{
    const struct rescaling *o = layer->options;
    if (o->scale.n == 1) {
        doc_put_float(config, arena, "scale", o->scale.v[0]);
    }
    if (o->offset.n == 1) {
        doc_put_float(config, arena, "offset", o->offset.v[0]);
    }
}

const struct layer_desc layer_rescaling = {
    .name = "Rescaling",
    .summary = "x * scale + offset.",
    .options = options,
    .size = sizeof(struct rescaling),
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .config = config,
};
