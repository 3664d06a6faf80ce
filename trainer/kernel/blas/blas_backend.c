#include "trainer/kernel/blas/blas.h"

static const struct blas_isa isa_base = {
    .name = "base",
    .direct = &direct_base,
    .pool = &fast_pool_base,
    .act = &fast_act_base,
    .vec = &fast_vec_base,
    .norm = &fast_norm_base,
    .optim = &fast_optim_base,
};

#ifdef KERNEL_X86
static const struct blas_isa isa_avx2 = {
    .name = "avx2",
    .direct = &direct_avx2,
    .pool = &fast_pool_avx2,
    .act = &fast_act_avx2,
    .vec = &fast_vec_avx2,
    .norm = &fast_norm_avx2,
    .optim = &fast_optim_avx2,
};
#endif

const struct blas_isa *blas_isa(void)
{
#ifdef KERNEL_X86
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        return &isa_avx2;
    }
#endif
    return &isa_base;
}

#define BLAS_SUMMARY "OpenBLAS for matrix products, own vector kernels for the rest"

static const struct kernel_backend backend_base = {
    .name = "blas",
    .summary = BLAS_SUMMARY,
    .conv = &blas_conv,
    .dense = &blas_dense,
    .pool = &fast_pool_base,
    .act = &fast_act_base,
    .vec = &fast_vec_base,
    .norm = &fast_norm_base,
    .optim = &fast_optim_base,
};

#ifdef KERNEL_X86
static const struct kernel_backend backend_avx2 = {
    .name = "blas",
    .summary = BLAS_SUMMARY,
    .conv = &blas_conv,
    .dense = &blas_dense,
    .pool = &fast_pool_avx2,
    .act = &fast_act_avx2,
    .vec = &fast_vec_avx2,
    .norm = &fast_norm_avx2,
    .optim = &fast_optim_avx2,
};
#endif

const struct kernel_backend *blas_backend(void)
{
#ifdef KERNEL_X86
    if (blas_isa() == &isa_avx2) {
        return &backend_avx2;
    }
#endif
    return &backend_base;
}

const char *blas_isa_name(void)
{
    return blas_isa()->name;
}
