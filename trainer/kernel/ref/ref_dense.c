/* Matrix products as their definition. */
#include "trainer/kernel/backends.h"

static int dense_create(const struct kernel_dense_desc *desc, struct arena *arena,
                        struct kernel_dense **ret_dense, struct err *err)
{
    int code = kernel_dense_check(desc, err);
    if (code) {
        return code;
    }
    struct kernel_dense *dense = ARENA_NEW(arena, struct kernel_dense);
    dense->ops = &ref_dense;
    dense->desc = *desc;
    dense->impl = "ref";
    *ret_dense = dense;
    return 0;
}

static void dense_destroy(struct kernel_dense *dense)
{
    (void)dense;
}

static void gemm(const struct kernel_gemm_args *args)
{
    ptrdiff_t lda = args->lda;
    ptrdiff_t ldb = args->ldb;
    for (ptrdiff_t i = 0; i < args->m; i++) {
        for (ptrdiff_t j = 0; j < args->n; j++) {
            double sum = 0.0;
            for (ptrdiff_t l = 0; l < args->k; l++) {
                float a = args->a[args->trans_a ? l * lda + i : i * lda + l];
                float b = args->b[args->trans_b ? j * ldb + l : l * ldb + j];
                sum += (double)a * (double)b;
            }
            float *c = args->c + i * args->ldc + j;
            double old = args->beta != 0.0F ? (double)args->beta * (double)*c : 0.0;
            *c = (float)((double)args->alpha * sum + old);
        }
    }
}

static void dense_forward(struct kernel_dense *dense, int n, const float *x, const float *w,
                          const float *b, float *y, void *scratch)
{
    (void)scratch;
    const struct kernel_dense_desc *d = &dense->desc;
    for (ptrdiff_t i = 0; i < n; i++) {
        for (ptrdiff_t j = 0; j < d->out; j++) {
            double sum = b ? (double)b[j] : 0.0;
            for (ptrdiff_t l = 0; l < d->in; l++) {
                sum += (double)x[i * d->in + l] * (double)w[l * d->out + j];
            }
            y[i * d->out + j] = (float)sum;
        }
    }
    if (d->act.kind != KERNEL_ACT_LINEAR) {
        ref_act.forward(&d->act, (size_t)n * (size_t)d->out, y, y);
    }
}

static void dense_backward(struct kernel_dense *dense, int n, const float *x, const float *w,
                           const float *y, float *dy, float *dx, float *dw, float *db,
                           void *scratch)
{
    (void)scratch;
    const struct kernel_dense_desc *d = &dense->desc;
    if (d->act.kind != KERNEL_ACT_LINEAR) {
        ref_act.backward(&d->act, (size_t)n * (size_t)d->out, NULL, y, dy, dy);
    }
    if (db) {
        ref_vec.col_sum((size_t)n, (size_t)d->out, dy, db);
    }
    if (dw) {
        gemm(&(struct kernel_gemm_args){.trans_a = true,
                                        .m = d->in,
                                        .n = d->out,
                                        .k = n,
                                        .alpha = 1.0F,
                                        .a = x,
                                        .lda = d->in,
                                        .b = dy,
                                        .ldb = d->out,
                                        .c = dw,
                                        .ldc = d->out});
    }
    if (dx) {
        gemm(&(struct kernel_gemm_args){.trans_b = true,
                                        .m = n,
                                        .n = d->in,
                                        .k = d->out,
                                        .alpha = 1.0F,
                                        .a = dy,
                                        .lda = d->out,
                                        .b = w,
                                        .ldb = d->out,
                                        .c = dx,
                                        .ldc = d->in});
    }
}

const struct kernel_dense_ops ref_dense = {
    .create = dense_create,
    .destroy = dense_destroy,
    .forward = dense_forward,
    .backward = dense_backward,
    .gemm = gemm,
};
