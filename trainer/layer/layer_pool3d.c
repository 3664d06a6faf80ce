#include "trainer/layer/layer_pool3d.h"

#include <float.h>
#include <string.h>

enum { AXES = 3 };
struct pool3d {
    int in[AXES], out[AXES], window[AXES], stride[AXES], before[AXES];
    size_t channels;
};

int layer_pool3d_infer(struct layer *layer, struct arena *arena, struct err *err)
{
    const struct layer_pool *o = layer->options;
    const struct opt_ints *strides = o->strides.n ? &o->strides : &o->pool_size;
    struct pool3d *pool = ARENA_NEW(arena, struct pool3d);
    int64_t count;
    int r = layer_want_rank(layer, AXES + 1, err);
    if (r < 0) {
        return r;
    }
    layer->output = layer->inputs[0];
    pool->channels = (size_t)layer->inputs[0].d[AXES];
    for (int a = 0; a < AXES && r == 0; a++) {
        pool->window[a] = (int)o->pool_size.v[a];
        pool->stride[a] = (int)strides->v[a];
        r = layer_int(layer->inputs[0].d[a], "input", &pool->in[a], err);
        r = r < 0 ? r
                  : kernel_conv_axis(pool->in[a], pool->window[a], pool->stride[a], 1,
                                     (enum kernel_pad)o->padding, &pool->out[a], &pool->before[a],
                                     err);
        layer->output.d[a] = pool->out[a];
    }
    layer->kernel = pool;
    if (r == 0 && (shape_count(&layer->inputs[0], &count) < 0 || count > UINT32_MAX)) {
        r = err_set(err, ERR_LIMIT, "the input has too many values");
    }
    return r;
}

static size_t cells(const int *sizes)
{
    return (size_t)sizes[0] * (size_t)sizes[1] * (size_t)sizes[2];
}

/* The part of a window that lies inside. */
struct span {
    int from[AXES], to[AXES];
    size_t n;
};

static struct span span_of(const struct pool3d *pool, size_t cell)
{
    struct span span = {.n = 1};
    for (int a = AXES - 1; a >= 0; a--) {
        int first = (int)(cell % (size_t)pool->out[a]) * pool->stride[a] - pool->before[a];
        span.from[a] = first > 0 ? first : 0;
        span.to[a] = first + pool->window[a] < pool->in[a] ? first + pool->window[a] : pool->in[a];
        span.n *= (size_t)(span.to[a] - span.from[a]);
        cell /= (size_t)pool->out[a];
    }
    return span;
}

/* The i-th cell of a span, as a place in the input. */
static size_t cell_of(const struct pool3d *pool, const struct span *span, size_t i)
{
    size_t w = (size_t)(span->to[2] - span->from[2]), h = (size_t)(span->to[1] - span->from[1]);
    size_t x = (size_t)span->from[2] + i % w, y = (size_t)span->from[1] + i / w % h,
           z = (size_t)span->from[0] + i / w / h;
    return (z * (size_t)pool->in[1] + y) * (size_t)pool->in[2] + x;
}

int layer_pool3d_max_prepare(struct layer *layer, const struct layer_setup *setup, struct err *err)
{
    (void)err;
    const struct pool3d *pool = layer->kernel;
    layer->state_bytes = (size_t)setup->rows * cells(pool->out) * pool->channels * sizeof(uint32_t);
    return 0;
}

/* Of equal ones the first, as the kernels of images do. */
static void max_cell(const struct pool3d *pool, const float *x, size_t cell, float *y,
                     uint32_t *places)
{
    struct span span = span_of(pool, cell);
    for (size_t c = 0; c < pool->channels; c++) {
        y[c] = -FLT_MAX;
        places[c] = (uint32_t)cell_of(pool, &span, 0);
    }
    for (size_t i = 0; i < span.n; i++) {
        size_t at = cell_of(pool, &span, i);
        const float *from = x + at * pool->channels;
        for (size_t c = 0; c < pool->channels; c++) {
            if (from[c] > y[c]) {
                y[c] = from[c];
                places[c] = (uint32_t)at;
            }
        }
    }
}

void layer_pool3d_max_forward(struct layer *layer, const struct layer_call *call)
{
    const struct pool3d *pool = layer->kernel;
    size_t n = cells(pool->out), c = pool->channels;
    for (size_t i = 0; i < (size_t)call->rows * n; i++) {
        const float *x = (const float *)call->x[0] + i / n * cells(pool->in) * c;
        max_cell(pool, x, i % n, call->y + i * c, (uint32_t *)call->state + i * c);
    }
}

void layer_pool3d_max_backward(struct layer *layer, const struct layer_call *call)
{
    const struct pool3d *pool = layer->kernel;
    size_t n = cells(pool->out), c = pool->channels, in = cells(pool->in) * c;
    const uint32_t *places = call->state;
    memset(call->dx[0], 0, (size_t)call->rows * in * sizeof(float));
    for (size_t i = 0; i < (size_t)call->rows * n * c; i++) {
        call->dx[0][i / (n * c) * in + places[i] * c + i % c] += call->dy[i];
    }
}

void layer_pool3d_average_forward(struct layer *layer, const struct layer_call *call)
{
    const struct pool3d *pool = layer->kernel;
    size_t n = cells(pool->out), c = pool->channels;
    for (size_t i = 0; i < (size_t)call->rows * n; i++) {
        const float *x = (const float *)call->x[0] + i / n * cells(pool->in) * c;
        struct span span = span_of(pool, i % n);
        float *y = call->y + i * c;
        call->backend->vec->fill(c, 0.0F, y);
        for (size_t k = 0; k < span.n; k++) {
            call->backend->vec->add(c, y, x + cell_of(pool, &span, k) * c, y);
        }
        call->backend->vec->scale(c, 1.0F / (float)span.n, y, y);
    }
}

void layer_pool3d_average_backward(struct layer *layer, const struct layer_call *call)
{
    const struct pool3d *pool = layer->kernel;
    size_t n = cells(pool->out), c = pool->channels, in = cells(pool->in) * c;
    memset(call->dx[0], 0, (size_t)call->rows * in * sizeof(float));
    for (size_t i = 0; i < (size_t)call->rows * n; i++) {
        struct span span = span_of(pool, i % n);
        for (size_t k = 0; k < span.n; k++) {
            float *dx = call->dx[0] + i / n * in + cell_of(pool, &span, k) * c;
            call->backend->vec->axpy(c, 1.0F / (float)span.n, call->dy + i * c, dx);
        }
    }
}
