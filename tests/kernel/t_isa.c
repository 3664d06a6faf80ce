/* The kernels that are built once an instruction set: the plain set against the one that this CPU
 * gets. Only the direct convolutions, which may contract, differ, and only in rounding. */
#include "tests/kernel/ktest.h"

#include "trainer/kernel/blas/blas.h"

#include <math.h>
#include <string.h>

#ifdef KERNEL_X86
START_TEST(test_act)
{
    struct kernel_act act = kernel_act_row((enum kernel_act_kind)_i)->defaults;
    struct ktest k;
    ktest_init(&k, (uint64_t)_i);
    size_t n = 4001;
    float *x = ktest_random(&k, n);
    float *dy = ktest_random(&k, n);
    for (size_t i = 0; i < n; i++) {
        x[i] *= i % 3 ? 4.0F : 100.0F;
    }
    x[0] = INFINITY;
    x[1] = -INFINITY;
    x[2] = NAN;
    float *y[2];
    float *dx[2];
    const struct kernel_act_ops *ops[2] = {&fast_act_base, &fast_act_avx2};
    for (int side = 0; side < 2; side++) {
        y[side] = ktest_floats(&k, n);
        dx[side] = ktest_floats(&k, n);
        ops[side]->forward(&act, n, x, y[side]);
        ops[side]->backward(&act, n, x, y[side], dy, dx[side]);
    }
    ktest_same("y", n, y[1], y[0]);
    ktest_same("dx", n, dx[1], dx[0]);
    /* a value's bits do not depend on where it stands */
    for (size_t i = 0; i < 300; i++) {
        float one;
        ops[1]->forward(&act, 1, &x[i], &one);
        ktest_same("alone", 1, &one, &y[1][i]);
    }
    ktest_fini(&k);
}
END_TEST

START_TEST(test_sums)
{
    struct ktest k;
    ktest_init(&k, (uint64_t)_i);
    size_t rows = (size_t)ktest_int(&k, 1, 300);
    size_t cols = _i == 0 ? 700 : (size_t)ktest_int(&k, 1, 60);
    size_t n = rows * cols;
    float *x = ktest_random(&k, n);
    float *dy = ktest_random(&k, n);
    float *gamma = ktest_random(&k, cols);
    const struct kernel_vec_ops *vec[2] = {&fast_vec_base, &fast_vec_avx2};
    const struct kernel_norm_ops *norm[2] = {&fast_norm_base, &fast_norm_avx2};
    ck_assert(vec[0]->sum(n, x) == vec[1]->sum(n, x));
    ck_assert(vec[0]->dot(n, x, dy) == vec[1]->dot(n, x, dy));
    float *out[2][7], *plain[7] = {NULL}, *out_relu[7] = {NULL};
    for (int side = 0; side < 2; side++) {
        for (int i = 0; i < 7; i++) {
            out[side][i] = ktest_floats(&k, i < 2 ? n : cols);
        }
        float **o = out[side];
        vec[side]->col_sum(rows, cols, x, o[6]);
        norm[side]->forward_train(rows, cols, 1e-3F, x, gamma, NULL, o[0], o[2], o[3], o[4]);
        norm[side]->backward_train(rows, cols, x, gamma, o[2], o[4], dy, o[1], o[3], o[5]);
        for (int i = 0; i < 7; i++) {
            plain[i] = side == 0 ? ktest_copy(&k, o[i], i < 2 ? n : cols) : plain[i];
            ktest_same("norm", i < 2 ? n : cols, o[i], plain[i]);
        }
        const struct kernel_norm_relu_ops *relu =
            side == 0 ? &fast_norm_relu_base : &fast_norm_relu_avx2;
        float *map = ktest_floats(&k, 2 * cols);
        relu->forward(rows, cols, 1e-3F, x, gamma, NULL, o[0], o[2], o[3], o[4], map);
        relu->backward(rows, cols, x, gamma, o[2], o[4], map, o[0], dy, o[1], o[5], o[6]);
        if (side == 0) {
            for (int i = 0; i < 7; i++) {
                out_relu[i] = ktest_copy(&k, o[i], i < 2 ? n : cols);
            }
        }
        for (int i = 0; i < 7; i++) {
            ktest_same("norm relu", i < 2 ? n : cols, o[i], out_relu[i]);
        }
    }
    ktest_fini(&k);
}
END_TEST

static struct direct_shape shape_of(struct ktest *k)
{
    ptrdiff_t c = ktest_int(k, 1, 12);
    ptrdiff_t s = ktest_int(k, 1, 5);
    struct direct_shape shape = {
        .stride_h = ktest_int(k, 1, 2),
        .step = c * ktest_int(k, 1, 2),
        .r = ktest_int(k, 1, 4),
        .sc = s * c,
        .k = ktest_int(k, 1, 40),
        .out_h = ktest_int(k, 1, 9),
        .out_w = ktest_int(k, 1, 27),
    };
    shape.row = (shape.out_w - 1) * shape.step + shape.sc;
    return shape;
}

