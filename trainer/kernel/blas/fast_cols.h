/* fast_cols - sums down the columns of a row-major matrix, built once an instruction set. Private
 * to trainer/kernel/blas.
 *
 * Owns:     nothing.
 * Threads:  reentrant.
 * Errors:   none.
 * Lifetime: functions.
 *
 * Float sums over FAST_COLS_BLOCK rows at a time, those added up in double; narrow matrices are
 * read as if several rows were one. The order depends on rows, stride and cols alone.
 */
#ifndef TRAINER_KERNEL_BLAS_FAST_COLS_H
#define TRAINER_KERNEL_BLAS_FAST_COLS_H

#include <stddef.h>

#define FAST_COLS_MAX   256
#define FAST_COLS_BLOCK 64

/* All: `cols` of at most FAST_COLS_MAX columns out of rows that are `stride` floats apart. */
#define FAST_COLS_FUNCTIONS(isa)                                                          \
    void fast_cols_sum_##isa(size_t rows, size_t stride, size_t cols, const float *x,     \
                             double *total);                                              \
    /* of x - mean: when x is far from 0 */                                               \
    void fast_cols_shifted_##isa(size_t rows, size_t stride, size_t cols, const float *x, \
                                 const float *mean, double *total);                       \
    /* of (x - mean)^2 */                                                                 \
    void fast_cols_squares_##isa(size_t rows, size_t stride, size_t cols, const float *x, \
                                 const float *mean, double *total);                       \
    /* of dy * (x - mean) */                                                              \
    void fast_cols_dot_##isa(size_t rows, size_t stride, size_t cols, const float *x,     \
                             const float *mean, const float *dy, double *total);

/* Both sums of batch normalization's gradient, in one pass: of dy, and of dy * (x - mean). With a
 * map v = (x - mean) * a + b dy counts where v > 0 alone. */
struct fast_cols_gradient {
    const float *x, *mean, *dy;
    const float *a, *b; /* both NULL: no map */
};
void fast_cols_gradient_base(size_t rows, size_t stride, size_t cols,
                             const struct fast_cols_gradient *of, double *sum, double *dot);
void fast_cols_gradient_avx2(size_t rows, size_t stride, size_t cols,
                             const struct fast_cols_gradient *of, double *sum, double *dot);
FAST_COLS_FUNCTIONS(base)
FAST_COLS_FUNCTIONS(avx2)

#endif
