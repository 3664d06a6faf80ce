/* kernel - the seam between layers and number crunching: backends as tables of typed functions.
 *
 * Owns:     const tables; the thread count belongs to the process (OpenMP's and OpenBLAS's own
 * setting). Threads:  kernel_set_threads before any object is made; the rest as each family says.
 * Errors:   create functions return a negative code; step functions cannot fail.
 * Lifetime: backends live as long as the process.
 *
 * Law 3: with one fingerprint every function gives the same bits for the same input: orders of sums
 * are fixed by sizes and the thread count. Between backends elementwise functions are equal up to
 * their documented tolerance and sums up to rounding. Only files below trainer/kernel/ include
 * cblas.h or dnnl.h.
 *
 *   ref    plain C, written for reading: the truth that the others are tested against
 *   blas   OpenBLAS sgemm over im2col, own direct kernels for few channels, vectors of 8; always
 * there dnnl   oneDNN for convolutions that are big enough, blas for the rest; if built with it
 */
#ifndef TRAINER_KERNEL_KERNEL_H
#define TRAINER_KERNEL_KERNEL_H

#include "trainer/kernel/kernel_act.h"
#include "trainer/kernel/kernel_conv.h"
#include "trainer/kernel/kernel_dense.h"
#include "trainer/kernel/kernel_pool.h"
#include "trainer/kernel/kernel_vec.h"

#include <stddef.h>

/* Raised whenever a change of ours gives other bits for the same input. */
#define KERNEL_NUMERICS_VERSION 1

struct kernel_backend {
    const char *name;
    const char *summary;
    const struct kernel_conv_ops *conv;
    const struct kernel_dense_ops *dense;
    const struct kernel_pool_ops *pool;
    const struct kernel_act_ops *act;
    const struct kernel_vec_ops *vec;
    const struct kernel_norm_ops *norm;
    const struct kernel_norm_relu_ops *norm_relu;
    const struct kernel_optim_ops *optim;
};

/* By name ("ref", "blas", "dnnl"), "auto" or NULL: the default; NULL if there is none such here. */
const struct kernel_backend *kernel_find(const char *name);
/* The n-th backend, best first, or NULL: for tests, messages and completion. */
const struct kernel_backend *kernel_at(size_t n);

#define KERNEL_THREADS_MAX 256
/* Threads inside a call, 1 .. 256. One for small models: barriers cost more than they give (see
 * docs). */
void kernel_set_threads(int threads);
int kernel_threads(void);
/* How many of `available` a model is worth that computes `flops` (forward and backward) a step. */
int kernel_choose_threads(double flops, int available);

/* "blas/1 openblas 0.3.21 Cooperlake isa=avx512 threads=1": the numerics fingerprint of law 3.
 * Returns the length, cut to size. */
size_t kernel_fingerprint(const struct kernel_backend *backend, char *buf, size_t size);

#endif
