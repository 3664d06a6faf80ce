/* Convolution by the direct kernels: padding, threads, packing. A thread has a fixed range of
 * images. */
#include "trainer/kernel/blas/blas.h"

#include <string.h>

struct conv {
    struct kernel_conv base;
    const struct blas_isa *isa;
    struct direct_shape shape;
    int threads;
    bool is_padded;       /* x goes through a copy with its padding written out */
    ptrdiff_t rows;       /* of the padded image */
    size_t image_bytes;   /* of the padded image with slack, one thread's */
    size_t dy_bytes;      /* of one image's dy with slack, if k does not divide by 8 */
    size_t sum_bytes;     /* of one thread's sum of weight gradients */
    size_t forward_bytes; /* packed weights */
    size_t data_bytes;
    size_t bias_bytes; /* of one thread's bias gradient */
};

static void set_sizes(struct conv *conv)
{
    const struct kernel_conv_desc *d = &conv->base.desc;
    const struct direct_ops *direct = conv->isa->direct;
    const struct direct_shape *shape = &conv->shape;
    conv->image_bytes =
        blas_align(sizeof(float) * (size_t)(conv->rows * shape->row + DIRECT_SLACK));
    conv->forward_bytes = blas_align(sizeof(float) * direct->forward_weights(shape));
    size_t threads = (size_t)conv->threads;
    size_t forward = conv->forward_bytes + threads * conv->image_bytes;
    size_t backward = 0;
    if (d->training) {
        size_t dy = (size_t)d->out_h * (size_t)d->out_w * (size_t)d->k;
        conv->dy_bytes = d->k % 8 ? blas_align(sizeof(float) * (dy + DIRECT_SLACK)) : 0;
        conv->sum_bytes = blas_align(sizeof(float) * direct->gradient_size(shape));
        conv->bias_bytes = blas_align(sizeof(float) * ((size_t)d->k + 7));
        conv->data_bytes =
            d->needs_dx ? blas_align(sizeof(float) * direct->data_weights(shape)) : 0;
        backward = conv->data_bytes + threads * (conv->image_bytes + conv->dy_bytes +
                                                 conv->sum_bytes + conv->bias_bytes);
    }
    conv->base.scratch_bytes = forward > backward ? forward : backward;
}

static int conv_create(const struct kernel_conv_desc *desc, struct arena *arena,
                       struct kernel_conv **ret_conv, struct err *err)
{
    int code = kernel_conv_check(desc, err);
    if (code) {
        return code;
    }
    struct conv *conv = ARENA_NEW(arena, struct conv);
    conv->base.ops = &blas_direct;
    conv->base.desc = *desc;
    conv->isa = blas_isa();
    conv->base.impl = arena_printf(arena, "direct %s", conv->isa->name);
    conv->threads = kernel_threads() < desc->n ? kernel_threads() : desc->n;
    ptrdiff_t rows = (ptrdiff_t)(desc->out_h - 1) * desc->stride_h + desc->r;
    ptrdiff_t cols = (ptrdiff_t)(desc->out_w - 1) * desc->stride_w + desc->s;
    conv->is_padded = desc->pad_top > 0 || desc->pad_left > 0 || rows > desc->h || cols > desc->w;
    conv->rows = conv->is_padded ? rows : desc->h;
    conv->shape = (struct direct_shape){
        .row = (conv->is_padded ? cols : desc->w) * desc->c,
        .step = (ptrdiff_t)desc->stride_w * desc->c,
        .stride_h = desc->stride_h,
        .r = desc->r,
        .sc = (ptrdiff_t)desc->s * desc->c,
        .k = desc->k,
        .out_h = desc->out_h,
        .out_w = desc->out_w,
    };
    set_sizes(conv);
    *ret_conv = &conv->base;
    return 0;
}

static void conv_destroy(struct kernel_conv *conv)
{
    (void)conv; /* all of it is the arena's */
}

/* Where row `row` of the padded image lies in the real one, and the part of it that is real: `n`
 * floats from real column 0 on, `left` floats after its beginning. False: it is padding. */
