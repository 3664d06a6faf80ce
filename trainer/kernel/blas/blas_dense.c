/* Dense layers through OpenBLAS. */
#include "trainer/kernel/blas/blas.h"

#include <cblas.h>
#include <string.h>

struct dense {
    struct kernel_dense base;
    const struct blas_isa *isa;
};

static int dense_create(const struct kernel_dense_desc *desc, struct arena *arena,
                        struct kernel_dense **ret_dense, struct err *err)
{
    int code = kernel_dense_check(desc, err);
    if (code) {
        return code;
    }
    struct dense *dense = ARENA_NEW(arena, struct dense);
    dense->base.ops = &blas_dense;
    dense->base.desc = *desc;
    dense->base.impl = "sgemm";
    dense->isa = blas_isa();
    *ret_dense = &dense->base;
    return 0;
}

static void dense_destroy(struct kernel_dense *dense)
{
    (void)dense;
}

static void gemm(const struct kernel_gemm_args *args)
{
    cblas_sgemm(CblasRowMajor, args->trans_a ? CblasTrans : CblasNoTrans,
                args->trans_b ? CblasTrans : CblasNoTrans, args->m, args->n, args->k, args->alpha,
                args->a, args->lda, args->b, args->ldb, args->beta, args->c, args->ldc);
}

static void dense_forward(struct kernel_dense *base, int n, const float *x, const float *w,
                          const float *b, float *y, void *scratch)
{
    (void)scratch;
    struct dense *dense = (struct dense *)base;
    const struct kernel_dense_desc *d = &base->desc;
    for (ptrdiff_t i = 0; b && i < n; i++) {
        memcpy(y + i * d->out, b, sizeof(float) * (size_t)d->out);
    }
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, d->out, d->in, 1.0F, x, d->in, w,
                d->out, b ? 1.0F : 0.0F, y, d->out);
    if (d->act.kind != KERNEL_ACT_LINEAR) {
        dense->isa->act->forward(&d->act, (size_t)n * (size_t)d->out, y, y);
    }
}

static void dense_backward(struct kernel_dense *base, int n, const float *x, const float *w,
                           const float *y, float *dy, float *dx, float *dw, float *db,
                           void *scratch)
{
    (void)scratch;
    struct dense *dense = (struct dense *)base;
    const struct kernel_dense_desc *d = &base->desc;
    if (d->act.kind != KERNEL_ACT_LINEAR) {
        dense->isa->act->backward(&d->act, (size_t)n * (size_t)d->out, NULL, y, dy, dy);
    }
    if (db) {
        dense->isa->vec->col_sum((size_t)n, (size_t)d->out, dy, db);
    }
    if (dw) {
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, d->in, d->out, n, 1.0F, x, d->in, dy,
                    d->out, 0.0F, dw, d->out);
    }
    if (dx) {
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, d->in, d->out, 1.0F, dy, d->out, w,
                    d->out, 0.0F, dx, d->in);
    }
}

const struct kernel_dense_ops blas_dense = {
    .create = dense_create,
    .destroy = dense_destroy,
    .forward = dense_forward,
    .backward = dense_backward,
    .gemm = gemm,
};
