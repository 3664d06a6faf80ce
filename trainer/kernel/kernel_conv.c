#include "trainer/kernel/kernel_conv.h"

#include <stdint.h>

/* 2^31 elements a tensor: sizes in oneDNN and cblas are ints. */
#define KERNEL_CONV_MAX_ELEMENTS INT64_C(2147483647)

int kernel_conv_axis(int in, int window, int stride, int dilation, enum kernel_pad pad,
                     int *ret_out, int *ret_before, struct err *err)
{
    if (in < 1 || window < 1 || stride < 1 || dilation < 1 || window > 65535 || dilation > 65535 ||
        stride > 65535) {
        return err_set(err, ERR_RANGE, "a window of %d with stride %d, dilation %d over %d cells",
                       window, stride, dilation, in);
    }
    int64_t reach = (int64_t)(window - 1) * dilation + 1;
    if (pad == KERNEL_PAD_SAME) {
        int64_t out = ((int64_t)in + stride - 1) / stride;
        int64_t total = (out - 1) * stride + reach - in;
        *ret_out = (int)out;
        *ret_before = total > 0 ? (int)(total / 2) : 0;
        return 0;
    }
    if (reach > in) {
        return err_set(err, ERR_SHAPE,
                       "a window that reaches over %lld cells does not fit into %d without padding",
                       (long long)reach, in);
    }
    *ret_out = (int)((in - reach) / stride + 1);
    *ret_before = 0;
    return 0;
}

int kernel_conv_shape(struct kernel_conv_desc *desc, enum kernel_pad pad, struct err *err)
{
    int code = kernel_conv_axis(desc->h, desc->r, desc->stride_h, desc->dilation_h, pad,
                                &desc->out_h, &desc->pad_top, err);
    if (code == 0) {
        code = kernel_conv_axis(desc->w, desc->s, desc->stride_w, desc->dilation_w, pad,
                                &desc->out_w, &desc->pad_left, err);
    }
    return code ? code : kernel_conv_check(desc, err);
}

static bool is_big(int64_t a, int64_t b, int64_t c, int64_t d)
{
    int64_t product = a;
    return __builtin_mul_overflow(product, b, &product) ||
           __builtin_mul_overflow(product, c, &product) ||
           __builtin_mul_overflow(product, d, &product) || product > KERNEL_CONV_MAX_ELEMENTS;
}

int kernel_conv_check(const struct kernel_conv_desc *desc, struct err *err)
{
    const struct kernel_conv_desc *d = desc;
    if (d->n < 1 || d->h < 1 || d->w < 1 || d->c < 1 || d->k < 1 || d->r < 1 || d->s < 1 ||
        d->stride_h < 1 || d->stride_w < 1 || d->dilation_h < 1 || d->dilation_w < 1 ||
        d->groups < 1 || d->pad_top < 0 || d->pad_left < 0 || d->out_h < 1 || d->out_w < 1) {
        return err_set(err, ERR_SHAPE, "a convolution with an empty axis");
    }
    if (d->c % d->groups != 0 || d->k % d->groups != 0) {
        return err_set(err, ERR_SHAPE, "%d channels and %d filters do not divide into %d groups",
                       d->c, d->k, d->groups);
    }
    /* The image with its padding, which backends write out. */
    int64_t rows = (int64_t)(d->out_h - 1) * d->stride_h + (int64_t)(d->r - 1) * d->dilation_h + 1;
    int64_t cols = (int64_t)(d->out_w - 1) * d->stride_w + (int64_t)(d->s - 1) * d->dilation_w + 1;
    if (is_big(rows, cols, d->c, 1) || is_big(d->n, d->h, d->w, d->c) ||
        is_big(d->n, d->out_h, d->out_w, d->k) || is_big(d->r, d->s, d->c, d->k)) {
        return err_set(err, ERR_LIMIT, "a convolution over more than 2^31 elements");
    }
    if (!kernel_act_is_fusible(d->act.kind)) {
        return err_set(err, ERR_UNSUPPORTED, "this activation cannot be fused with a convolution");
    }
    if (d->x_layout != 0 || d->y_layout != 0) {
        return err_set(err, ERR_UNSUPPORTED, "a layout other than NHWC");
    }
    return 0;
}

double kernel_conv_flops(const struct kernel_conv_desc *desc)
{
    return 2.0 * desc->n * desc->out_h * desc->out_w * desc->k * desc->r * desc->s * desc->c /
           desc->groups;
}
