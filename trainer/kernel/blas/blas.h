/* blas - what the files of the blas backend share. Private to trainer/kernel.
 *
 * Owns:     nothing.
 * Threads:  reentrant.
 * Errors:   as kernel.h.
 * Lifetime: const tables.
 */
#ifndef TRAINER_KERNEL_BLAS_BLAS_H
#define TRAINER_KERNEL_BLAS_BLAS_H

#include "trainer/kernel/backends.h"
#include "trainer/kernel/blas/direct.h"
#include "trainer/kernel/blas/fast_cols.h"

/* The tables that are built once an instruction set; all of one set. */
struct blas_isa {
    const char *name;
    const struct direct_ops *direct;
    const struct kernel_pool_ops *pool;
    const struct kernel_act_ops *act;
    const struct kernel_vec_ops *vec;
    const struct kernel_norm_ops *norm;
    const struct kernel_norm_relu_ops *norm_relu;
    const struct kernel_optim_ops *optim;
};

/* The best that this CPU has; the same for the whole life of the process. */
const struct blas_isa *blas_isa(void);

extern const struct kernel_conv_ops blas_conv;   /* create picks one of the two below */
extern const struct kernel_conv_ops blas_direct; /* one group, no dilation */
extern const struct kernel_conv_ops blas_im2col;
extern const struct kernel_dense_ops blas_dense;

#define BLAS_ISA_TABLES(isa)                                       \
    extern const struct kernel_pool_ops fast_pool_##isa;           \
    extern const struct kernel_act_ops fast_act_##isa;             \
    extern const struct kernel_vec_ops fast_vec_##isa;             \
    extern const struct kernel_norm_ops fast_norm_##isa;           \
    extern const struct kernel_norm_relu_ops fast_norm_relu_##isa; \
    extern const struct kernel_optim_ops fast_optim_##isa;
BLAS_ISA_TABLES(base)
BLAS_ISA_TABLES(avx2)

/* Bytes rounded up to a cache line: how scratch is cut into pieces. */
static inline size_t blas_align(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

/* Cuts `bytes` off the front of scratch. */
static inline void *blas_take(char **scratch, size_t bytes)
{
    char *piece = *scratch;
    *scratch += blas_align(bytes);
    return piece;
}

/* The first of the rows that part p of `parts` has of n. */
static inline int blas_part(int n, int p, int parts)
{
    return (int)((ptrdiff_t)n * p / parts);
}

/* What the tables of backends take from an instruction set's kernels. */
#define BLAS_VECTOR_ROWS(isa)                                                 \
    .pool = &fast_pool_##isa, .act = &fast_act_##isa, .vec = &fast_vec_##isa, \
    .norm = &fast_norm_##isa, .norm_relu = &fast_norm_relu_##isa, .optim = &fast_optim_##isa

#endif
