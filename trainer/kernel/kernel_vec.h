/* kernel_vec - operations over flat vectors: elementwise, sums in a fixed order, batch
 * normalization, optimizer updates.
 *
 * Owns:     nothing.
 * Threads:  reentrant.
 * Errors:   none.
 * Lifetime: const tables.
 *
 * Elementwise ones may work in place (z == x or y). Sums have an order that depends on the sizes
 * and the backend alone, never on addresses or time. (rows, cols) is a row-major matrix: NHWC
 * activations are (n*h*w, c).
 */
#ifndef TRAINER_KERNEL_KERNEL_VEC_H
#define TRAINER_KERNEL_KERNEL_VEC_H

#include <stdbool.h>
#include <stddef.h>

struct kernel_vec_ops {
    void (*fill)(size_t count, float value, float *y);
    void (*add)(size_t count, const float *x, const float *y, float *z);      /* z = x + y */
    void (*add_relu)(size_t count, const float *x, const float *y, float *z); /* z = relu(x + y) */
    /* a = b = the gradient dy of what relu gave as y; b NULL: not wanted */
    void (*relu_split)(size_t count, const float *y, const float *dy, float *a, float *b);
    void (*sub)(size_t count, const float *x, const float *y, float *z);      /* z = x - y */
    void (*mul)(size_t count, const float *x, const float *y, float *z);      /* z = x * y */
    void (*scale)(size_t count, float a, const float *x, float *y);           /* y = a * x */
    void (*affine)(size_t count, float a, float b, const float *x, float *y); /* y = a * x + b */
    void (*axpy)(size_t count, float a, const float *x, float *y);            /* y += a * x */
    void (*lerp)(size_t count, float a, const float *x,
                 float *y); /* y = y * a + x * (1 - a): moving averages */
    void (*clip)(size_t count, float lo, float hi, const float *x, float *y); /* NaN stays */
    void (*row_add)(size_t rows, size_t cols, const float *x, const float *b,
                    float *y); /* y[r,] = x[r,] + b */
    void (*row_affine)(size_t rows, size_t cols, const float *x, const float *a, const float *b,
                       float *y); /* y[r,] = x[r,] * a + b */
    double (*sum)(size_t count, const float *x);
    double (*sum_squares)(size_t count, const float *x);
    double (*dot)(size_t count, const float *x, const float *y);
    bool (*is_finite)(size_t count, const float *x);
    void (*col_sum)(size_t rows, size_t cols, const float *x,
                    float *y); /* y[c] = sum over r of x[r,c] */
};

/* Batch normalization over (rows, cols). gamma NULL: 1; beta NULL: 0; dgamma, dbeta NULL: not
 * wanted. In place is allowed for y == x in inference and dx == dy. */
struct kernel_norm_ops {
    /* Saves mean, population variance, and rstd = 1 / sqrt(variance + epsilon); each (cols).
     * Updating the moving averages is the caller's (vec.lerp). */
    void (*forward_train)(size_t rows, size_t cols, float epsilon, const float *x,
                          const float *gamma, const float *beta, float *y, float *mean,
                          float *variance, float *rstd);
    void (*forward_infer)(size_t rows, size_t cols, float epsilon, const float *x,
                          const float *gamma, const float *beta, const float *mean,
                          const float *variance, float *y);
    void (*backward_train)(size_t rows, size_t cols, const float *x, const float *gamma,
                           const float *mean, const float *rstd, const float *dy, float *dx,
                           float *dgamma, float *dbeta);
    /* The statistics are constants. dx may be NULL. */
    void (*backward_infer)(size_t rows, size_t cols, float epsilon, const float *x,
                           const float *gamma, const float *mean, const float *variance,
                           const float *dy, float *dx, float *dgamma, float *dbeta);
};

/* Training mode with a relu behind: the numbers of forward_train and then relu, of relu's gradient
 * and then backward_train, in fewer passes. */
struct kernel_norm_relu_ops {
    /* map (2, cols) is for the way back. */
    void (*forward)(size_t rows, size_t cols, float epsilon, const float *x, const float *gamma,
                    const float *beta, float *y, float *mean, float *variance, float *rstd,
                    float *map);
    void (*backward)(size_t rows, size_t cols, const float *x, const float *gamma,
                     const float *mean, const float *rstd, const float *map, const float *y,
                     const float *dy, float *dx, float *dgamma, float *dbeta);
};

/* One pass over a flat block of parameters, Keras's formulas. */
struct kernel_optim_ops {
    /* velocity NULL: w -= rate * g. Else v = momentum * v - rate * g; w += v, or with nesterov w +=
     * momentum * v - rate * g. */
    void (*sgd)(size_t count, float rate, float momentum, bool nesterov, const float *g,
                float *velocity, float *w);
    /* alpha = rate * sqrt(1 - beta2^t) / (1 - beta1^t), from the caller; m += (g - m) * (1 -
     * beta1); v += (g * g - v) * (1 - beta2); w -= m * alpha / (sqrt(v) + epsilon). vhat not NULL
     * (amsgrad): vhat = max(vhat, v) in the place of v. */
    void (*adam)(size_t count, float alpha, float beta1, float beta2, float epsilon, const float *g,
                 float *m, float *v, float *vhat, float *w);
};

#endif
