/* Convolutions: every backend against ref on tables and random shapes, guards, repeats, threads. */
#include "tests/kernel/ktest.h"

#include "trainer/kernel/backends.h"

#include <stdio.h>
#include <string.h>

/* The backends and oneDNN for every shape, which the backend dnnl gives only to those it is fast
 * at. */
static const struct kernel_backend *backend_at(size_t i)
{
#ifdef KERNEL_DNNL
    static const struct kernel_backend always = {.name = "onednn", .conv = &onednn_conv_always};
    return i == 0 ? &always : kernel_at(i - 1);
#else
    return kernel_at(i);
#endif
}

struct sizes {
    size_t x, y, w;
};

static struct sizes sizes_of(const struct kernel_conv_desc *d)
{
    return (struct sizes){
        (size_t)d->n * (size_t)d->h * (size_t)d->w * (size_t)d->c,
        (size_t)d->n * (size_t)d->out_h * (size_t)d->out_w * (size_t)d->k,
        (size_t)d->r * (size_t)d->s * (size_t)(d->c / d->groups) * (size_t)d->k,
    };
}

struct result {
    float *y, *dy, *dx, *dw, *db;
};

static void run_one(struct ktest *k, const struct kernel_backend *backend,
                    const struct kernel_conv_desc *d, int n, const float *x, const float *w,
                    const float *b, const float *dy, struct result *r)
{
    struct err err = {0};
    struct kernel_conv *conv = NULL;
    int code = backend->conv->create(d, &k->arena, &conv, &err);
    ck_assert_msg(code == 0, "%s: %s", backend->name, err.text);
    void *scratch = ktest_scratch(k, conv->scratch_bytes);
    struct sizes sizes = sizes_of(d);
    size_t share_y = sizes.y / (size_t)d->n * (size_t)n;
    r->y = ktest_floats(k, share_y);
    kernel_conv_forward(conv, n, x, w, b, r->y, scratch);
    r->dy = ktest_copy(k, dy, share_y);
    r->dx = d->needs_dx ? ktest_floats(k, sizes.x / (size_t)d->n * (size_t)n) : NULL;
    r->dw = ktest_floats(k, sizes.w);
    r->db = b ? ktest_floats(k, (size_t)d->k) : NULL;
    if (d->training) {
        memset(scratch, 0xff, conv->scratch_bytes);
        kernel_conv_backward(conv, n, x, w, r->y, r->dy, r->dx, r->dw, r->db, scratch);
    }
    kernel_conv_destroy(conv);
}

static void check_desc(const struct kernel_conv_desc *d, int n, uint64_t seed)
{
    struct ktest k;
    ktest_init(&k, seed);
    struct sizes sizes = sizes_of(d);
    size_t nx = sizes.x / (size_t)d->n * (size_t)n;
    size_t ny = sizes.y / (size_t)d->n * (size_t)n;
    float *x = ktest_random(&k, nx);
    float *w = ktest_random(&k, sizes.w);
    float *b = d->has_bias ? ktest_random(&k, (size_t)d->k) : NULL;
    float *dy = ktest_random(&k, ny);
    struct result want;
    run_one(&k, kernel_find("ref"), d, n, x, w, b, dy, &want);
    const struct kernel_backend *backend;
    for (size_t i = 0; (backend = backend_at(i)); i++) {
        struct result got;
        char what[256];
        run_one(&k, backend, d, n, x, w, b, dy, &got);
        snprintf(what, sizeof(what),
                 "%s n%d/%d %dx%dx%d k%d %dx%d stride %dx%d dil %dx%d g%d pad %d,%d out %dx%d ",
                 backend->name, n, d->n, d->h, d->w, d->c, d->k, d->r, d->s, d->stride_h,
                 d->stride_w, d->dilation_h, d->dilation_w, d->groups, d->pad_top, d->pad_left,
                 d->out_h, d->out_w);
        char *end = what + strlen(what);
        memcpy(end, "y", 2);
        ktest_near(what, ny, got.y, want.y, 1e-5);
        if (!d->training) {
            continue;
        }
        memcpy(end, "dw", 3);
        ktest_near(what, sizes.w, got.dw, want.dw, 2e-5);
        if (b) {
            memcpy(end, "db", 3);
            ktest_near(what, (size_t)d->k, got.db, want.db, 2e-5);
        }
        if (d->needs_dx) {
            memcpy(end, "dx", 3);
            ktest_near(what, nx, got.dx, want.dx, 1e-5);
        }
    }
    ktest_fini(&k);
}

