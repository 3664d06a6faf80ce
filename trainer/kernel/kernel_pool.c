#include "trainer/kernel/kernel_pool.h"

#include <stdint.h>

int kernel_pool_shape(struct kernel_pool_desc *desc, enum kernel_pad pad, struct err *err)
{
    int code = kernel_conv_axis(desc->h, desc->pool_h, desc->stride_h, 1, pad, &desc->out_h,
                                &desc->pad_top, err);
    if (code == 0) {
        code = kernel_conv_axis(desc->w, desc->pool_w, desc->stride_w, 1, pad, &desc->out_w,
                                &desc->pad_left, err);
    }
    return code ? code : kernel_pool_check(desc, err);
}

int kernel_pool_check(const struct kernel_pool_desc *desc, struct err *err)
{
    const struct kernel_pool_desc *d = desc;
    if (d->n < 1 || d->h < 1 || d->w < 1 || d->c < 1 || d->pool_h < 1 || d->pool_w < 1 ||
        d->stride_h < 1 || d->stride_w < 1 || d->out_h < 1 || d->out_w < 1) {
        return err_set(err, ERR_SHAPE, "a pooling with an empty axis");
    }
    /* Every window holds a cell of the image: the first begins at or before cell 0 and the last
     * before the end. */
    if (d->pad_top < 0 || d->pad_left < 0 || d->pad_top >= d->pool_h || d->pad_left >= d->pool_w ||
        (int64_t)(d->out_h - 1) * d->stride_h - d->pad_top >= d->h ||
        (int64_t)(d->out_w - 1) * d->stride_w - d->pad_left >= d->w) {
        return err_set(err, ERR_SHAPE, "a pooling window that lies outside the image");
    }
    if ((int64_t)d->h * d->w > INT32_MAX / d->c || (int64_t)d->h * d->w * d->c > INT32_MAX / d->n) {
        return err_set(err, ERR_LIMIT, "a pooling over more than 2^31 elements");
    }
    return 0;
}
