/* Convolution as its definition. */
#include "trainer/kernel/backends.h"

#include <string.h>

static int conv_create(const struct kernel_conv_desc *desc, struct arena *arena,
                       struct kernel_conv **ret_conv, struct err *err)
{
    int code = kernel_conv_check(desc, err);
    if (code) {
        return code;
    }
    struct kernel_conv *conv = ARENA_NEW(arena, struct kernel_conv);
    conv->ops = &ref_conv;
    conv->desc = *desc;
    conv->impl = "ref";
    int64_t widest = desc->k;
    widest = desc->c > widest ? desc->c : widest;
    int64_t kernel = (int64_t)desc->r * desc->s * (desc->c / desc->groups) * desc->k;
    conv->scratch_bytes = sizeof(double) * (size_t)(kernel > widest ? kernel : widest);
    *ret_conv = conv;
    return 0;
}

static void conv_destroy(struct kernel_conv *conv)
{
    (void)conv; /* all of it is the arena's */
}

/* Where tap (r, s) of output (oh, ow) lies in an image, as an element offset, or -1 outside. */
static ptrdiff_t cell_at(const struct kernel_conv_desc *d, int oh, int ow, int r, int s)
{
    ptrdiff_t h = (ptrdiff_t)oh * d->stride_h + (ptrdiff_t)r * d->dilation_h - d->pad_top;
    ptrdiff_t w = (ptrdiff_t)ow * d->stride_w + (ptrdiff_t)s * d->dilation_w - d->pad_left;
    return h < 0 || h >= d->h || w < 0 || w >= d->w ? -1 : (h * d->w + w) * d->c;
}

/* sum[k] += one tap: x is the cell (c), w the tap's kernel (c/groups, k). */
static void tap_forward(const struct kernel_conv_desc *d, const float *x, const float *w,
                        double *sum)
{
    ptrdiff_t group_c = d->c / d->groups;
    ptrdiff_t group_k = d->k / d->groups;
    for (ptrdiff_t g = 0; g < d->groups; g++) {
        for (ptrdiff_t c = 0; c < group_c; c++) {
            double value = (double)x[g * group_c + c];
            for (ptrdiff_t k = g * group_k; k < (g + 1) * group_k; k++) {
                sum[k] += value * (double)w[c * d->k + k];
            }
        }
    }
}

static void conv_forward(struct kernel_conv *conv, int n, const float *x, const float *w,
                         const float *b, float *y, void *scratch)
{
    const struct kernel_conv_desc *d = &conv->desc;
    double *sum = scratch;
    ptrdiff_t tap_size = (ptrdiff_t)(d->c / d->groups) * d->k;
    float *out = y;
    for (ptrdiff_t i = 0; i < (ptrdiff_t)n * d->out_h * d->out_w; i++, out += d->k) {
        int ow = (int)(i % d->out_w);
        int oh = (int)(i / d->out_w % d->out_h);
        const float *image = x + i / d->out_w / d->out_h * d->h * d->w * d->c;
        for (ptrdiff_t k = 0; k < d->k; k++) {
            sum[k] = b ? (double)b[k] : 0.0;
        }
        for (int tap = 0; tap < d->r * d->s; tap++) {
            ptrdiff_t cell = cell_at(d, oh, ow, tap / d->s, tap % d->s);
            if (cell >= 0) {
                tap_forward(d, image + cell, w + tap * tap_size, sum);
            }
        }
        for (ptrdiff_t k = 0; k < d->k; k++) {
            out[k] = (float)sum[k];
        }
    }
    if (d->act.kind != KERNEL_ACT_LINEAR) {
        ref_act.forward(&d->act, (size_t)n * (size_t)d->out_h * (size_t)d->out_w * (size_t)d->k, y,
                        y);
    }
}

