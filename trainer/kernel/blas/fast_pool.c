/* Pooling, 8 channels at a time. With fewer channels left a vector reaches into the next cell: what
 * it reads there is not used, and what it writes there is written again (forward: the next output)
 * or is the old value (backward: + 0). The state of the maximum: for each output the number of the
 * winning tap in its window, int32. */
#include "trainer/kernel/blas/blas.h"
#include "trainer/kernel/blas/vec8.h"

struct pool {
    struct kernel_pool base;
    int threads;
};

static int pool_create(const struct kernel_pool_desc *desc, struct arena *arena,
                       struct kernel_pool **ret_pool, struct err *err)
{
    int code = kernel_pool_check(desc, err);
    if (code) {
        return code;
    }
    struct pool *pool = ARENA_NEW(arena, struct pool);
    pool->base.ops = &VEC8_NAME(fast_pool);
    pool->base.desc = *desc;
    pool->base.impl = "vec8 " VEC8_TEXT(KERNEL_ISA);
    pool->threads = kernel_threads() < desc->n ? kernel_threads() : desc->n;
    if (desc->kind == KERNEL_POOL_MAX && desc->training) {
        pool->base.state_bytes = sizeof(int32_t) * (size_t)desc->n * (size_t)desc->out_h *
                                 (size_t)desc->out_w * (size_t)desc->c;
    }
    *ret_pool = &pool->base;
    return 0;
}

static void pool_destroy(struct kernel_pool *pool)
{
    (void)pool;
}

/* Of one axis: the first cell inside the image and the taps that are. */
struct span {
    int at;    /* cell of tap `first` */
    int first; /* tap */
    int n;
};

static struct span span_of(int out, int stride, int pad, int window, int size)
{
    int start = out * stride - pad;
    int first = start < 0 ? -start : 0;
    int end = start + window > size ? size - start : window;
    return (struct span){start + first, first, end - first};
}

VEC8_INLINE vec8 load_n(const float *x, size_t n)
{
    return n >= 8 ? vec8_load(x) : vec8_load_part(x, n);
}

VEC8_INLINE void store_n(float *y, vec8 v, size_t n)
{
    if (n >= 8) {
        vec8_store(y, v);
    } else {
        vec8_store_part(y, v, n);
    }
}

/* One output of one window, channels c .. c+7 of which `n` may be touched. */
VEC8_INLINE void max_block(const struct kernel_pool_desc *d, struct span h, struct span w,
                           const float *x, size_t n, float *y, int32_t *where)
{
    vec8 best = load_n(x, n);
    int start = h.first * d->pool_w + w.first;
    vec8i tap = (vec8i){0} + start;
    for (int r = 0; r < h.n; r++) {
        const float *row = x + (ptrdiff_t)r * d->w * d->c;
        for (int s = 0; s < w.n; s++, row += d->c) {
            vec8 value = load_n(row, n);
            vec8i more = value > best;
            best = vec8_select(more, value, best);
            tap = (tap & ~more) | (((vec8i){0} + (start + r * d->pool_w + s)) & more);
        }
    }
    store_n(y, best, n);
    if (where) {
        store_n((float *)(void *)where, (vec8)tap, n);
    }
}

VEC8_INLINE void average_block(const struct kernel_pool_desc *d, struct span h, struct span w,
                               const float *x, size_t n, float *y)
{
    vec8 sum = vec8_set(0.0F);
    for (int r = 0; r < h.n; r++) {
        for (int s = 0; s < w.n; s++) {
            sum += load_n(x + ((ptrdiff_t)r * d->w + s) * d->c, n);
        }
    }
    store_n(y, sum / (float)(h.n * w.n), n);
}

/* How many of 8 lanes may be touched when `left` floats remain of the image: never fewer than the
 * cell's own. */
static size_t lanes_of(ptrdiff_t left)
{
    return left < 8 ? (size_t)left : 8;
}