static bool real_row(const struct conv *conv, ptrdiff_t row, ptrdiff_t *ret_offset,
                     ptrdiff_t *ret_left, ptrdiff_t *ret_n)
{
    const struct kernel_conv_desc *d = &conv->base.desc;
    ptrdiff_t h = conv->is_padded ? row - d->pad_top : row;
    ptrdiff_t left = conv->is_padded ? (ptrdiff_t)d->pad_left * d->c : 0;
    ptrdiff_t n = (ptrdiff_t)d->w * d->c;
    n = n < conv->shape.row - left ? n : conv->shape.row - left;
    *ret_offset = h * d->w * d->c;
    *ret_left = left;
    *ret_n = n;
    return h >= 0 && h < d->h && n > 0;
}

/* The image with its padding: x itself if there is none. */
static const float *pad_image(const struct conv *conv, const float *x, float *padded)
{
    if (!conv->is_padded) {
        return x;
    }
    for (ptrdiff_t row = 0; row < conv->rows; row++) {
        float *to = padded + row * conv->shape.row;
        ptrdiff_t offset;
        ptrdiff_t left;
        ptrdiff_t n;
        if (!real_row(conv, row, &offset, &left, &n)) {
            memset(to, 0, sizeof(float) * (size_t)conv->shape.row);
            continue;
        }
        memset(to, 0, sizeof(float) * (size_t)left);
        memcpy(to + left, x + offset, sizeof(float) * (size_t)n);
        memset(to + left + n, 0, sizeof(float) * (size_t)(conv->shape.row - left - n));
    }
    return padded;
}

/* Back from a padded gradient to the image's; what no window reaches is 0. */
static void unpad_image(const struct conv *conv, const float *padded, float *dx)
{
    const struct kernel_conv_desc *d = &conv->base.desc;
    size_t image = (size_t)d->h * (size_t)d->w * (size_t)d->c;
    if (!conv->is_padded) {
        memcpy(dx, padded, sizeof(float) * image);
        return;
    }
    ptrdiff_t done = 0;
    for (ptrdiff_t row = 0; row < conv->rows; row++) {
        ptrdiff_t offset;
        ptrdiff_t left;
        ptrdiff_t n;
        if (real_row(conv, row, &offset, &left, &n)) {
            memcpy(dx + offset, padded + row * conv->shape.row + left, sizeof(float) * (size_t)n);
            ptrdiff_t width = (ptrdiff_t)d->w * d->c;
            memset(dx + offset + n, 0, sizeof(float) * (size_t)(width - n));
            done = offset + width;
        }
    }
    memset(dx + done, 0, sizeof(float) * (image - (size_t)done));
}

static void conv_forward(struct kernel_conv *base, int n, const float *x, const float *w,
                         const float *b, float *y, void *scratch)
{
    struct conv *conv = (struct conv *)base;
    const struct kernel_conv_desc *d = &base->desc;
    char *at = scratch;
    float *packed = blas_take(&at, conv->forward_bytes);
    conv->isa->direct->pack_forward(&conv->shape, w, packed);
    int parts = conv->threads < n ? conv->threads : n;
    ptrdiff_t in = (ptrdiff_t)d->h * d->w * d->c;
    ptrdiff_t out = (ptrdiff_t)d->out_h * d->out_w * d->k;
    bool relu = d->act.kind == KERNEL_ACT_RELU;
    bool later = !relu && d->act.kind != KERNEL_ACT_LINEAR;
#pragma omp parallel for schedule(static, 1) num_threads(parts) if (parts > 1)
    for (int p = 0; p < parts; p++) {
        float *padded = (float *)(void *)(at + (size_t)p * conv->image_bytes);
        for (ptrdiff_t i = blas_part(n, p, parts); i < blas_part(n, p + 1, parts); i++) {
            const float *image = pad_image(conv, x + i * in, padded);
            conv->isa->direct->forward(&conv->shape, image, packed, b, relu, y + i * out);
            if (later) {
                conv->isa->act->forward(&d->act, (size_t)out, y + i * out, y + i * out);
            }
        }
    }
}

/* One thread's share of the backward pass. */
struct work {
    int first, end; /* images */
    int n;          /* of the batch */
    float *image, *sum, *bias, *dy_copy;
    const float *y;
    float *dy; /* of the batch */
};

