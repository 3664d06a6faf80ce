/* backends - the tables that the backends export to kernel.c and to each other. Private to
 * trainer/kernel.
 *
 * Owns, Threads, Errors, Lifetime: as kernel.h.
 */
#ifndef TRAINER_KERNEL_BACKENDS_H
#define TRAINER_KERNEL_BACKENDS_H

#include "trainer/kernel/kernel.h"

extern const struct kernel_backend kernel_backend_ref;
/* Those two depend on the CPU. */
const struct kernel_backend *blas_backend(void);
const struct kernel_backend *onednn_backend(void);
/* "base", "avx2": what own kernels use here. */
const char *blas_isa_name(void);
/* "onednn 2.6.3 avx512_core " */
void onednn_version(char *buf, size_t size);

/* oneDNN where it is faster; oneDNN for every shape, for tests and benchmarks. */
extern const struct kernel_conv_ops onednn_conv;
extern const struct kernel_conv_ops onednn_conv_always;

extern const struct kernel_conv_ops ref_conv;
extern const struct kernel_dense_ops ref_dense;
extern const struct kernel_pool_ops ref_pool;
extern const struct kernel_act_ops ref_act;
void ref_rows_forward(enum kernel_rows_kind kind, size_t rows, size_t cols, const float *x,
                      float *y);
void ref_rows_backward(enum kernel_rows_kind kind, size_t rows, size_t cols, const float *y,
                       const float *dy, float *dx);
void ref_rows_sparsemax_backward(size_t rows, size_t cols, const float *x, const float *dy,
                                 float *dx);
void ref_rows_xent(const struct kernel_xent_args *args);
extern const struct kernel_vec_ops ref_vec;
extern const struct kernel_norm_ops ref_norm;
extern const struct kernel_norm_relu_ops ref_norm_relu;
extern const struct kernel_optim_ops ref_optim;

#endif
