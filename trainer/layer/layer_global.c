#include "trainer/layer/layer_global.h"

#include <string.h>

static int64_t cells(const struct layer *layer)
{
    int64_t n = 1;
    for (int i = 0; i + 1 < layer->inputs[0].rank; i++) {
        n *= layer->inputs[0].d[i];
    }
    return n;
}

static size_t channels(const struct layer *layer)
{
    return (size_t)layer->inputs[0].d[layer->inputs[0].rank - 1];
}

int layer_global_infer(struct layer *layer, int axes, struct err *err)
{
    const struct layer_global *o = layer->options;
    int n;
    int r = layer_want_rank(layer, axes + 1, err);
    r = r < 0 ? r : layer_int(cells(layer), "input", &n, err);
    if (r < 0) {
        return r;
    }
    layer->output = (struct shape){.rank = 1, .d = {(int64_t)channels(layer)}};
    if (o->keepdims) {
        layer->output = layer->inputs[0];
        for (int i = 0; i < axes; i++) {
            layer->output.d[i] = 1;
        }
    }
    layer->flops = (double)cells(layer) * (double)channels(layer);
    return 0;
}

void layer_global_average_forward(struct layer *layer, const struct layer_call *call)
{
    call->backend->pool->global_average_forward((int)call->rows, (int)cells(layer),
                                                (int)channels(layer), call->x[0], call->y);
}

void layer_global_average_backward(struct layer *layer, const struct layer_call *call)
{
    call->backend->pool->global_average_backward((int)call->rows, (int)cells(layer),
                                                 (int)channels(layer), call->dy, call->dx[0]);
}

int layer_global_max_infer(struct layer *layer, int axes, struct err *err)
{
    layer->needs_x = layer->needs_y = true;
    return layer_global_infer(layer, axes, err);
}

void layer_global_max_forward(struct layer *layer, const struct layer_call *call)
{
    size_t count = (size_t)cells(layer), cols = channels(layer);
    for (size_t r = 0; r < (size_t)call->rows; r++) {
        const float *x = (const float *)call->x[0] + r * count * cols;
        float *y = call->y + r * cols;
        memcpy(y, x, cols * sizeof(float));
        for (size_t i = 1; i < count; i++) {
            for (size_t c = 0; c < cols; c++) {
                y[c] = x[i * cols + c] > y[c] ? x[i * cols + c] : y[c];
            }
        }
    }
}

/* Equal maxima share the gradient. */
static void backward_image(const float *x, const float *y, const float *dy, float *dx, size_t cells,
                           size_t cols)
{
    for (size_t c = 0; c < cols; c++) {
        size_t n = 0;
        for (size_t i = c; i < cells * cols; i += cols) {
            n += x[i] == y[c] ? 1U : 0U;
        }
        for (size_t i = c; i < cells * cols; i += cols) {
            dx[i] = x[i] == y[c] ? dy[c] / (float)n : 0.0F;
        }
    }
}

void layer_global_max_backward(struct layer *layer, const struct layer_call *call)
{
    size_t count = (size_t)cells(layer), cols = channels(layer);
    for (size_t r = 0; r < (size_t)call->rows; r++) {
        size_t at = r * count * cols;
        backward_image((const float *)call->x[0] + at, call->y + r * cols, call->dy + r * cols,
                       call->dx[0] + at, count, cols);
    }
}
