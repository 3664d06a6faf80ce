/* kernel_dense - matrix products: dense layers and plain gemm.
 *
 * Owns, Threads, Errors, Lifetime: as kernel_conv.
 *
 * x (n, in), w (in, out) as Keras's Dense has it, bias (out), y (n, out); row-major fp32.
 */
#ifndef TRAINER_KERNEL_KERNEL_DENSE_H
#define TRAINER_KERNEL_KERNEL_DENSE_H

#include "base/arena.h"
#include "base/err.h"
#include "trainer/kernel/kernel_act.h"

#include <stdbool.h>
#include <stddef.h>

struct kernel_dense_desc {
    int n; /* the greatest number of rows (batch times other leading axes) */
    int in, out;
    bool has_bias;
    bool training;
    bool needs_dx;
    struct kernel_act act; /* fused; must be fusible */
};

int kernel_dense_check(const struct kernel_dense_desc *desc, struct err *err);

struct kernel_dense_ops;
struct kernel_dense {
    const struct kernel_dense_ops *ops;
    struct kernel_dense_desc desc;
    size_t scratch_bytes;
    const char *impl;
};

/* c (m,n) = alpha * op(a) (m,k) * op(b) (k,n) + beta * c; with beta 0 c is not read. ld: row
 * strides in elements. */
struct kernel_gemm_args {
    bool trans_a, trans_b;
    int m, n, k;
    float alpha, beta;
    const float *a;
    int lda;
    const float *b;
    int ldb;
    float *c;
    int ldc;
};

struct kernel_dense_ops {
    int (*create)(const struct kernel_dense_desc *desc, struct arena *arena,
                  struct kernel_dense **ret_dense, struct err *err);
    void (*destroy)(struct kernel_dense *dense);
    void (*forward)(struct kernel_dense *dense, int n, const float *x, const float *w,
                    const float *b, float *y, void *scratch);
    void (*backward)(struct kernel_dense *dense, int n, const float *x, const float *w,
                     const float *y, float *dy, float *dx, float *dw, float *db, void *scratch);
    void (*gemm)(const struct kernel_gemm_args *args);
};

static inline void kernel_dense_forward(struct kernel_dense *dense, int n, const float *x,
                                        const float *w, const float *b, float *y, void *scratch)
{
    dense->ops->forward(dense, n, x, w, b, y, scratch);
}

/* As kernel_conv_backward: outputs are overwritten, dy too if an activation is fused. dx may be
 * NULL. */
static inline void kernel_dense_backward(struct kernel_dense *dense, int n, const float *x,
                                         const float *w, const float *y, float *dy, float *dx,
                                         float *dw, float *db, void *scratch)
{
    dense->ops->backward(dense, n, x, w, y, dy, dx, dw, db, scratch);
}

static inline void kernel_dense_destroy(struct kernel_dense *dense)
{
    if (dense) {
        dense->ops->destroy(dense);
    }
}

#endif
