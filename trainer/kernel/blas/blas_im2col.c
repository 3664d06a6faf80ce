/* Convolution through im2col and OpenBLAS: for groups and dilation. One image at a time, a thread a
 * fixed range of images. */
#include "trainer/kernel/blas/blas.h"

#include <cblas.h>
#include <string.h>

struct conv {
    struct kernel_conv base;
    const struct blas_isa *isa;
    int threads;
    int pixels; /* of an output image */
    int taps;   /* r * s * c / groups: the length of a column */
    int group_c, group_k;
    size_t col_bytes; /* one thread's (pixels, taps) matrix */
    size_t sum_bytes; /* one thread's sum of weight gradients */
};

static int conv_create(const struct kernel_conv_desc *desc, struct arena *arena,
                       struct kernel_conv **ret_conv, struct err *err)
{
    int code = kernel_conv_check(desc, err);
    if (code) {
        return code;
    }
    int64_t taps = (int64_t)desc->r * desc->s * (desc->c / desc->groups);
    int64_t pixels = (int64_t)desc->out_h * desc->out_w;
    if (taps > INT32_MAX / pixels) {
        return err_set(err, ERR_LIMIT, "a convolution over more than 2^31 elements");
    }
    struct conv *conv = ARENA_NEW(arena, struct conv);
    conv->base.ops = &blas_im2col;
    conv->base.desc = *desc;
    conv->base.impl = "im2col sgemm";
    conv->isa = blas_isa();
    conv->threads = kernel_threads() < desc->n ? kernel_threads() : desc->n;
    conv->pixels = (int)pixels;
    conv->taps = (int)taps;
    conv->group_c = desc->c / desc->groups;
    conv->group_k = desc->k / desc->groups;
    conv->col_bytes = blas_align(sizeof(float) * (size_t)(taps * pixels));
    conv->sum_bytes = desc->training ? blas_align(sizeof(float) * (size_t)(taps * desc->k)) : 0;
    conv->base.scratch_bytes = (size_t)conv->threads * (conv->col_bytes + conv->sum_bytes);
    *ret_conv = &conv->base;
    return 0;
}

static void conv_destroy(struct kernel_conv *conv)
{
    (void)conv;
}

/* The image cell under a tap of an output, as an element offset, or -1. */
static ptrdiff_t cell_at(const struct kernel_conv_desc *d, int pixel, int tap)
{
    ptrdiff_t h = (ptrdiff_t)(pixel / d->out_w) * d->stride_h +
                  (ptrdiff_t)(tap / d->s) * d->dilation_h - d->pad_top;
    ptrdiff_t w = (ptrdiff_t)(pixel % d->out_w) * d->stride_w +
                  (ptrdiff_t)(tap % d->s) * d->dilation_w - d->pad_left;
    return h < 0 || h >= d->h || w < 0 || w >= d->w ? -1 : (h * d->w + w) * d->c;
}

/* x: the image from the group's first channel on. */
static void im2col(const struct conv *conv, const float *x, float *col)
{
    const struct kernel_conv_desc *d = &conv->base.desc;
    size_t bytes = sizeof(float) * (size_t)conv->group_c;
    for (int pixel = 0; pixel < conv->pixels; pixel++) {
        for (int tap = 0; tap < d->r * d->s; tap++, col += conv->group_c) {
            ptrdiff_t cell = cell_at(d, pixel, tap);
            if (cell < 0) {
                memset(col, 0, bytes);
            } else {
                memcpy(col, x + cell, bytes);
            }
        }
    }
}

static void col2im(const struct conv *conv, const float *col, float *dx)
{
    const struct kernel_conv_desc *d = &conv->base.desc;
    for (int pixel = 0; pixel < conv->pixels; pixel++) {
        for (int tap = 0; tap < d->r * d->s; tap++, col += conv->group_c) {
            ptrdiff_t cell = cell_at(d, pixel, tap);
            for (ptrdiff_t c = 0; c < conv->group_c && cell >= 0; c++) {
                dx[cell + c] += col[c];
            }
        }
    }
}

static void forward_image(const struct conv *conv, const float *x, const float *w, const float *b,
                          float *y, float *col)
{
    const struct kernel_conv_desc *d = &conv->base.desc;
    for (ptrdiff_t p = 0; p < conv->pixels; p++) {
        if (b) {
            memcpy(y + p * d->k, b, sizeof(float) * (size_t)d->k);
        } else {
            memset(y + p * d->k, 0, sizeof(float) * (size_t)d->k);
        }
    }
    for (int g = 0; g < d->groups; g++) {
        im2col(conv, x + g * conv->group_c, col);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, conv->pixels, conv->group_k,
                    conv->taps, 1.0F, col, conv->taps, w + g * conv->group_k, d->k, 1.0F,
                    y + g * conv->group_k, d->k);
    }
    if (d->act.kind != KERNEL_ACT_LINEAR) {
        conv->isa->act->forward(&d->act, (size_t)conv->pixels * (size_t)d->k, y, y);
    }
}

