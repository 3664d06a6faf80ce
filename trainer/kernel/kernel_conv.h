/* kernel_conv - 2-d convolution, forward and both backward passes.
 *
 * Owns:     an object lives in the arena given to create, but a backend may hold primitives on the
 * heap: destroy it. Threads:  one call at a time an object; a backend may use kernel_threads()
 * threads inside, as many as at create. Errors:   create checks the desc (ERR_SHAPE, ERR_LIMIT);
 * the step calls cannot fail. Lifetime: made when the model is compiled, one a call site, destroyed
 * before its arena.
 *
 * Layouts: x (n,h,w,c), y (n,out_h,out_w,k), kernel w (r,s,c/groups,k) as Keras's Conv2D has it,
 * bias (k). fp32, dense. A later place for blocked layouts: x_layout and y_layout in the desc (0:
 * NHWC, the only one now); a backend would offer its own from a query function, and the graph
 * compiler would put reorders where two neighbours differ.
 */
#ifndef TRAINER_KERNEL_KERNEL_CONV_H
#define TRAINER_KERNEL_KERNEL_CONV_H

#include "base/arena.h"
#include "base/err.h"
#include "trainer/kernel/kernel_act.h"

#include <stdbool.h>
#include <stddef.h>

enum kernel_pad { KERNEL_PAD_VALID, KERNEL_PAD_SAME };

/* Output size and padding before of one axis as Keras has them: with `same` the odd cell goes to
 * the end. effective window = (window - 1) * dilation + 1. ERR_SHAPE if no output is left. */
int kernel_conv_axis(int in, int window, int stride, int dilation, enum kernel_pad pad,
                     int *ret_out, int *ret_before, struct err *err);

struct kernel_conv_desc {
    int n; /* the greatest batch: the step calls take n up to this */
    int h, w, c;
    int k;    /* filters */
    int r, s; /* kernel height, width */
    int stride_h, stride_w;
    int dilation_h, dilation_w; /* 1: none */
    int groups;
    int pad_top, pad_left; /* cells of zeros before; those after follow from out_h, out_w */
    int out_h, out_w;
    bool has_bias;
    bool training;          /* false: backward is never called (no memory for it) */
    bool needs_dx;          /* false: backward is called with dx NULL (first layer) */
    struct kernel_act act;  /* fused behind the bias; must be fusible */
    int x_layout, y_layout; /* 0 */
};

/* Fills pads and output from the rest; checks the whole desc. */
int kernel_conv_shape(struct kernel_conv_desc *desc, enum kernel_pad pad, struct err *err);
int kernel_conv_check(const struct kernel_conv_desc *desc, struct err *err);
/* Multiply-adds * 2 of one forward pass of n images. */
double kernel_conv_flops(const struct kernel_conv_desc *desc);

struct kernel_conv_ops;
/* What every backend's object begins with. */
struct kernel_conv {
    const struct kernel_conv_ops *ops;
    struct kernel_conv_desc desc;
    size_t scratch_bytes; /* the caller gives as many, aligned to 64, to each call; nothing survives
                             in them */
    const char
        *impl; /* for `summary` and benchmarks: "ref", "blas im2col", "dnnl jit:avx512_core", ... */
};

struct kernel_conv_ops {
    int (*create)(const struct kernel_conv_desc *desc, struct arena *arena,
                  struct kernel_conv **ret_conv, struct err *err);
    void (*destroy)(struct kernel_conv *conv);
    void (*forward)(struct kernel_conv *conv, int n, const float *x, const float *w, const float *b,
                    float *y, void *scratch);
    void (*backward)(struct kernel_conv *conv, int n, const float *x, const float *w,
                     const float *y, float *dy, float *dx, float *dw, float *db, void *scratch);
};

/* y = act(conv(x, w) + b). b NULL if !has_bias. x and y do not overlap. */
static inline void kernel_conv_forward(struct kernel_conv *conv, int n, const float *x,
                                       const float *w, const float *b, float *y, void *scratch)
{
    conv->ops->forward(conv, n, x, w, b, y, scratch);
}

/* dx, dw, db are overwritten, not added to: the gradients of the sum over n images; each may be
 * NULL: not wanted. With a fused activation dy is overwritten with the gradient before the
 * activation, and y must be forward's (else y may be NULL). */
static inline void kernel_conv_backward(struct kernel_conv *conv, int n, const float *x,
                                        const float *w, const float *y, float *dy, float *dx,
                                        float *dw, float *db, void *scratch)
{
    conv->ops->backward(conv, n, x, w, y, dy, dx, dw, db, scratch);
}

static inline void kernel_conv_destroy(struct kernel_conv *conv)
{
    if (conv) {
        conv->ops->destroy(conv);
    }
}

#endif