static void forward_output(const struct kernel_pool_desc *d, int oh, int ow, const float *x,
                           float *y, int32_t *where)
{
    struct span h = span_of(oh, d->stride_h, d->pad_top, d->pool_h, d->h);
    struct span w = span_of(ow, d->stride_w, d->pad_left, d->pool_w, d->w);
    ptrdiff_t at = ((ptrdiff_t)h.at * d->w + w.at) * d->c;
    ptrdiff_t out = ((ptrdiff_t)oh * d->out_w + ow) * d->c;
    ptrdiff_t left =
        (ptrdiff_t)d->h * d->w * d->c - at - ((ptrdiff_t)(h.n - 1) * d->w + w.n - 1) * d->c;
    ptrdiff_t left_out = (ptrdiff_t)d->out_h * d->out_w * d->c - out;
    left = left < left_out ? left : left_out;
    for (int c = 0; c < d->c; c += 8, at += 8, out += 8) {
        size_t n = lanes_of(left - c);
        if (d->kind == KERNEL_POOL_MAX && n == 8) {
            max_block(d, h, w, x + at, 8, y + out, where ? where + out : NULL);
        } else if (d->kind == KERNEL_POOL_MAX) {
            max_block(d, h, w, x + at, n, y + out, where ? where + out : NULL);
        } else {
            average_block(d, h, w, x + at, n, y + out);
        }
    }
}

/* The usual case, a maximum over 2 x 2 without padding: all taps in registers. */
static bool is_2x2(const struct kernel_pool_desc *d)
{
    return d->kind == KERNEL_POOL_MAX && d->pool_h == 2 && d->pool_w == 2 && d->stride_h == 2 &&
           d->stride_w == 2 && d->pad_top == 0 && d->pad_left == 0 && 2 * d->out_h <= d->h &&
           2 * d->out_w <= d->w && (d->c < 8 || d->c % 8 == 0);
}

VEC8_INLINE void max_2x2(const float *x, ptrdiff_t row, ptrdiff_t cell, float *y, int32_t *where)
{
    vec8 best = vec8_load(x);
    vec8i tap = {0};
    const float *taps[3] = {x + cell, x + row, x + row + cell};
#pragma GCC unroll 3
    for (int t = 0; t < 3; t++) {
        vec8 value = vec8_load(taps[t]);
        vec8i more = value > best;
        best = vec8_select(more, value, best);
        tap = (vec8i)vec8_select(more, (vec8)((vec8i){0} + (t + 1)), (vec8)tap);
    }
    vec8_store(y, best);
    if (where) {
        memcpy(where, &tap, sizeof(tap));
    }
}

static void forward_2x2(const struct kernel_pool_desc *d, const float *x, float *y, int32_t *where)
{
    ptrdiff_t row = (ptrdiff_t)d->w * d->c;
    ptrdiff_t image = d->h * row;
    ptrdiff_t image_out = (ptrdiff_t)d->out_h * d->out_w * d->c;
    for (int oh = 0; oh < d->out_h; oh++) {
        for (int ow = 0; ow < d->out_w; ow++) {
            ptrdiff_t at = 2 * oh * row + (ptrdiff_t)2 * ow * d->c;
            ptrdiff_t out = ((ptrdiff_t)oh * d->out_w + ow) * d->c;
            if (at + row + d->c + 8 > image || out + 8 > image_out) {
                forward_output(d, oh, ow, x, y, where);
                continue;
            }
            for (int c = 0; c < d->c; c += 8) {
                max_2x2(x + at + c, row, d->c, y + out + c, where ? where + out + c : NULL);
            }
        }
    }
}

static void forward_image(const struct kernel_pool_desc *d, const float *x, float *y,
                          int32_t *where)
{
    if (is_2x2(d)) {
        forward_2x2(d, x, y, where);
        return;
    }
    for (int oh = 0; oh < d->out_h; oh++) {
        for (int ow = 0; ow < d->out_w; ow++) {
            forward_output(d, oh, ow, x, y, where);
        }
    }
}

static void pool_forward(struct kernel_pool *base, int n, const float *x, float *y, void *state,
                         void *scratch)
{
    (void)scratch;
    const struct kernel_pool_desc *d = &base->desc;
    int threads = ((struct pool *)base)->threads;
    int parts = threads < n ? threads : n;
    ptrdiff_t in = (ptrdiff_t)d->h * d->w * d->c;
    ptrdiff_t out = (ptrdiff_t)d->out_h * d->out_w * d->c;
    int32_t *where = state;
#pragma omp parallel for schedule(static, 1) num_threads(parts) if (parts > 1)
    for (int p = 0; p < parts; p++) {
        for (ptrdiff_t i = blas_part(n, p, parts); i < blas_part(n, p + 1, parts); i++) {
            forward_image(d, x + i * in, y + i * out, where ? where + i * out : NULL);
        }
    }
}

/* What one output passes on, channels c .. c+7: lanes that are not the cell's are 0. */
struct gradient {
    vec8 g;
    vec8i tap;
};