/* Image i's dy, in a copy if the kernel would read behind the batch. */
static const float *dy_of(const struct conv *conv, const struct work *work, ptrdiff_t i)
{
    const struct kernel_conv_desc *d = &conv->base.desc;
    ptrdiff_t out = (ptrdiff_t)d->out_h * d->out_w * d->k;
    if (!conv->dy_bytes || (work->n - 1 - i) * out >= DIRECT_SLACK) {
        return work->dy + i * out;
    }
    memcpy(work->dy_copy, work->dy + i * out, sizeof(float) * (size_t)out);
    memset(work->dy_copy + out, 0, sizeof(float) * DIRECT_SLACK);
    return work->dy_copy;
}

/* dy through the activation, while the image is in the cache. */
static void backward_act(const struct conv *conv, const struct work *work, ptrdiff_t i)
{
    const struct kernel_conv_desc *d = &conv->base.desc;
    size_t out = (size_t)d->out_h * (size_t)d->out_w * (size_t)d->k;
    float *dy = work->dy + (size_t)i * out;
    if (d->act.kind != KERNEL_ACT_LINEAR) {
        conv->isa->act->backward(&d->act, out, NULL, work->y + (size_t)i * out, dy, dy);
    }
}

static void backward_part(const struct conv *conv, const struct work *work, const float *x,
                          float *dx, bool needs_dw, const float *packed)
{
    const struct kernel_conv_desc *d = &conv->base.desc;
    const struct direct_ops *direct = conv->isa->direct;
    ptrdiff_t in = (ptrdiff_t)d->h * d->w * d->c;
    memset(work->sum, 0, conv->sum_bytes);
    memset(work->bias, 0, conv->bias_bytes);
    for (ptrdiff_t i = work->first; i < work->end; i++) {
        backward_act(conv, work, i);
        /* lanes behind k are the next image's, whatever state it is in: they are dropped */
        const float *dy = dy_of(conv, work, i);
        if (d->has_bias) {
            direct->bias(&conv->shape, dy, work->bias);
        }
        if (needs_dw) {
            direct->weights(&conv->shape, pad_image(conv, x + i * in, work->image), dy, work->sum);
        }
        if (dx) {
            memset(work->image, 0, conv->image_bytes);
            direct->data(&conv->shape, dy, packed, work->image);
            unpad_image(conv, work->image, dx + i * in);
        }
    }
}

static void conv_backward(struct kernel_conv *base, int n, const float *x, const float *w,
                          const float *y, float *dy, float *dx, float *dw, float *db, void *scratch)
{
    struct conv *conv = (struct conv *)base;
    size_t k = (size_t)base->desc.k;
    char *at = scratch;
    float *packed = blas_take(&at, conv->data_bytes);
    int parts = conv->threads < n ? conv->threads : n;
    float *sums = blas_take(&at, (size_t)parts * conv->sum_bytes);
    float *biases = blas_take(&at, (size_t)parts * conv->bias_bytes);
    ptrdiff_t sum_size = (ptrdiff_t)(conv->sum_bytes / sizeof(float));
    ptrdiff_t bias_size = (ptrdiff_t)(conv->bias_bytes / sizeof(float));
    if (dx) {
        conv->isa->direct->pack_data(&conv->shape, w, packed);
    }
#pragma omp parallel for schedule(static, 1) num_threads(parts) if (parts > 1)
    for (int p = 0; p < parts; p++) {
        char *own = at + (size_t)p * (conv->image_bytes + conv->dy_bytes);
        struct work work = {
            .first = blas_part(n, p, parts),
            .end = blas_part(n, p + 1, parts),
            .n = n,
            .sum = sums + p * sum_size,
            .bias = biases + p * bias_size,
            .y = y,
            .dy = dy,
        };
        work.image = blas_take(&own, conv->image_bytes);
        work.dy_copy = blas_take(&own, conv->dy_bytes);
        backward_part(conv, &work, x, dx, dw, packed);
    }
    if (dw) {
        conv->isa->direct->weights_reduce(&conv->shape, parts, sum_size, sums, dw);
    }
    for (ptrdiff_t p = 0; db && p < parts; p++) {
        if (p == 0) {
            memcpy(db, biases, sizeof(float) * k);
        } else {
            conv->isa->vec->add(k, db, biases + p * bias_size, db);
        }
    }
}

const struct kernel_conv_ops blas_direct = {
    .create = conv_create,
    .destroy = conv_destroy,
    .forward = conv_forward,
    .backward = conv_backward,
};
