#include <string.h>

#include "trainer/layer/layer.h"

struct global_max_pooling2d {
    LAYER_FIELDS
    int data_format;
    bool keepdims;
};

static const struct opt options[] = {
    LAYER_ROWS(global_max_pooling2d),
    LAYER_FORMAT_ROW(global_max_pooling2d),
    OPT_BOOL_ROW(global_max_pooling2d, keepdims, false, "Whether the axes stay, as ones."),
    OPT_END_ROW,
};

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    (void)arena;
    const struct global_max_pooling2d *o = layer->options;
    int r = layer_want_rank(layer, 3, err);
    if (r < 0) {
        return r;
    }
    int64_t c = layer->inputs[0].d[2];
    layer->output = o->keepdims ? (struct shape){.rank = 3, .d = {1, 1, c}}
                                : (struct shape){.rank = 1, .d = {c}};
    layer->flops = (double)layer->inputs[0].d[0] * (double)layer->inputs[0].d[1] * (double)c;
    layer->needs_x = layer->needs_y = true;
    return 0;
}

static void forward(struct layer *layer, const struct layer_call *call)
{
    size_t cells = (size_t)(layer->inputs[0].d[0] * layer->inputs[0].d[1]);
    size_t cols = (size_t)layer->inputs[0].d[2];
    for (size_t r = 0; r < (size_t)call->rows; r++) {
        const float *x = (const float *)call->x[0] + r * cells * cols;
        float *y = call->y + r * cols;
        memcpy(y, x, cols * sizeof(float));
        for (size_t i = cols; i < cells * cols; i++) {
            y[i % cols] = x[i] > y[i % cols] ? x[i] : y[i % cols];
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

static void backward(struct layer *layer, const struct layer_call *call)
{
    size_t cells = (size_t)(layer->inputs[0].d[0] * layer->inputs[0].d[1]);
    size_t cols = (size_t)layer->inputs[0].d[2];
    for (size_t r = 0; r < (size_t)call->rows; r++) {
        size_t at = r * cells * cols;
        backward_image((const float *)call->x[0] + at, call->y + r * cols, call->dy + r * cols,
                       call->dx[0] + at, cells, cols);
    }
}

const struct layer_desc layer_global_max_pooling2d = {
    .name = "GlobalMaxPooling2D",
    .aliases = "GlobalMaxPool2D",
    .summary = "The greatest value of each channel.",
    .options = options,
    .size = sizeof(struct global_max_pooling2d),
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
