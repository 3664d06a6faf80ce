#include "trainer/layer/layer_merge.h"

#include <stdio.h>
#include <string.h>

const struct opt layer_merge_options[] = {
    LAYER_ROWS(layer_merge),
    OPT_END_ROW,
};

/* For inputs that are stretched: the place of each value of the output in them. */
struct stretch {
    size_t count;                     /* of the output, a sample */
    size_t counts[LAYER_MERGE_MAX];   /* of the inputs */
    uint32_t *index[LAYER_MERGE_MAX]; /* NULL: as the output */
};

static int does_not_fit(const struct layer *layer, int k, struct err *err)
{
    char a[128], b[128];
    shape_format(&layer->inputs[0], a, sizeof(a));
    shape_format(&layer->inputs[k], b, sizeof(b));
    return err_set(err, ERR_SHAPE, "%s takes shapes that fit, but input 0 is %s and input %d is %s",
                   layer->desc->name, a, k, b);
}

static int widen(struct layer *layer, int k, struct err *err)
{
    const struct shape *in = &layer->inputs[k];
    if (in->rank != layer->output.rank) {
        return does_not_fit(layer, k, err);
    }
    for (int a = 0; a < in->rank; a++) {
        int64_t *d = &layer->output.d[a];
        if (*d != in->d[a] && *d != 1 && in->d[a] != 1) {
            return does_not_fit(layer, k, err);
        }
        *d = *d == 1 ? in->d[a] : *d;
    }
    return 0;
}

static uint32_t *make_index(const struct shape *output, const struct shape *in, size_t count,
                            struct arena *arena)
{
    uint32_t *index = arena_array(arena, count, sizeof(*index));
    for (size_t i = 0; i < count; i++) {
        size_t rest = i, at = 0, step = 1;
        for (int a = output->rank - 1; a >= 0; a--) {
            size_t size = (size_t)output->d[a];
            at += in->d[a] == 1 ? 0 : rest % size * step;
            step *= (size_t)in->d[a];
            rest /= size;
        }
        index[i] = (uint32_t)at;
    }
    return index;
}

int layer_merge_infer(struct layer *layer, struct arena *arena, struct err *err)
{
    struct stretch *stretch = ARENA_NEW(arena, struct stretch);
    layer->output = layer->inputs[0];
    for (int k = 1; k < layer->n_inputs; k++) {
        int r = widen(layer, k, err);
        if (r < 0) {
            return r;
        }
    }
    int64_t count = 0;
    BUG_ON(shape_count(&layer->output, &count) < 0);
    stretch->count = (size_t)count;
    for (int k = 0; k < layer->n_inputs; k++) {
        int64_t own = 0;
        BUG_ON(shape_count(&layer->inputs[k], &own) < 0);
        stretch->counts[k] = (size_t)own;
        if (own != count) {
            stretch->index[k] = make_index(&layer->output, &layer->inputs[k], (size_t)count, arena);
        }
    }
    layer->kernel = stretch;
    layer->flops = (double)count * layer->n_inputs;
    layer->needs_x = true;
    return 0;
}

static bool is_pair(const struct layer *layer)
{
    const struct stretch *stretch = layer->kernel;
    return layer->n_inputs == 2 && !stretch->index[0] && !stretch->index[1];
}

/* A sum of two of one shape, with a relu behind. */
bool layer_merge_takes(struct layer *layer, const struct kernel_act *act)
{
    if (act->kind != KERNEL_ACT_RELU || !is_pair(layer)) {
        return false;
    }
    layer->act = *act;
    layer->needs_y = true;
    return true;
}

static size_t place(const struct stretch *stretch, int k, size_t row, size_t i)
{
    return row * stretch->counts[k] + (stretch->index[k] ? stretch->index[k][i] : i);
}

static float combine(enum layer_merge_op op, float a, float b)
{
    switch (op) {
    case LAYER_MERGE_SUBTRACT: return a - b;
    case LAYER_MERGE_MULTIPLY: return a * b;
    case LAYER_MERGE_MAXIMUM: return b > a ? b : a;
    case LAYER_MERGE_MINIMUM: return b < a ? b : a;
    case LAYER_MERGE_ADD:
    case LAYER_MERGE_AVERAGE:
    default: return a + b;
    }
}