VEC8_INLINE struct gradient gradient_of(const float *dy, const int32_t *where, ptrdiff_t left,
                                        size_t real, float cells)
{
    static const int32_t ramp[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    struct gradient out = {.tap = {0}};
    vec8i lane;
    memcpy(&lane, ramp, sizeof(lane));
    size_t n = left >= 8 ? 8 : real;
    out.g = (vec8)((vec8i)load_n(dy, n) & (lane < (int32_t)real));
    if (where) {
        out.tap = (vec8i)load_n((const float *)(const void *)where, n);
    } else {
        out.g = out.g / cells;
    }
    return out;
}

/* What the window's tap gets. */
VEC8_INLINE vec8 share_of(const struct gradient *gradient, bool is_max, int tap)
{
    vec8i mine = gradient->tap == tap;
    return is_max ? (vec8)((vec8i)gradient->g & mine) : gradient->g;
}

/* Row r of one output's window, windows apart from each other: each cell is written once, cells in
 * rising order, so that what a vector writes behind its cell is 0 or written again. With 8 channels
 * and more nothing is written behind. */
VEC8_INLINE void backward_cell(const struct kernel_pool_desc *d, const bool is_max, int oh, int ow,
                               struct span h, int r, const float *dy, const int32_t *where,
                               float *dx)
{
    ptrdiff_t image = (ptrdiff_t)d->h * d->w * d->c;
    ptrdiff_t image_out = (ptrdiff_t)d->out_h * d->out_w * d->c;
    struct span w = span_of(ow, d->stride_w, d->pad_left, d->pool_w, d->w);
    ptrdiff_t out = ((ptrdiff_t)oh * d->out_w + ow) * d->c;
    ptrdiff_t at = ((ptrdiff_t)(h.at + r) * d->w + w.at) * d->c;
    int tap = (h.first + r) * d->pool_w + w.first;
    for (int c = 0; c < d->c; c += 8, out += 8, at += 8) {
        size_t real = d->c - c < 8 ? (size_t)(d->c - c) : 8;
        struct gradient gradient = gradient_of(dy + out, is_max ? where + out : NULL,
                                               image_out - out, real, (float)(h.n * w.n));
        bool may_spill = d->c < 8 && image - at - (ptrdiff_t)(w.n - 1) * d->c >= 8;
        for (int s = 0; s < w.n; s++) {
            vec8 share = share_of(&gradient, is_max, tap + s);
            if (real == 8 || may_spill) {
                vec8_store(dx + at + (ptrdiff_t)s * d->c, share);
            } else {
                vec8_store_part(dx + at + (ptrdiff_t)s * d->c, share, real);
            }
        }
    }
}

static void backward_row_apart(const struct kernel_pool_desc *d, int oh, struct span h, int r,
                               const float *dy, const int32_t *where, float *dx)
{
    for (int ow = 0; ow < d->out_w; ow++) {
        if (where) {
            backward_cell(d, true, oh, ow, h, r, dy, where, dx);
        } else {
            backward_cell(d, false, oh, ow, h, r, dy, NULL, dx);
        }
    }
}

static void backward_2x2(const struct kernel_pool_desc *d, const float *dy, const int32_t *where,
                         float *dx)
{
    ptrdiff_t row = (ptrdiff_t)d->w * d->c;
    ptrdiff_t image = d->h * row;
    ptrdiff_t image_out = (ptrdiff_t)d->out_h * d->out_w * d->c;
    static const int32_t ramp[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    vec8i lane;
    memcpy(&lane, ramp, sizeof(lane));
    vec8i real = lane < (d->c < 8 ? d->c : 8);
    for (int line = 0; line < 2 * d->out_h; line++) {
        for (int ow = 0; ow < d->out_w; ow++) {
            ptrdiff_t at = line * row + (ptrdiff_t)2 * ow * d->c;
            ptrdiff_t out = ((ptrdiff_t)(line / 2) * d->out_w + ow) * d->c;
            if (at + d->c + 8 > image || out + 8 > image_out) {
                backward_cell(d, true, line / 2, ow, (struct span){line & ~1, 0, 2}, line & 1, dy,
                              where, dx);
                continue;
            }
            for (int c = 0; c < d->c; c += 8) {
                vec8i g = (vec8i)vec8_load(dy + out + c) & real;
                vec8i tap;
                memcpy(&tap, where + out + c, sizeof(tap));
                vec8_store(dx + at + c, (vec8)(g & (tap == 2 * (line & 1))));
                vec8_store(dx + at + d->c + c, (vec8)(g & (tap == 2 * (line & 1) + 1)));
            }
        }
    }
}

/* Windows that overlap: cells are added to. left: floats from the window's first cell to the end of
 * the image. */
static void backward_window(const struct kernel_pool_desc *d, struct span h, struct span w,
                            const float *dy, const int32_t *where, float *dx, ptrdiff_t left)
{
    for (int c = 0; c < d->c; c += 8) {
        size_t real = d->c - c < 8 ? (size_t)(d->c - c) : 8;
        struct gradient gradient =
            gradient_of(dy + c, where ? where + c : NULL, 0, real, (float)(h.n * w.n));
        for (int r = 0; r < h.n; r++) {
            for (int s = 0; s < w.n; s++) {
                ptrdiff_t at = ((ptrdiff_t)r * d->w + s) * d->c + c;
                vec8 share =
                    share_of(&gradient, where != NULL, (h.first + r) * d->pool_w + w.first + s);
                size_t n = lanes_of(left - at);
                store_n(dx + at, load_n(dx + at, n) + share, n);
            }
        }
    }
}

static void backward_image(const struct kernel_pool_desc *d, const float *dy, const int32_t *where,
                           float *dx)
{
    ptrdiff_t image = (ptrdiff_t)d->h * d->w * d->c;
    bool is_apart = d->stride_h >= d->pool_h && d->stride_w >= d->pool_w;
    bool is_small = is_2x2(d);
    bool is_covered = is_small && 2 * d->out_h == d->h && 2 * d->out_w == d->w;
    if (!is_covered) {
        memset(dx, 0, sizeof(float) * (size_t)image);
    }
    if (is_small) {
        backward_2x2(d, dy, where, dx);
        return;
    }
    for (int oh = 0; oh < d->out_h; oh++) {
        struct span h = span_of(oh, d->stride_h, d->pad_top, d->pool_h, d->h);
        for (int r = 0; is_apart && r < h.n; r++) {
            backward_row_apart(d, oh, h, r, dy, where, dx);
        }
        for (int ow = 0; !is_apart && ow < d->out_w; ow++) {
            struct span w = span_of(ow, d->stride_w, d->pad_left, d->pool_w, d->w);
            ptrdiff_t out = ((ptrdiff_t)oh * d->out_w + ow) * d->c;
            ptrdiff_t at = ((ptrdiff_t)h.at * d->w + w.at) * d->c;
            backward_window(d, h, w, dy + out, where ? where + out : NULL, dx + at, image - at);
        }
    }
}

static void pool_backward(struct kernel_pool *base, int n, const float *dy, const void *state,
                          float *dx, void *scratch)
{
    (void)scratch;
    const struct kernel_pool_desc *d = &base->desc;
    int threads = ((struct pool *)base)->threads;
    int parts = threads < n ? threads : n;
    ptrdiff_t in = (ptrdiff_t)d->h * d->w * d->c;
    ptrdiff_t out = (ptrdiff_t)d->out_h * d->out_w * d->c;
    const int32_t *where = d->kind == KERNEL_POOL_MAX ? state : NULL;
#pragma omp parallel for schedule(static, 1) num_threads(parts) if (parts > 1)
    for (int p = 0; p < parts; p++) {
        for (ptrdiff_t i = blas_part(n, p, parts); i < blas_part(n, p + 1, parts); i++) {
            backward_image(d, dy + i * out, where ? where + i * out : NULL, dx + i * in);
        }
    }
}

static void global_average_forward(int n, int hw, int c, const float *x, float *y)
{
    double total[FAST_COLS_MAX];
    for (int i = 0; i < n; i++, x += (ptrdiff_t)hw * c, y += c) {
        for (int c0 = 0; c0 < c; c0 += FAST_COLS_MAX) {
            int cols = c - c0 < FAST_COLS_MAX ? c - c0 : FAST_COLS_MAX;
            VEC8_NAME(fast_cols_sum)((size_t)hw, (size_t)c, (size_t)cols, x + c0, total);
            for (int j = 0; j < cols; j++) {
                y[c0 + j] = (float)(total[j] / hw);
            }
        }
    }
}

static void global_average_backward(int n, int hw, int c, const float *dy, float *dx)
{
    for (int i = 0; i < n; i++, dy += c) {
        for (int p = 0; p < hw; p++, dx += c) {
            for (int j = 0; j < c; j++) {
                dx[j] = dy[j] / (float)hw;
            }
        }
    }
}

const struct kernel_pool_ops VEC8_NAME(fast_pool) = {
    .create = pool_create,
    .destroy = pool_destroy,
    .forward = pool_forward,
    .backward = pool_backward,
    .global_average_forward = global_average_forward,
    .global_average_backward = global_average_backward,
};