/* n h w c k r s stride dilation groups pad */
static const struct {
    int n, h, w, c, k, r, s, stride, dilation, groups;
    enum kernel_pad pad;
} cases[] = {
    {2, 28, 28, 1, 6, 5, 5, 1, 1, 1, KERNEL_PAD_SAME},
    {2, 14, 14, 6, 16, 5, 5, 1, 1, 1, KERNEL_PAD_VALID},
    {3, 28, 28, 1, 16, 3, 3, 1, 1, 1, KERNEL_PAD_SAME},
    {2, 14, 14, 16, 32, 3, 3, 1, 1, 1, KERNEL_PAD_SAME},
    {2, 7, 7, 32, 64, 3, 3, 1, 1, 1, KERNEL_PAD_SAME},
    {1, 48, 48, 1, 8, 3, 3, 2, 1, 1, KERNEL_PAD_SAME},
    {2, 13, 11, 5, 7, 5, 3, 2, 1, 1, KERNEL_PAD_SAME},
    {1, 9, 9, 3, 20, 7, 7, 3, 1, 1, KERNEL_PAD_VALID},
    {2, 9, 9, 4, 8, 3, 3, 1, 2, 1, KERNEL_PAD_SAME},
    {2, 9, 8, 4, 8, 3, 3, 1, 3, 2, KERNEL_PAD_VALID},
    {2, 6, 6, 8, 8, 3, 3, 1, 1, 8, KERNEL_PAD_SAME},
    {2, 6, 6, 16, 24, 1, 1, 1, 1, 1, KERNEL_PAD_SAME},
    {2, 7, 7, 16, 24, 1, 1, 2, 1, 1, KERNEL_PAD_SAME},
    {3, 1, 1, 1, 1, 1, 1, 1, 1, 1, KERNEL_PAD_VALID},
    {2, 3, 3, 2, 3, 5, 5, 1, 1, 1, KERNEL_PAD_SAME},
    {1, 10, 10, 3, 17, 1, 7, 1, 1, 1, KERNEL_PAD_SAME},
    {2, 8, 8, 3, 9, 2, 2, 3, 1, 1, KERNEL_PAD_SAME},
    {1, 5, 5, 2, 33, 2, 2, 5, 1, 1, KERNEL_PAD_VALID},
};

static struct kernel_conv_desc desc_of(size_t i)
{
    struct kernel_conv_desc d = {
        .n = cases[i].n,
        .h = cases[i].h,
        .w = cases[i].w,
        .c = cases[i].c,
        .k = cases[i].k,
        .r = cases[i].r,
        .s = cases[i].s,
        .stride_h = cases[i].stride,
        .stride_w = cases[i].stride,
        .dilation_h = cases[i].dilation,
        .dilation_w = cases[i].dilation,
        .groups = cases[i].groups,
        .has_bias = true,
        .training = true,
        .needs_dx = true,
        .act = {.kind = KERNEL_ACT_RELU},
    };
    ck_assert_int_eq(kernel_conv_shape(&d, cases[i].pad, NULL), 0);
    return d;
}

START_TEST(test_table)
{
    struct kernel_conv_desc d = desc_of((size_t)_i);
    check_desc(&d, d.n, 7);
    d.act.kind = KERNEL_ACT_LINEAR;
    d.has_bias = false;
    check_desc(&d, d.n, 8);
    d.needs_dx = false;
    check_desc(&d, 1, 9);
    d.training = false;
    d.act.kind = KERNEL_ACT_TANH;
    check_desc(&d, d.n, 10);
}
END_TEST

static bool random_desc(struct ktest *k, struct kernel_conv_desc *d)
{
    static const enum kernel_act_kind acts[] = {KERNEL_ACT_LINEAR, KERNEL_ACT_RELU,
                                                KERNEL_ACT_SIGMOID, KERNEL_ACT_RELU6};
    int groups = ktest_int(k, 0, 5) == 0 ? ktest_int(k, 2, 4) : 1;
    bool dilated = ktest_int(k, 0, 5) == 0;
    *d = (struct kernel_conv_desc){
        .n = ktest_int(k, 1, 4),
        .h = ktest_int(k, 1, 20),
        .w = ktest_int(k, 1, 20),
        .c = groups * ktest_int(k, 1, groups > 1 ? 5 : 20),
        .k = groups * ktest_int(k, 1, groups > 1 ? 9 : 40),
        .r = ktest_int(k, 1, 6),
        .s = ktest_int(k, 1, 6),
        .stride_h = dilated ? 1 : ktest_int(k, 1, 3),
        .stride_w = dilated ? 1 : ktest_int(k, 1, 3),
        .dilation_h = dilated ? ktest_int(k, 1, 3) : 1,
        .dilation_w = dilated ? ktest_int(k, 1, 3) : 1,
        .groups = groups,
        .has_bias = ktest_int(k, 0, 1),
        .training = true,
        .needs_dx = ktest_int(k, 0, 3) > 0,
        .act = {.kind = acts[ktest_int(k, 0, 3)]},
    };
    return kernel_conv_shape(d, ktest_int(k, 0, 1) ? KERNEL_PAD_SAME : KERNEL_PAD_VALID, NULL) == 0;
}

START_TEST(test_random)
{
    struct ktest k;
    ktest_init(&k, (uint64_t)_i + 100);
    for (int i = 0; i < 12; i++) {
        struct kernel_conv_desc d;
        if (random_desc(&k, &d)) {
            check_desc(&d, ktest_int(&k, 1, d.n), (uint64_t)(_i * 100 + i));
        }
    }
    ktest_fini(&k);
}
END_TEST