static float merge_at(enum layer_merge_op op, const struct layer *layer,
                      const struct layer_call *call, size_t row, size_t i)
{
    const struct stretch *stretch = layer->kernel;
    float sum = ((const float *)call->x[0])[place(stretch, 0, row, i)];
    for (int k = 1; k < layer->n_inputs; k++) {
        sum = combine(op, sum, ((const float *)call->x[k])[place(stretch, k, row, i)]);
    }
    return op == LAYER_MERGE_AVERAGE ? sum / (float)layer->n_inputs : sum;
}

void layer_merge_forward(enum layer_merge_op op, struct layer *layer, const struct layer_call *call)
{
    const struct stretch *stretch = layer->kernel;
    if (op == LAYER_MERGE_ADD && is_pair(layer)) {
        (layer->act.kind == KERNEL_ACT_RELU ? call->backend->vec->add_relu
                                            : call->backend->vec->add)(
            (size_t)call->rows * stretch->count, call->x[0], call->x[1], call->y);
        return;
    }
    for (size_t row = 0; row < (size_t)call->rows; row++) {
        for (size_t i = 0; i < stretch->count; i++) {
            call->y[row * stretch->count + i] = merge_at(op, layer, call, row, i);
        }
    }
}

/* The first input that holds the greatest (least) value gets the gradient. */
static bool wins(enum layer_merge_op op, const struct layer *layer, const struct layer_call *call,
                 int k, size_t row, size_t i)
{
    const struct stretch *stretch = layer->kernel;
    float best = merge_at(op, layer, call, row, i);
    for (int j = 0; j < k; j++) {
        if (((const float *)call->x[j])[place(stretch, j, row, i)] == best) {
            return false;
        }
    }
    return ((const float *)call->x[k])[place(stretch, k, row, i)] == best;
}

static float others(const struct layer *layer, const struct layer_call *call, int k, size_t row,
                    size_t i)
{
    float product = 1.0F;
    for (int j = 0; j < layer->n_inputs; j++) {
        if (j != k) {
            product *= ((const float *)call->x[j])[place(layer->kernel, j, row, i)];
        }
    }
    return product;
}

static float factor(enum layer_merge_op op, const struct layer *layer,
                    const struct layer_call *call, int k, size_t row, size_t i)
{
    switch (op) {
    case LAYER_MERGE_SUBTRACT: return k == 0 ? 1.0F : -1.0F;
    case LAYER_MERGE_AVERAGE: return 1.0F / (float)layer->n_inputs;
    case LAYER_MERGE_MULTIPLY: return others(layer, call, k, row, i);
    case LAYER_MERGE_MAXIMUM:
    case LAYER_MERGE_MINIMUM: return wins(op, layer, call, k, row, i) ? 1.0F : 0.0F;
    case LAYER_MERGE_ADD:
    default: return 1.0F;
    }
}

void layer_merge_backward(enum layer_merge_op op, struct layer *layer,
                          const struct layer_call *call)
{
    const struct stretch *stretch = layer->kernel;
    size_t rows = (size_t)call->rows, count = stretch->count;
    if (layer->act.kind == KERNEL_ACT_RELU) {
        float *a = call->dx[0] ? call->dx[0] : call->dx[1];
        call->backend->vec->relu_split(rows * count, call->y, call->dy, a,
                                       a != call->dx[1] ? call->dx[1] : NULL);
        return;
    }
    for (int k = 0; k < layer->n_inputs; k++) {
        float *dx = call->dx[k];
        if (dx && op == LAYER_MERGE_ADD && !stretch->index[k]) {
            memcpy(dx, call->dy, rows * count * sizeof(float));
            continue;
        }
        if (dx) {
            memset(dx, 0, rows * stretch->counts[k] * sizeof(float));
        }
        for (size_t j = 0; dx && j < rows * count; j++) {
            size_t row = j / count, i = j % count;
            dx[place(stretch, k, row, i)] += call->dy[j] * factor(op, layer, call, k, row, i);
        }
    }
}