START_TEST(test_direct)
{
    struct ktest k;
    ktest_init(&k, (uint64_t)_i);
    struct direct_shape shape = shape_of(&k);
    const struct direct_ops *ops[2] = {&direct_base, &direct_avx2};
    size_t nx = (size_t)(((shape.out_h - 1) * shape.stride_h + shape.r) * shape.row);
    size_t ny = (size_t)(shape.out_h * shape.out_w * shape.k);
    size_t nw = (size_t)(shape.r * shape.sc * shape.k);
    float *x = ktest_random(&k, nx);
    float *w = ktest_random(&k, nw);
    float *b = ktest_random(&k, (size_t)shape.k);
    float *dy = ktest_random(&k, ny + DIRECT_SLACK);
    float *y[2];
    float *dx[2];
    float *dw[2];
    float *db[2];
    for (int side = 0; side < 2; side++) {
        y[side] = ktest_floats(&k, ny);
        dx[side] = ktest_random(&k, nx + DIRECT_SLACK);
        dw[side] = ktest_floats(&k, nw);
        db[side] = ktest_floats(&k, (size_t)shape.k + 7);
        memset(dx[side], 0, sizeof(float) * (nx + DIRECT_SLACK));
        memset(db[side], 0, sizeof(float) * ((size_t)shape.k + 7));
        float *packed = ktest_scratch(&k, sizeof(float) * ops[side]->forward_weights(&shape));
        float *packed_data = ktest_scratch(&k, sizeof(float) * ops[side]->data_weights(&shape));
        float *sum = ktest_scratch(&k, sizeof(float) * ops[side]->gradient_size(&shape));
        memset(sum, 0, sizeof(float) * ops[side]->gradient_size(&shape));
        ops[side]->pack_forward(&shape, w, packed);
        ops[side]->pack_data(&shape, w, packed_data);
        ops[side]->forward(&shape, x, packed, b, _i % 2, y[side]);
        ops[side]->data(&shape, dy, packed_data, dx[side]);
        ops[side]->weights(&shape, x, dy, sum);
        ops[side]->bias(&shape, dy, db[side]);
        ops[side]->weights_reduce(&shape, 1, 0, sum, dw[side]);
    }
    ktest_near("direct y", ny, y[1], y[0], 1e-5);
    ktest_near("direct dx", nx, dx[1], dx[0], 1e-5);
    ktest_near("direct dw", nw, dw[1], dw[0], 1e-5);
    ktest_near("direct db", (size_t)shape.k, db[1], db[0], 1e-5);
    ktest_fini(&k);
}
END_TEST

START_TEST(test_pool)
{
    const struct kernel_pool_ops *ops[2] = {&fast_pool_base, &fast_pool_avx2};
    struct ktest k;
    ktest_init(&k, (uint64_t)_i);
    struct kernel_pool_desc d = {
        .kind = _i % 2 ? KERNEL_POOL_MAX : KERNEL_POOL_AVERAGE,
        .n = 2,
        .h = ktest_int(&k, 2, 12),
        .w = ktest_int(&k, 2, 12),
        .c = ktest_int(&k, 1, 17),
        .pool_h = 2,
        .pool_w = 2,
        .stride_h = ktest_int(&k, 1, 2),
        .stride_w = 2,
        .training = true,
    };
    ck_assert_int_eq(kernel_pool_shape(&d, KERNEL_PAD_SAME, NULL), 0);
    size_t nx = (size_t)d.n * (size_t)d.h * (size_t)d.w * (size_t)d.c;
    size_t ny = (size_t)d.n * (size_t)d.out_h * (size_t)d.out_w * (size_t)d.c;
    float *x = ktest_random(&k, nx);
    float *dy = ktest_random(&k, ny);
    float *y[2];
    float *dx[2];
    for (int side = 0; side < 2; side++) {
        struct kernel_pool *pool = NULL;
        ck_assert_int_eq(ops[side]->create(&d, &k.arena, &pool, NULL), 0);
        void *state = ktest_scratch(&k, pool->state_bytes);
        y[side] = ktest_floats(&k, ny);
        dx[side] = ktest_floats(&k, nx);
        kernel_pool_forward(pool, d.n, x, y[side], state, NULL);
        kernel_pool_backward(pool, d.n, dy, state, dx[side], NULL);
    }
    ktest_same("pool y", ny, y[1], y[0]);
    ktest_same("pool dx", nx, dx[1], dx[0]);
    ktest_fini(&k);
}
END_TEST
#endif

int main(void)
{
    kernel_set_threads(1);
    Suite *suite = suite_create("kernel isa");
    TCase *tc = tcase_create("isa");
#ifdef KERNEL_X86
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
        test_skip_all("this CPU has no AVX2");
    }
    tcase_add_loop_test(tc, test_act, 0, KERNEL_ACT_MAX_);
    tcase_add_loop_test(tc, test_sums, 0, 12);
    tcase_add_loop_test(tc, test_direct, 0, 60);
    tcase_add_loop_test(tc, test_pool, 0, 20);
#endif
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
