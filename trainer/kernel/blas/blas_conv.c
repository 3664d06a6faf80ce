/* Which of the two ways a convolution goes. Measured (docs: one Zen 4 core, 117 GFLOP/s): the
 * direct kernels reach 95-115 from 16 channels on, forward and backward, at every size up to 128
 * channels; im2col with sgemm 60-95. */
#include "trainer/kernel/blas/blas.h"

static int conv_create(const struct kernel_conv_desc *desc, struct arena *arena,
                       struct kernel_conv **ret_conv, struct err *err)
{
    bool is_direct = desc->groups == 1 && desc->dilation_h == 1 && desc->dilation_w == 1;
    return (is_direct ? blas_direct : blas_im2col).create(desc, arena, ret_conv, err);
}

static void conv_destroy(struct kernel_conv *conv)
{
    conv->ops->destroy(conv);
}

static void conv_forward(struct kernel_conv *conv, int n, const float *x, const float *w,
                         const float *b, float *y, void *scratch)
{
    conv->ops->forward(conv, n, x, w, b, y, scratch);
}

static void conv_backward(struct kernel_conv *conv, int n, const float *x, const float *w,
                          const float *y, float *dy, float *dx, float *dw, float *db, void *scratch)
{
    conv->ops->backward(conv, n, x, w, y, dy, dx, dw, db, scratch);
}

/* Objects carry the table of their own way, so these forward to it. */
const struct kernel_conv_ops blas_conv = {
    .create = conv_create,
    .destroy = conv_destroy,
    .forward = conv_forward,
    .backward = conv_backward,
};
