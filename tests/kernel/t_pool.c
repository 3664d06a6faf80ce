/* Pooling: every backend against ref, ties included; maxima and their gradients bit for bit. */
#include "tests/kernel/ktest.h"

#include <stdio.h>
#include <string.h>

struct result {
    float *y, *dx;
};

static void run_one(struct ktest *k, const struct kernel_backend *backend,
                    const struct kernel_pool_desc *d, int n, const float *x, const float *dy,
                    struct result *r)
{
    struct kernel_pool *pool = NULL;
    struct err err = {0};
    ck_assert_msg(backend->pool->create(d, &k->arena, &pool, &err) == 0, "%s", err.text);
    size_t nx = (size_t)n * (size_t)d->h * (size_t)d->w * (size_t)d->c;
    size_t ny = (size_t)n * (size_t)d->out_h * (size_t)d->out_w * (size_t)d->c;
    void *scratch = ktest_scratch(k, pool->scratch_bytes);
    void *state = pool->state_bytes ? ktest_scratch(k, pool->state_bytes) : NULL;
    r->y = ktest_floats(k, ny);
    r->dx = ktest_floats(k, nx);
    kernel_pool_forward(pool, n, x, r->y, state, scratch);
    kernel_pool_backward(pool, n, dy, state, r->dx, scratch);
    float *again = ktest_floats(k, ny);
    kernel_pool_forward(pool, n, x, again, NULL, scratch);
    ktest_same("y without state", ny, again, r->y);
    kernel_pool_destroy(pool);
}

static void check_desc(const struct kernel_pool_desc *d, int n, uint64_t seed)
{
    struct ktest k;
    ktest_init(&k, seed);
    size_t nx = (size_t)n * (size_t)d->h * (size_t)d->w * (size_t)d->c;
    size_t ny = (size_t)n * (size_t)d->out_h * (size_t)d->out_w * (size_t)d->c;
    float *x = ktest_random(&k, nx);
    for (size_t i = 0; i < nx; i++) {
        x[i] = (float)(int)(x[i] * 8.0F); /* many ties */
    }
    float *dy = ktest_random(&k, ny);
    struct result want;
    run_one(&k, kernel_find("ref"), d, n, x, dy, &want);
    const struct kernel_backend *backend;
    for (size_t i = 0; (backend = kernel_at(i)); i++) {
        struct result got;
        run_one(&k, backend, d, n, x, dy, &got);
        char what[200];
        snprintf(what, sizeof(what), "%s %s n%d %dx%dx%d pool %dx%d stride %dx%d out %dx%d",
                 backend->name, d->kind == KERNEL_POOL_MAX ? "max" : "average", n, d->h, d->w, d->c,
                 d->pool_h, d->pool_w, d->stride_h, d->stride_w, d->out_h, d->out_w);
        if (d->kind == KERNEL_POOL_MAX) {
            ktest_same(what, ny, got.y, want.y);
        } else {
            ktest_near(what, ny, got.y, want.y, 1e-6);
        }
        ktest_near(what, nx, got.dx, want.dx, 1e-6);
    }
    ktest_fini(&k);
}

START_TEST(test_random)
{
    struct ktest k;
    ktest_init(&k, (uint64_t)_i);
    kernel_set_threads(1 + _i % 3);
    for (int i = 0; i < 30; i++) {
        struct kernel_pool_desc d = {
            .kind = ktest_int(&k, 0, 1) ? KERNEL_POOL_MAX : KERNEL_POOL_AVERAGE,
            .n = ktest_int(&k, 1, 4),
            .h = ktest_int(&k, 1, 15),
            .w = ktest_int(&k, 1, 15),
            .c = ktest_int(&k, 1, 20),
            .pool_h = ktest_int(&k, 1, 5),
            .pool_w = ktest_int(&k, 1, 5),
            .stride_h = ktest_int(&k, 1, 4),
            .stride_w = ktest_int(&k, 1, 4),
            .training = true,
        };
        if (kernel_pool_shape(&d, ktest_int(&k, 0, 1) ? KERNEL_PAD_SAME : KERNEL_PAD_VALID, NULL) ==
            0) {
            check_desc(&d, ktest_int(&k, 1, d.n), (uint64_t)(_i * 100 + i));
        }
    }
    kernel_set_threads(1);
    ktest_fini(&k);
}
END_TEST

