#include "trainer/kernel/blas/blas.h"

#define BLAS_BACKEND(isa)                                                           \
    static const struct blas_isa isa_##isa = {                                      \
        .name = #isa,                                                               \
        .direct = &direct_##isa,                                                    \
        BLAS_VECTOR_ROWS(isa),                                                      \
    };                                                                              \
    static const struct kernel_backend backend_##isa = {                            \
        .name = "blas",                                                             \
        .summary = "OpenBLAS for matrix products, own vector kernels for the rest", \
        .conv = &blas_conv,                                                         \
        .dense = &blas_dense,                                                       \
        BLAS_VECTOR_ROWS(isa),                                                      \
    };
BLAS_BACKEND(base)
#ifdef KERNEL_X86
BLAS_BACKEND(avx2)
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