static void conv_forward(struct kernel_conv *base, int n, const float *x, const float *w,
                         const float *b, float *y, void *scratch)
{
    struct conv *conv = (struct conv *)base;
    const struct kernel_conv_desc *d = &base->desc;
    int parts = conv->threads < n ? conv->threads : n;
    ptrdiff_t in = (ptrdiff_t)d->h * d->w * d->c;
    ptrdiff_t out = (ptrdiff_t)conv->pixels * d->k;
#pragma omp parallel for schedule(static, 1) num_threads(parts) if (parts > 1)
    for (int p = 0; p < parts; p++) {
        float *col = (float *)(void *)((char *)scratch + (size_t)p * conv->col_bytes);
        for (ptrdiff_t i = blas_part(n, p, parts); i < blas_part(n, p + 1, parts); i++) {
            forward_image(conv, x + i * in, w, b, y + i * out, col);
        }
    }
}

static void backward_image(const struct conv *conv, const float *x, const float *w, const float *dy,
                           float *dx, float *sum, float *col)
{
    const struct kernel_conv_desc *d = &conv->base.desc;
    if (dx) {
        memset(dx, 0, sizeof(float) * (size_t)d->h * (size_t)d->w * (size_t)d->c);
    }
    for (int g = 0; g < d->groups; g++) {
        const float *dy_group = dy + g * conv->group_k;
        if (sum) {
            im2col(conv, x + g * conv->group_c, col);
            cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, conv->taps, conv->group_k,
                        conv->pixels, 1.0F, col, conv->taps, dy_group, d->k, 1.0F,
                        sum + g * conv->group_k, d->k);
        }
        if (dx) {
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, conv->pixels, conv->taps,
                        conv->group_k, 1.0F, dy_group, d->k, w + g * conv->group_k, d->k, 0.0F, col,
                        conv->taps);
            col2im(conv, col, dx + g * conv->group_c);
        }
    }
}

static void conv_backward(struct kernel_conv *base, int n, const float *x, const float *w,
                          const float *y, float *dy, float *dx, float *dw, float *db, void *scratch)
{
    struct conv *conv = (struct conv *)base;
    const struct kernel_conv_desc *d = &base->desc;
    size_t pixels = (size_t)n * (size_t)conv->pixels;
    if (d->act.kind != KERNEL_ACT_LINEAR) {
        conv->isa->act->backward(&d->act, pixels * (size_t)d->k, NULL, y, dy, dy);
    }
    if (db) {
        conv->isa->vec->col_sum(pixels, (size_t)d->k, dy, db);
    }
    int parts = conv->threads < n ? conv->threads : n;
    ptrdiff_t in = (ptrdiff_t)d->h * d->w * d->c;
    ptrdiff_t out = (ptrdiff_t)conv->pixels * d->k;
    char *at = scratch;
    float *sums = blas_take(&at, (size_t)parts * conv->sum_bytes);
    ptrdiff_t sum_size = (ptrdiff_t)(conv->sum_bytes / sizeof(float));
#pragma omp parallel for schedule(static, 1) num_threads(parts) if (parts > 1)
    for (int p = 0; p < parts; p++) {
        float *col = (float *)(void *)(at + (size_t)p * conv->col_bytes);
        float *sum = sums + p * sum_size;
        memset(sum, 0, conv->sum_bytes);
        for (ptrdiff_t i = blas_part(n, p, parts); i < blas_part(n, p + 1, parts); i++) {
            backward_image(conv, x + i * in, w, dy + i * out, dx ? dx + i * in : NULL,
                           dw ? sum : NULL, col);
        }
    }
    if (!dw) {
        return;
    }
    size_t weights = (size_t)conv->taps * (size_t)d->k;
    memcpy(dw, sums, sizeof(float) * weights);
    for (int p = 1; p < parts; p++) {
        conv->isa->vec->add(weights, dw, sums + p * sum_size, dw);
    }
}

const struct kernel_conv_ops blas_im2col = {
    .create = conv_create,
    .destroy = conv_destroy,
    .forward = conv_forward,
    .backward = conv_backward,
};
