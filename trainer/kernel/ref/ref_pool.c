/* Pooling as its definition. The state of the maximum: for each output the winning cell's offset in
 * its image, int32. */
#include "trainer/kernel/backends.h"

#include <string.h>

static int pool_create(const struct kernel_pool_desc *desc, struct arena *arena,
                       struct kernel_pool **ret_pool, struct err *err)
{
    int code = kernel_pool_check(desc, err);
    if (code) {
        return code;
    }
    struct kernel_pool *pool = ARENA_NEW(arena, struct kernel_pool);
    pool->ops = &ref_pool;
    pool->desc = *desc;
    pool->impl = "ref";
    if (desc->kind == KERNEL_POOL_MAX && desc->training) {
        pool->state_bytes = sizeof(int32_t) * (size_t)desc->n * (size_t)desc->out_h *
                            (size_t)desc->out_w * (size_t)desc->c;
    }
    *ret_pool = pool;
    return 0;
}

static void pool_destroy(struct kernel_pool *pool)
{
    (void)pool;
}

/* The window's cells inside the image: rows h0 .. h1-1, columns w0 .. w1-1; never empty
 * (kernel_pool_check). */
struct window {
    int h0, h1, w0, w1;
};

static struct window window_of(const struct kernel_pool_desc *d, int oh, int ow)
{
    int top = oh * d->stride_h - d->pad_top;
    int left = ow * d->stride_w - d->pad_left;
    struct window window = {top, top + d->pool_h, left, left + d->pool_w};
    window.h0 = window.h0 < 0 ? 0 : window.h0;
    window.w0 = window.w0 < 0 ? 0 : window.w0;
    window.h1 = window.h1 > d->h ? d->h : window.h1;
    window.w1 = window.w1 > d->w ? d->w : window.w1;
    return window;
}

static void max_cell(const struct kernel_pool_desc *d, const struct window *window,
                     const float *image, ptrdiff_t c, float *y, int32_t *where)
{
    ptrdiff_t best = ((ptrdiff_t)window->h0 * d->w + window->w0) * d->c + c;
    for (ptrdiff_t h = window->h0; h < window->h1; h++) {
        for (ptrdiff_t w = window->w0; w < window->w1; w++) {
            ptrdiff_t at = (h * d->w + w) * d->c + c;
            best = image[at] > image[best] ? at : best;
        }
    }
    *y = image[best];
    if (where) {
        *where = (int32_t)best;
    }
}

static float average_cell(const struct kernel_pool_desc *d, const struct window *window,
                          const float *image, ptrdiff_t c)
{
    double sum = 0.0;
    for (ptrdiff_t h = window->h0; h < window->h1; h++) {
        for (ptrdiff_t w = window->w0; w < window->w1; w++) {
            sum += (double)image[(h * d->w + w) * d->c + c];
        }
    }
    return (float)(sum / ((window->h1 - window->h0) * (window->w1 - window->w0)));
}

static void pool_forward(struct kernel_pool *pool, int n, const float *x, float *y, void *state,
                         void *scratch)
{
    (void)scratch;
    const struct kernel_pool_desc *d = &pool->desc;
    int32_t *where = state;
    for (ptrdiff_t i = 0; i < (ptrdiff_t)n * d->out_h * d->out_w; i++) {
        const float *image = x + i / d->out_w / d->out_h * d->h * d->w * d->c;
        struct window window = window_of(d, (int)(i / d->out_w % d->out_h), (int)(i % d->out_w));
        for (ptrdiff_t c = 0; c < d->c; c++) {
            ptrdiff_t out = i * d->c + c;
            if (d->kind == KERNEL_POOL_MAX) {
                max_cell(d, &window, image, c, &y[out], where ? &where[out] : NULL);
            } else {
                y[out] = average_cell(d, &window, image, c);
            }
        }
    }
}

static void average_cell_backward(const struct kernel_pool_desc *d, const struct window *window,
                                  float share, float *image, ptrdiff_t c)
{
    for (ptrdiff_t h = window->h0; h < window->h1; h++) {
        for (ptrdiff_t w = window->w0; w < window->w1; w++) {
            image[(h * d->w + w) * d->c + c] += share;
        }
    }
}

static void pool_backward(struct kernel_pool *pool, int n, const float *dy, const void *state,
                          float *dx, void *scratch)
{
    (void)scratch;
    const struct kernel_pool_desc *d = &pool->desc;
    const int32_t *where = state;
    ptrdiff_t image_size = (ptrdiff_t)d->h * d->w * d->c;
    memset(dx, 0, sizeof(float) * (size_t)(n * image_size));
    for (ptrdiff_t i = 0; i < (ptrdiff_t)n * d->out_h * d->out_w; i++) {
        float *image = dx + i / d->out_w / d->out_h * image_size;
        struct window window = window_of(d, (int)(i / d->out_w % d->out_h), (int)(i % d->out_w));
        int cells = (window.h1 - window.h0) * (window.w1 - window.w0);
        for (ptrdiff_t c = 0; c < d->c; c++) {
            ptrdiff_t out = i * d->c + c;
            if (d->kind == KERNEL_POOL_MAX) {
                image[where[out]] += dy[out];
            } else {
                average_cell_backward(d, &window, dy[out] / (float)cells, image, c);
            }
        }
    }
}

static void global_average_forward(int n, int hw, int c, const float *x, float *y)
{
    for (ptrdiff_t i = 0; i < n; i++) {
        for (ptrdiff_t j = 0; j < c; j++) {
            double sum = 0.0;
            for (ptrdiff_t p = 0; p < hw; p++) {
                sum += (double)x[(i * hw + p) * c + j];
            }
            y[i * c + j] = (float)(sum / hw);
        }
    }
}

static void global_average_backward(int n, int hw, int c, const float *dy, float *dx)
{
    for (ptrdiff_t i = 0; i < (ptrdiff_t)n * hw; i++) {
        for (ptrdiff_t j = 0; j < c; j++) {
            dx[i * c + j] = dy[i / hw * c + j] / (float)hw;
        }
    }
}

const struct kernel_pool_ops ref_pool = {
    .create = pool_create,
    .destroy = pool_destroy,
    .forward = pool_forward,
    .backward = pool_backward,
    .global_average_forward = global_average_forward,
    .global_average_backward = global_average_backward,
};