START_TEST(test_usual)
{
    struct kernel_pool_desc d = {.kind = _i % 2 ? KERNEL_POOL_MAX : KERNEL_POOL_AVERAGE,
                                 .n = 2,
                                 .h = 28,
                                 .w = 28,
                                 .c = _i < 2 ? 6 : 16,
                                 .pool_h = 2,
                                 .pool_w = 2,
                                 .stride_h = 2,
                                 .stride_w = 2,
                                 .training = true};
    ck_assert_int_eq(kernel_pool_shape(&d, KERNEL_PAD_VALID, NULL), 0);
    check_desc(&d, 2, 3);
}
END_TEST

START_TEST(test_first_wins)
{
    const struct kernel_backend *backend;
    for (size_t i = 0; (backend = kernel_at(i)); i++) {
        struct ktest k;
        ktest_init(&k, 1);
        struct kernel_pool_desc d = {.kind = KERNEL_POOL_MAX,
                                     .n = 1,
                                     .h = 2,
                                     .w = 2,
                                     .c = 1,
                                     .pool_h = 2,
                                     .pool_w = 2,
                                     .stride_h = 2,
                                     .stride_w = 2,
                                     .training = true};
        ck_assert_int_eq(kernel_pool_shape(&d, KERNEL_PAD_VALID, NULL), 0);
        float x[4] = {1, 2, 2, 2};
        float dy[1] = {5};
        struct result r;
        run_one(&k, backend, &d, 1, x, dy, &r);
        ck_assert(r.y[0] == 2.0F && r.dx[0] == 0.0F && r.dx[1] == 5.0F && r.dx[2] == 0.0F &&
                  r.dx[3] == 0.0F);
        ktest_fini(&k);
    }
}
END_TEST

START_TEST(test_global)
{
    struct ktest k;
    ktest_init(&k, (uint64_t)_i);
    int n = ktest_int(&k, 1, 3);
    int hw = ktest_int(&k, 1, 90);
    int c = _i == 0 ? 300 : ktest_int(&k, 1, 40);
    size_t nx = (size_t)n * (size_t)hw * (size_t)c;
    size_t ny = (size_t)n * (size_t)c;
    float *x = ktest_random(&k, nx);
    float *dy = ktest_random(&k, ny);
    float *want_y = ktest_floats(&k, ny);
    float *want_dx = ktest_floats(&k, nx);
    kernel_find("ref")->pool->global_average_forward(n, hw, c, x, want_y);
    kernel_find("ref")->pool->global_average_backward(n, hw, c, dy, want_dx);
    const struct kernel_backend *backend;
    for (size_t i = 0; (backend = kernel_at(i)); i++) {
        float *y = ktest_floats(&k, ny);
        float *dx = ktest_floats(&k, nx);
        backend->pool->global_average_forward(n, hw, c, x, y);
        backend->pool->global_average_backward(n, hw, c, dy, dx);
        ktest_near("global y", ny, y, want_y, 1e-6);
        ktest_same("global dx", nx, dx, want_dx);
    }
    ktest_fini(&k);
}
END_TEST

START_TEST(test_refused)
{
    struct kernel_pool_desc d = {
        .n = 1, .h = 3, .w = 3, .c = 1, .pool_h = 4, .pool_w = 2, .stride_h = 1, .stride_w = 1};
    struct err err = {0};
    ck_assert_int_eq(kernel_pool_shape(&d, KERNEL_PAD_VALID, &err), ERR_SHAPE);
    ck_assert_int_eq(kernel_pool_shape(&d, KERNEL_PAD_SAME, &err), 0);
    d.pad_top = 4;
    ck_assert_int_eq(kernel_pool_check(&d, &err), ERR_SHAPE);
}
END_TEST

int main(void)
{
    kernel_set_threads(1);
    Suite *suite = suite_create("kernel pool");
    TCase *tc = tcase_create("pool");
    tcase_add_loop_test(tc, test_random, 0, 12);
    tcase_add_loop_test(tc, test_usual, 0, 4);
    tcase_add_test(tc, test_first_wins);
    tcase_add_loop_test(tc, test_global, 0, 8);
    tcase_add_test(tc, test_refused);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
