#include "trainer/layer/layer_repeat.h"

#include <string.h>

enum { AXES = 3 };

/* Unused axes in front are 1 and repeated once. */
struct repeat {
    int64_t in[AXES], size[AXES];
    size_t channels;
};

int layer_repeat_infer(struct layer *layer, const struct opt_ints *size, struct arena *arena,
                       struct err *err)
{
    struct repeat *repeat = ARENA_NEW(arena, struct repeat);
    const int axes = (int)size->n;
    int64_t count;
    int r = layer_want_rank(layer, axes + 1, err);
    if (r < 0) {
        return r;
    }
    *repeat = (struct repeat){{1, 1, 1}, {1, 1, 1}, (size_t)layer->inputs[0].d[axes]};
    layer->output = layer->inputs[0];
    for (int i = 0; i < axes; i++) {
        repeat->in[AXES - axes + i] = layer->inputs[0].d[i];
        repeat->size[AXES - axes + i] = size->v[i];
        layer->output.d[i] *= size->v[i];
    }
    layer->kernel = repeat;
    return shape_count(&layer->output, &count) < 0
               ? err_set_at(err, ERR_LIMIT, "size", "makes too many values")
               : 0;
}

/* The cell of the input that cell i of the output repeats. */
static size_t source(const struct repeat *repeat, int64_t i)
{
    int64_t at[AXES];
    for (int a = AXES - 1; a >= 0; a--) {
        int64_t size = repeat->in[a] * repeat->size[a];
        at[a] = i % size / repeat->size[a];
        i /= size;
    }
    return (size_t)(((i * repeat->in[0] + at[0]) * repeat->in[1] + at[1]) * repeat->in[2] + at[2]);
}

static int64_t cells(const struct repeat *repeat, bool is_output)
{
    int64_t n = 1;
    for (int a = 0; a < AXES; a++) {
        n *= repeat->in[a] * (is_output ? repeat->size[a] : 1);
    }
    return n;
}

void layer_repeat_forward(struct layer *layer, const struct layer_call *call)
{
    const struct repeat *repeat = layer->kernel;
    const size_t n = repeat->channels;
    for (int64_t i = 0; i < call->rows * cells(repeat, true); i++) {
        memcpy(call->y + (size_t)i * n, (const float *)call->x[0] + source(repeat, i) * n,
               n * sizeof(float));
    }
}

void layer_repeat_backward(struct layer *layer, const struct layer_call *call)
{
    const struct repeat *repeat = layer->kernel;
    const size_t n = repeat->channels;
    memset(call->dx[0], 0, (size_t)(call->rows * cells(repeat, false)) * n * sizeof(float));
    for (int64_t i = 0; i < call->rows * cells(repeat, true); i++) {
        float *dx = call->dx[0] + source(repeat, i) * n;
        call->backend->vec->add(n, dx, call->dy + (size_t)i * n, dx);
    }
}
