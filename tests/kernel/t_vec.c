/* Flat vectors, batch normalization, optimizers: bit for bit where elementwise. */
#include "tests/kernel/ktest.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

START_TEST(test_elementwise)
{
    const struct kernel_vec_ops *ref = kernel_find("ref")->vec;
    const struct kernel_backend *backend;
    struct ktest k;
    ktest_init(&k, (uint64_t)_i);
    size_t n = (size_t)_i;
    float *x = ktest_random(&k, n);
    float *y = ktest_random(&k, n);
    float *want = ktest_copy(&k, y, n);
    float *got;
    for (size_t i = 0; (backend = kernel_at(i)); i++) {
        const struct kernel_vec_ops *vec = backend->vec;
/* z in place of y, so that overlap is tried too */
#define CASE(name, ...)                 \
    memcpy(want, y, n * sizeof(float)); \
    got = ktest_copy(&k, y, n);         \
    {                                   \
        float *z = want;                \
        ref->name(__VA_ARGS__);         \
        z = got;                        \
        vec->name(__VA_ARGS__);         \
    }                                   \
    ktest_same(#name, n, got, want);
        CASE(fill, n, 3.0F, z)
        CASE(add, n, x, z, z)
        CASE(sub, n, z, x, z)
        CASE(mul, n, x, z, z)
        CASE(scale, n, 0.3F, z, z)
        CASE(affine, n, 0.3F, 0.7F, z, z)
        CASE(axpy, n, 0.3F, x, z)
        CASE(lerp, n, 0.99F, x, z)
        CASE(clip, n, -0.5F, 0.25F, z, z)
#undef CASE
        double tolerance = 1e-12 * (double)(n + 1);
        ck_assert_double_eq_tol(vec->sum(n, x), ref->sum(n, x), tolerance);
        ck_assert_double_eq_tol(vec->dot(n, x, y), ref->dot(n, x, y), tolerance);
        ck_assert_double_eq_tol(vec->sum_squares(n, x), ref->sum_squares(n, x), tolerance);
        ck_assert(vec->is_finite(n, x));
        got = ktest_copy(&k, x, n);
        for (size_t j = 0; j < n; j++) {
            got[j] = j % 2 ? NAN : -INFINITY;
            ck_assert(!vec->is_finite(n, got));
            got[j] = x[j];
        }
    }
    ktest_fini(&k);
}
END_TEST

START_TEST(test_rows)
{
    const struct kernel_vec_ops *ref = kernel_find("ref")->vec;
    const struct kernel_backend *backend;
    struct ktest k;
    ktest_init(&k, (uint64_t)_i);
    size_t rows = (size_t)ktest_int(&k, 1, 200);
    size_t cols = _i == 0 ? 600 : (size_t)ktest_int(&k, 1, 70);
    size_t n = rows * cols;
    float *x = ktest_random(&k, n);
    float *a = ktest_random(&k, cols);
    float *b = ktest_random(&k, cols);
    float *want = ktest_floats(&k, n);
    for (size_t i = 0; (backend = kernel_at(i)); i++) {
        float *got = ktest_copy(&k, x, n);
        ref->row_add(rows, cols, x, b, want);
        backend->vec->row_add(rows, cols, got, b, got);
        ktest_same("row_add", n, got, want);
        memcpy(got, x, n * sizeof(float));
        ref->row_affine(rows, cols, x, a, b, want);
        backend->vec->row_affine(rows, cols, got, a, b, got);
        ktest_same("row_affine", n, got, want);
        ref->col_sum(rows, cols, x, want);
        float *sums = ktest_floats(&k, cols);
        backend->vec->col_sum(rows, cols, x, sums);
        ktest_near("col_sum", cols, sums, want, 2e-6);
    }
    ktest_fini(&k);
}
END_TEST

struct norm {
    float *y, *mean, *variance, *rstd, *dx, *dgamma, *dbeta, *yi, *dxi, *dgammai, *dbetai;
};

static void run_norm(struct ktest *k, const struct kernel_norm_ops *ops, size_t rows, size_t cols,
                     const float *x, const float *gamma, const float *beta, const float *dy,
                     struct norm *r)
{
    size_t n = rows * cols;
    r->y = ktest_floats(k, n);
    r->mean = ktest_floats(k, cols);
    r->variance = ktest_floats(k, cols);
    r->rstd = ktest_floats(k, cols);
    r->dx = ktest_copy(k, dy, n);
    r->dgamma = ktest_floats(k, cols);
    r->dbeta = ktest_floats(k, cols);
    r->yi = ktest_copy(k, x, n);
    r->dxi = ktest_copy(k, dy, n);
    r->dgammai = ktest_floats(k, cols);
    r->dbetai = ktest_floats(k, cols);
    ops->forward_train(rows, cols, 1e-3F, x, gamma, beta, r->y, r->mean, r->variance, r->rstd);
    ops->backward_train(rows, cols, x, gamma, r->mean, r->rstd, r->dx, r->dx, r->dgamma, r->dbeta);
    ops->forward_infer(rows, cols, 1e-3F, r->yi, gamma, beta, r->mean, r->variance, r->yi);
    ops->backward_infer(rows, cols, 1e-3F, x, gamma, r->mean, r->variance, r->dxi, r->dxi,
                        r->dgammai, r->dbetai);
}

START_TEST(test_norm)
{
    const struct kernel_backend *backend;
    struct ktest k;
    ktest_init(&k, (uint64_t)_i);
    size_t rows = _i == 1 ? 1 : (size_t)ktest_int(&k, 2, 500);
    size_t cols = _i == 0 ? 600 : (size_t)ktest_int(&k, 1, 40);
    size_t n = rows * cols;
    float *x = ktest_random(&k, n);
    for (size_t i = 0; i < n; i++) {
        x[i] = x[i] * 2.0F +
               (float)(i % cols) * 10.0F; /* a mean far from 0 must not eat the variance */
    }
    float *dy = ktest_random(&k, n);
    float *gamma = _i % 3 == 0 ? NULL : ktest_random(&k, cols);
    float *beta = _i % 4 == 0 ? NULL : ktest_random(&k, cols);
    struct norm want;
    run_norm(&k, kernel_find("ref")->norm, rows, cols, x, gamma, beta, dy, &want);
    for (size_t i = 0; (backend = kernel_at(i)); i++) {
        struct norm got;
        run_norm(&k, backend->norm, rows, cols, x, gamma, beta, dy, &got);
        ktest_near("mean", cols, got.mean, want.mean, 1e-6);
        ktest_near("variance", cols, got.variance, want.variance, 2e-6);
        ktest_near("rstd", cols, got.rstd, want.rstd, 2e-6);
        ktest_near("norm y", n, got.y, want.y, 2e-4);
        ktest_near("norm dx", n, got.dx, want.dx, 2e-4);
        ktest_near("dgamma", cols, got.dgamma, want.dgamma, 2e-4);
        ktest_near("dbeta", cols, got.dbeta, want.dbeta, 2e-6);
        ktest_near("norm yi", n, got.yi, want.yi, 2e-4);
        ktest_near("norm dxi", n, got.dxi, want.dxi, 2e-6);
        ktest_near("dgammai", cols, got.dgammai, want.dgammai, 2e-4);
        ktest_near("dbetai", cols, got.dbetai, want.dbetai, 2e-6);
    }
    ktest_fini(&k);
}
END_TEST

/* With a relu: the numbers of the two apart, bit for bit, on threads too. */
START_TEST(test_norm_relu)
{
    static const struct kernel_act relu = {.kind = KERNEL_ACT_RELU};
    const struct kernel_backend *backend;
    struct ktest k;
    ktest_init(&k, (uint64_t)_i);
    size_t rows = _i == 1 ? 1 : _i == 2 ? 20011 : (size_t)ktest_int(&k, 2, 500);
    size_t cols = _i == 0 ? 600 : _i == 2 ? 16 : (size_t)ktest_int(&k, 1, 40);
    size_t n = rows * cols;
    float *x = ktest_random(&k, n), *dy = ktest_random(&k, n);
    float *gamma = _i % 3 == 0 ? NULL : ktest_random(&k, cols);
    float *beta = _i % 4 == 0 ? NULL : ktest_random(&k, cols);
    kernel_set_threads(_i == 2 ? 2 : 1);
    for (size_t i = 0; (backend = kernel_at(i)); i++) {
        struct norm want, got;
        run_norm(&k, backend->norm, rows, cols, x, gamma, beta, dy, &want);
        run_norm(&k, backend->norm, rows, cols, x, gamma, beta, dy, &got);
        float *map = ktest_floats(&k, 2 * cols), *masked = ktest_floats(&k, n);
        backend->act->forward(&relu, n, want.y, want.y);
        backend->act->backward(&relu, n, NULL, want.y, dy, masked);
        backend->norm->backward_train(rows, cols, x, gamma, want.mean, want.rstd, masked, want.dx,
                                      want.dgamma, want.dbeta);
        memcpy(got.dx, dy, n * sizeof(float));
        backend->norm_relu->forward(rows, cols, 1e-3F, x, gamma, beta, got.y, got.mean,
                                    got.variance, got.rstd, map);
        backend->norm_relu->backward(rows, cols, x, gamma, got.mean, got.rstd, map, got.y, got.dx,
                                     got.dx, got.dgamma, got.dbeta);
        ktest_same("relu y", n, got.y, want.y);
        ktest_same("relu mean", cols, got.mean, want.mean);
        ktest_same("relu variance", cols, got.variance, want.variance);
        ktest_same("relu dx", n, got.dx, want.dx);
        ktest_same("relu dgamma", cols, got.dgamma, want.dgamma);
        ktest_same("relu dbeta", cols, got.dbeta, want.dbeta);

        backend->vec->add(n, x, dy, want.y);
        backend->act->forward(&relu, n, want.y, want.y);
        backend->vec->add_relu(n, x, dy, got.y);
        ktest_same("add_relu", n, got.y, want.y);
        backend->act->backward(&relu, n, NULL, want.y, dy, masked);
        backend->vec->relu_split(n, got.y, dy, got.dx, want.dx);
        ktest_same("relu_split", n, got.dx, masked);
        ktest_same("relu_split", n, want.dx, masked);
        backend->vec->relu_split(n, got.y, dy, got.dx, NULL);
        ktest_same("relu_split", n, got.dx, masked);
    }
    kernel_set_threads(1);
    ktest_fini(&k);
}
END_TEST

START_TEST(test_optimizers)
{
    const struct kernel_backend *backend;
    struct ktest k;
    ktest_init(&k, (uint64_t)_i);
    size_t n = (size_t)_i * 7 + 1;
    float *g = ktest_random(&k, n);
    float *w = ktest_random(&k, n);
    float *m = ktest_random(&k, n);
    float *v = ktest_random(&k, n);
    for (size_t i = 0; i < n; i++) {
        v[i] = fabsf(v[i]);
    }
    for (size_t i = 0; (backend = kernel_at(i)); i++) {
        for (int mode = 0; mode < 5; mode++) {
            float *want[4];
            for (int side = 0; side < 2; side++) {
                const struct kernel_optim_ops *ops =
                    side ? backend->optim : kernel_find("ref")->optim;
                float *a[4] = {ktest_copy(&k, w, n), ktest_copy(&k, m, n), ktest_copy(&k, v, n),
                               ktest_copy(&k, v, n)};
                if (mode < 3) {
                    ops->sgd(n, 0.1F, 0.9F, mode == 2, g, mode ? a[1] : NULL, a[0]);
                } else {
                    ops->adam(n, 0.01F, 0.9F, 0.999F, 1e-7F, g, a[1], a[2], mode == 4 ? a[3] : NULL,
                              a[0]);
                }
                for (int j = 0; side && j < 4; j++) {
                    ktest_same("optimizer", n, a[j], want[j]);
                }
                memcpy(want, a, sizeof(want));
            }
        }
    }
    ktest_fini(&k);
}
END_TEST

/* Long vectors are cut for threads: elementwise ones keep their bits, sums are near. */
START_TEST(test_threads)
{
    const struct kernel_backend *ref = kernel_find("ref");
    const struct kernel_backend *backend = kernel_find("blas");
    struct ktest k;
    ktest_init(&k, (uint64_t)_i);
    kernel_set_threads(_i);
    size_t rows = 20011;
    size_t cols = _i == 2 ? 17 : 300;
    size_t n = rows * cols;
    float *x = ktest_random(&k, n);
    float *y = ktest_random(&k, n);
    float *z[2] = {ktest_floats(&k, n), ktest_floats(&k, n)};
    ref->vec->add(n, x, y, z[0]);
    backend->vec->add(n, x, y, z[1]);
    ktest_same("add", n, z[1], z[0]);
    struct kernel_act relu = {.kind = KERNEL_ACT_RELU};
    ref->act->forward(&relu, n, x, z[0]);
    backend->act->forward(&relu, n, x, z[1]);
    ktest_same("relu", n, z[1], z[0]);
    ref->act->backward(&relu, n, NULL, z[0], y, z[0]);
    backend->act->backward(&relu, n, NULL, z[1], y, z[1]);
    ktest_same("relu backward", n, z[1], z[0]);
    ref->optim->sgd(n, 0.1F, 0.9F, true, x, y, z[0]);
    memcpy(z[1], z[0], n * sizeof(float));
    backend->optim->sgd(n, 0.1F, 0.0F, false, x, NULL, z[1]);
    ref->optim->sgd(n, 0.1F, 0.0F, false, x, NULL, z[0]);
    ktest_same("sgd", n, z[1], z[0]);
    ref->vec->col_sum(rows, cols, x, z[0]);
    backend->vec->col_sum(rows, cols, x, z[1]);
    ktest_near("col_sum", cols, z[1], z[0], 1e-5);
    struct norm want;
    struct norm got;
    run_norm(&k, ref->norm, rows, cols, x, NULL, NULL, y, &want);
    run_norm(&k, backend->norm, rows, cols, x, NULL, NULL, y, &got);
    ktest_near("norm y", n, got.y, want.y, 1e-5);
    ktest_near("norm dx", n, got.dx, want.dx, 1e-5);
    run_norm(&k, backend->norm, rows, cols, x, NULL, NULL, y, &want);
    ktest_same("norm y again", n, want.y, got.y);
    ktest_same("norm dx again", n, want.dx, got.dx);
    kernel_set_threads(1);
    ktest_fini(&k);
}
END_TEST

START_TEST(test_fingerprint)
{
    const struct kernel_backend *backend;
    for (size_t i = 0; (backend = kernel_at(i)); i++) {
        char one[200];
        char two[200];
        char small[5];
        /* LLVM's OpenMP forgets the number in a child. */
        kernel_set_threads(1);
        size_t length = kernel_fingerprint(backend, one, sizeof(one));
        ck_assert_uint_eq(length, strlen(one));
        ck_assert_int_eq(strncmp(one, backend->name, strlen(backend->name)), 0);
        printf("%s\n", one);
        kernel_set_threads(2);
        kernel_fingerprint(backend, two, sizeof(two));
        ck_assert(strcmp(backend->name, "ref") == 0 || strcmp(one, two) != 0);
        kernel_set_threads(1);
        ck_assert_uint_eq(kernel_fingerprint(backend, small, sizeof(small)), 4);
        ck_assert_ptr_eq(kernel_find(backend->name), backend);
    }
    ck_assert_ptr_eq(kernel_find(NULL), kernel_at(0));
    ck_assert_ptr_null(kernel_find("cuda"));
}
END_TEST

int main(void)
{
    kernel_set_threads(1);
    Suite *suite = suite_create("kernel vec");
    TCase *tc = tcase_create("vec");
    tcase_add_loop_test(tc, test_elementwise, 1, 70);
    tcase_add_loop_test(tc, test_rows, 0, 12);
    tcase_add_loop_test(tc, test_norm, 0, 16);
    tcase_add_loop_test(tc, test_norm_relu, 0, 16);
    tcase_add_loop_test(tc, test_optimizers, 0, 9);
    tcase_add_loop_test(tc, test_threads, 1, 4);
    tcase_add_test(tc, test_fingerprint);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