static void backward_weights(const struct kernel_conv_desc *d, int n, const float *x,
                             const float *dy, float *dw, double *sum)
{
    ptrdiff_t group_c = d->c / d->groups;
    ptrdiff_t group_k = d->k / d->groups;
    ptrdiff_t tap_size = group_c * d->k;
    memset(sum, 0, sizeof(double) * (size_t)(d->r * d->s * tap_size));
    for (ptrdiff_t i = 0; i < (ptrdiff_t)n * d->out_h * d->out_w; i++, dy += d->k) {
        int ow = (int)(i % d->out_w);
        int oh = (int)(i / d->out_w % d->out_h);
        const float *image = x + i / d->out_w / d->out_h * d->h * d->w * d->c;
        for (int tap = 0; tap < d->r * d->s; tap++) {
            ptrdiff_t cell = cell_at(d, oh, ow, tap / d->s, tap % d->s);
            for (ptrdiff_t c = 0; c < d->c && cell >= 0; c++) {
                double value = (double)image[cell + c];
                double *row = sum + tap * tap_size + c % group_c * d->k;
                ptrdiff_t k0 = c / group_c * group_k;
                for (ptrdiff_t k = k0; k < k0 + group_k; k++) {
                    row[k] += value * (double)dy[k];
                }
            }
        }
    }
    for (ptrdiff_t i = 0; i < d->r * d->s * tap_size; i++) {
        dw[i] = (float)sum[i];
    }
}

/* What input cell (h, w) of an image gets from tap (r, s): the output it went to, as an element
 * offset into dy, or -1. */
static ptrdiff_t output_of(const struct kernel_conv_desc *d, int h, int w, int r, int s)
{
    ptrdiff_t top = (ptrdiff_t)h + d->pad_top - (ptrdiff_t)r * d->dilation_h;
    ptrdiff_t left = (ptrdiff_t)w + d->pad_left - (ptrdiff_t)s * d->dilation_w;
    if (top < 0 || left < 0 || top % d->stride_h != 0 || left % d->stride_w != 0) {
        return -1;
    }
    ptrdiff_t oh = top / d->stride_h;
    ptrdiff_t ow = left / d->stride_w;
    return oh >= d->out_h || ow >= d->out_w ? -1 : (oh * d->out_w + ow) * d->k;
}

static void tap_backward(const struct kernel_conv_desc *d, const float *dy, const float *w,
                         double *sum)
{
    ptrdiff_t group_c = d->c / d->groups;
    ptrdiff_t group_k = d->k / d->groups;
    for (ptrdiff_t c = 0; c < d->c; c++) {
        ptrdiff_t k0 = c / group_c * group_k;
        for (ptrdiff_t k = k0; k < k0 + group_k; k++) {
            sum[c] += (double)dy[k] * (double)w[c % group_c * d->k + k];
        }
    }
}

static void backward_data(const struct kernel_conv_desc *d, int n, const float *w, const float *dy,
                          float *dx, double *sum)
{
    ptrdiff_t tap_size = (ptrdiff_t)(d->c / d->groups) * d->k;
    for (ptrdiff_t i = 0; i < (ptrdiff_t)n * d->h * d->w; i++, dx += d->c) {
        int iw = (int)(i % d->w);
        int ih = (int)(i / d->w % d->h);
        const float *image = dy + i / d->w / d->h * d->out_h * d->out_w * d->k;
        memset(sum, 0, sizeof(double) * (size_t)d->c);
        for (int tap = 0; tap < d->r * d->s; tap++) {
            ptrdiff_t out = output_of(d, ih, iw, tap / d->s, tap % d->s);
            if (out >= 0) {
                tap_backward(d, image + out, w + tap * tap_size, sum);
            }
        }
        for (ptrdiff_t c = 0; c < d->c; c++) {
            dx[c] = (float)sum[c];
        }
    }
}

static void conv_backward(struct kernel_conv *conv, int n, const float *x, const float *w,
                          const float *y, float *dy, float *dx, float *dw, float *db, void *scratch)
{
    const struct kernel_conv_desc *d = &conv->desc;
    size_t pixels = (size_t)n * (size_t)d->out_h * (size_t)d->out_w;
    if (d->act.kind != KERNEL_ACT_LINEAR) {
        ref_act.backward(&d->act, pixels * (size_t)d->k, NULL, y, dy, dy);
    }
    if (db) {
        ref_vec.col_sum(pixels, (size_t)d->k, dy, db);
    }
    if (dw) {
        backward_weights(d, n, x, dy, dw, scratch);
    }
    if (dx) {
        backward_data(d, n, w, dy, dx, scratch);
    }
}

const struct kernel_conv_ops ref_conv = {
    .create = conv_create,
    .destroy = conv_destroy,
    .forward = conv_forward,
    .backward = conv_backward,
};