/* Other thread counts: the sums are cut otherwise, so only near. */
START_TEST(test_threads)
{
    kernel_set_threads(_i);
    ck_assert_int_eq(kernel_threads(), _i);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct kernel_conv_desc d = desc_of(i);
        d.n = 5;
        check_desc(&d, 5, i);
        check_desc(&d, 2, i);
    }
    kernel_set_threads(1);
}
END_TEST

/* Law 3: the same bits every time, wherever the arrays lie. */
static void check_repeats(const struct kernel_backend *backend, const struct kernel_conv_desc *d,
                          int repeats)
{
    struct ktest k;
    ktest_init(&k, 5);
    struct sizes sizes = sizes_of(d);
    float *x = ktest_random(&k, sizes.x);
    float *w = ktest_random(&k, sizes.w);
    float *b = ktest_random(&k, (size_t)d->k);
    float *dy = ktest_random(&k, sizes.y);
    struct result want;
    run_one(&k, backend, d, d->n, x, w, b, dy, &want);
    for (int i = 0; i < repeats; i++) {
        struct ktest other;
        ktest_init(&other, 6);
        struct result got;
        /* one float less in front: every alignment occurs */
        size_t shift = (size_t)i % 16;
        float *moved = ktest_floats(&other, sizes.x + shift);
        memcpy(moved, x, sizeof(float) * sizes.x);
        run_one(&other, backend, d, d->n, moved, w, b, dy, &got);
        ktest_same("y", sizes.y, got.y, want.y);
        ktest_same("dx", sizes.x, got.dx, want.dx);
        ktest_same("dw", sizes.w, got.dw, want.dw);
        ktest_same("db", (size_t)d->k, got.db, want.db);
        ktest_fini(&other);
    }
    ktest_fini(&k);
}

START_TEST(test_repeats)
{
    const struct kernel_backend *backend;
    for (int threads = 1; threads <= 2; threads++) {
        kernel_set_threads(threads);
        for (size_t i = 0; (backend = backend_at(i)); i++) {
            struct kernel_conv_desc d = desc_of((size_t)_i);
            d.n = 4;
            check_repeats(backend, &d, threads == 1 ? 50 : 10);
        }
    }
    kernel_set_threads(1);
}
END_TEST

START_TEST(test_refused)
{
    struct err err = {0};
    struct kernel_conv *conv = NULL;
    struct arena arena;
    arena_init(&arena);
    struct kernel_conv_desc good = desc_of(0);
    struct kernel_conv_desc bad = good;
    bad.groups = 5;
    ck_assert_int_eq(kernel_conv_check(&bad, &err), ERR_SHAPE);
    bad = good;
    bad.h = bad.w = 50000;
    ck_assert_int_eq(kernel_conv_check(&bad, &err), ERR_LIMIT);
    bad = good;
    bad.r = bad.s = 65535;
    ck_assert_int_eq(kernel_conv_shape(&bad, KERNEL_PAD_SAME, &err), ERR_LIMIT);
    bad = good;
    bad.act.kind = KERNEL_ACT_SILU;
    const struct kernel_backend *backend;
    for (size_t i = 0; (backend = backend_at(i)); i++) {
        ck_assert_int_eq(backend->conv->create(&bad, &arena, &conv, &err), ERR_UNSUPPORTED);
    }
    int out;
    int before;
    ck_assert_int_eq(kernel_conv_axis(4, 5, 1, 1, KERNEL_PAD_VALID, &out, &before, &err),
                     ERR_SHAPE);
    /* the slides' exercise: 48 -> 48, 24, 44, 14 */
    kernel_conv_axis(48, 3, 1, 1, KERNEL_PAD_SAME, &out, &before, &err);
    ck_assert_int_eq(out, 48);
    kernel_conv_axis(48, 3, 2, 1, KERNEL_PAD_SAME, &out, &before, &err);
    ck_assert_int_eq(out, 24);
    ck_assert_int_eq(before, 0);
    kernel_conv_axis(48, 5, 1, 1, KERNEL_PAD_VALID, &out, &before, &err);
    ck_assert_int_eq(out, 44);
    kernel_conv_axis(48, 7, 3, 1, KERNEL_PAD_VALID, &out, &before, &err);
    ck_assert_int_eq(out, 14);
    kernel_conv_destroy(NULL);
    arena_fini(&arena);
}
END_TEST

int main(void)
{
    kernel_set_threads(1);
    Suite *suite = suite_create("kernel conv");
    TCase *tc = tcase_create("conv");
    int n = (int)(sizeof(cases) / sizeof(cases[0]));
    tcase_add_loop_test(tc, test_table, 0, n);
    tcase_add_loop_test(tc, test_random, 0, 10);
    tcase_add_loop_test(tc, test_threads, 2, 4);
    tcase_add_loop_test(tc, test_repeats, 0, 10);
    tcase_add_test(tc, test_refused);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
