/* Dense layers and gemm: every backend against ref. */
#include "tests/kernel/ktest.h"

#include <string.h>

struct result {
    float *y, *dx, *dw, *db;
};

static void run_one(struct ktest *k, const struct kernel_backend *backend,
                    const struct kernel_dense_desc *d, int n, const float *x, const float *w,
                    const float *b, const float *dy, struct result *r)
{
    struct kernel_dense *dense = NULL;
    struct err err = {0};
    ck_assert_msg(backend->dense->create(d, &k->arena, &dense, &err) == 0, "%s", err.text);
    size_t in = (size_t)d->in;
    size_t out = (size_t)d->out;
    void *scratch = ktest_scratch(k, dense->scratch_bytes);
    r->y = ktest_floats(k, (size_t)n * out);
    r->dx = d->needs_dx ? ktest_floats(k, (size_t)n * in) : NULL;
    r->dw = ktest_floats(k, in * out);
    r->db = b ? ktest_floats(k, out) : NULL;
    float *own_dy = ktest_copy(k, dy, (size_t)n * out);
    kernel_dense_forward(dense, n, x, w, b, r->y, scratch);
    kernel_dense_backward(dense, n, x, w, r->y, own_dy, r->dx, r->dw, r->db, scratch);
    kernel_dense_destroy(dense);
}

static void check_desc(const struct kernel_dense_desc *d, int n, uint64_t seed, int repeats)
{
    struct ktest k;
    ktest_init(&k, seed);
    size_t in = (size_t)d->in;
    size_t out = (size_t)d->out;
    size_t rows = (size_t)n;
    float *x = ktest_random(&k, rows * in);
    float *w = ktest_random(&k, in * out);
    float *b = d->has_bias ? ktest_random(&k, out) : NULL;
    float *dy = ktest_random(&k, rows * out);
    struct result want;
    run_one(&k, kernel_find("ref"), d, n, x, w, b, dy, &want);
    const struct kernel_backend *backend;
    for (size_t i = 0; (backend = kernel_at(i)); i++) {
        struct result got;
        run_one(&k, backend, d, n, x, w, b, dy, &got);
        ktest_near("dense y", rows * out, got.y, want.y, 1e-5);
        ktest_near("dense dw", in * out, got.dw, want.dw, 1e-5);
        if (b) {
            ktest_near("dense db", out, got.db, want.db, 1e-5);
        }
        if (d->needs_dx) {
            ktest_near("dense dx", rows * in, got.dx, want.dx, 1e-5);
        }
        for (int j = 0; j < repeats; j++) {
            struct result again;
            run_one(&k, backend, d, n, x, w, b, dy, &again);
            ktest_same("dense y again", rows * out, again.y, got.y);
            ktest_same("dense dw again", in * out, again.dw, got.dw);
        }
    }
    ktest_fini(&k);
}

START_TEST(test_random)
{
    struct ktest k;
    ktest_init(&k, (uint64_t)_i);
    kernel_set_threads(1 + _i % 2);
    for (int i = 0; i < 20; i++) {
        struct kernel_dense_desc d = {
            .n = ktest_int(&k, 1, 70),
            .in = ktest_int(&k, 1, 130),
            .out = ktest_int(&k, 1, 130),
            .has_bias = ktest_int(&k, 0, 1),
            .training = true,
            .needs_dx = ktest_int(&k, 0, 3) > 0,
            .act = {.kind = ktest_int(&k, 0, 1) ? KERNEL_ACT_RELU : KERNEL_ACT_LINEAR},
        };
        check_desc(&d, ktest_int(&k, 1, d.n), (uint64_t)(_i * 100 + i), 0);
    }
    kernel_set_threads(1);
    ktest_fini(&k);
}
END_TEST

START_TEST(test_repeats)
{
    kernel_set_threads(_i);
    struct kernel_dense_desc d = {
        .n = 64, .in = 400, .out = 120, .has_bias = true, .training = true, .needs_dx = true};
    check_desc(&d, 64, 1, 50);
    kernel_set_threads(1);
}
END_TEST

START_TEST(test_gemm)
{
    struct ktest k;
    ktest_init(&k, (uint64_t)_i);
    int m = ktest_int(&k, 1, 40);
    int n = ktest_int(&k, 1, 40);
    int l = ktest_int(&k, 1, 40);
    struct kernel_gemm_args args = {.trans_a = _i & 1,
                                    .trans_b = _i & 2,
                                    .m = m,
                                    .n = n,
                                    .k = l,
                                    .alpha = 0.5F,
                                    .beta = _i & 4 ? 2.0F : 0.0F};
    args.lda = (args.trans_a ? m : l) + 3;
    args.ldb = (args.trans_b ? l : n) + 1;
    args.ldc = n;
    args.a = ktest_random(&k, (size_t)(args.trans_a ? l : m) * (size_t)args.lda);
    args.b = ktest_random(&k, (size_t)(args.trans_b ? n : l) * (size_t)args.ldb);
    size_t nc = (size_t)m * (size_t)n;
    float *c = args.beta != 0.0F ? ktest_random(&k, nc) : ktest_floats(&k, nc);
    float *want = args.c = ktest_copy(&k, c, nc);
    kernel_find("ref")->dense->gemm(&args);
    const struct kernel_backend *backend;
    for (size_t i = 0; (backend = kernel_at(i)); i++) {
        args.c = ktest_copy(&k, c, nc);
        backend->dense->gemm(&args);
        ktest_near("gemm", nc, args.c, want, 1e-5);
    }
    ktest_fini(&k);
}
END_TEST

START_TEST(test_refused)
{
    struct err err = {0};
    ck_assert_int_eq(
        kernel_dense_check(&(struct kernel_dense_desc){.n = 1, .in = 0, .out = 1}, &err),
        ERR_SHAPE);
    ck_assert_int_eq(kernel_dense_check(
                         &(struct kernel_dense_desc){.n = 1, .in = 1 << 20, .out = 1 << 20}, &err),
                     ERR_LIMIT);
}
END_TEST

int main(void)
{
    kernel_set_threads(1);
    Suite *suite = suite_create("kernel dense");
    TCase *tc = tcase_create("dense");
    tcase_add_loop_test(tc, test_random, 0, 6);
    tcase_add_loop_test(tc, test_repeats, 1, 3);
    tcase_add_loop_test(tc, test_gemm, 0, 16);
    tcase_add_test(tc, test_refused);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
