#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "pipeline/image/affine.h"
#include "pipeline/image/resize_impl.h"
#include "pipeline/image/resize_kernel.h"
#include "tests/test.h"

enum { SIDE = 40, GUARD = 64 };

static void fill_bytes(struct rng *rng, unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        p[i] = (unsigned char)rng_u32(rng);
    }
}

static void fill_floats(struct rng *rng, float *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        p[i] = 100 * rng_normal(rng);
    }
}

static void draw_map(struct rng *rng, int round, float m[8])
{
    affine_identity(m);
    for (int i = 0; i < 6; i++) {
        m[i] = rng_normal(rng) * (i % 3 == 2 ? 20.0f : 1.0f);
    }
    if (round % 7 == 0) {
        affine_translation(m, (float)rng_below(rng, 99) / 2 - 20,
                           (float)rng_below(rng, 99) / 2 - 20);
    }
    m[2] *= round % 11 == 0 ? 1e8f : 1.0f;
    m[2] = round % 101 == 0 ? NAN : m[2];
    m[5] = round % 103 == 0 ? INFINITY : m[5];
}

/* The fast code gives the bits of the plain code, for every fill, element type and number of
 * channels, and writes no more. */
static void compare(struct rng *rng, int round, int channels, bool bytes)
{
    static const float factor[] = {0.3f, 1.7f, -2, 4}, term[] = {0.1f, -5, 3, 1};
    unsigned char *pixels = malloc(SIDE * SIDE * 4 * sizeof(float));
    float *plain = malloc(SIDE * SIDE * 4 * sizeof(float) + GUARD),
          *fast = malloc(SIDE * SIDE * 4 * sizeof(float) + GUARD);
    ck_assert(pixels && plain && fast);
    const struct affine_image image = {.dtype = bytes ? DTYPE_U8 : DTYPE_F32,
                                       .height = 1 + (int64_t)rng_below(rng, SIDE),
                                       .width = 4 + (int64_t)rng_below(rng, SIDE - 4),
                                       .channels = channels,
                                       .data = pixels};
    const size_t n = (size_t)(image.height * image.width * channels);
    if (bytes) {
        fill_bytes(rng, pixels, n);
    } else {
        fill_floats(rng, (float *)(void *)pixels, n);
    }
    struct affine affine = {.fill_value = 3.25f};
    draw_map(rng, round, affine.m);
    if (round % 2 == 1) {
        affine.factor = factor;
        affine.term = term;
    }
    for (int k = 0; k < 8 && affine_has_avx2(&affine, &image); k++) {
        affine.fill = k / 2;
        affine.interpolation = k % 2;
        memset(fast, 0x5a, n * sizeof(float) + GUARD);
        affine_run_c(&affine, &image, plain);
        affine_run_avx2(&affine, &image, fast);
        ck_assert_msg(memcmp(plain, fast, n * sizeof(float)) == 0,
                      "round %d, %d channels, fill %d, interpolation %d", round, channels,
                      affine.fill, affine.interpolation);
        for (size_t i = 0; i < GUARD; i++) {
            ck_assert_uint_eq(((unsigned char *)fast)[n * sizeof(float) + i], 0x5a);
        }
    }
    free(pixels);
    free(plain);
    free(fast);
}

START_TEST(test_avx2_equals_plain)
{
    static const int channels[] = {1, 3, 4};
    struct rng rng;
    rng_init(&rng, 1, (uint64_t)_i, 0, 0);
    if (!__builtin_cpu_supports("avx2")) {
        test_skip("no AVX2 here");
        return;
    }
    for (int round = 0; round < 400; round++) {
        compare(&rng, round, channels[_i % 3], _i < 3);
    }
}
END_TEST

START_TEST(test_resize_avx2_equals_plain)
{
    enum { N = 300, TAPS = 5 };
    struct rng rng;
    unsigned char bytes[N * TAPS], a8[N], b8[N];
    float floats[N * TAPS], weights[TAPS], a[N], b[N];
    rng_init(&rng, 2, 0, 0, 0);
    if (!__builtin_cpu_supports("avx2")) {
        test_skip("no AVX2 here");
        return;
    }
    for (int round = 0; round < 300; round++) {
        const int64_t n = 1 + (int64_t)rng_below(&rng, N),
                      taps = 1 + (int64_t)rng_below(&rng, TAPS);
        fill_bytes(&rng, bytes, sizeof bytes);
        fill_floats(&rng, floats, N * TAPS);
        fill_floats(&rng, weights, TAPS);
        vertical_bytes(bytes, N, weights, taps, n, a);
        resize_avx2_passes.vertical_bytes(bytes, N, weights, taps, n, b);
        ck_assert(memcmp(a, b, (size_t)n * sizeof *a) == 0);
        vertical_floats(floats, N, weights, taps, n, a);
        resize_avx2_passes.vertical_floats(floats, N, weights, taps, n, b);
        ck_assert(memcmp(a, b, (size_t)n * sizeof *a) == 0);
        round_bytes(floats, n, a8);
        resize_avx2_passes.round_bytes(floats, n, b8);
        ck_assert(memcmp(a8, b8, (size_t)n) == 0);
        for (int64_t i = 0; i < n; i++) {
            const float v = floats[i] < 0 ? 0 : floats[i] > 255 ? 255 : floats[i];
            ck_assert_int_eq(a8[i], (int)rintf(v));
        }
    }
}
END_TEST

START_TEST(test_maps)
{
    enum { W = 5, H = 4 };
    float in[H * W], out[H * W], m[8], half[8], whole[8];
    struct affine affine = {
        .fill = AFFINE_CONSTANT, .interpolation = AFFINE_BILINEAR, .fill_value = -1};
    const struct affine_image image = {DTYPE_F32, H, W, 1, in};
    for (int i = 0; i < H * W; i++) {
        in[i] = (float)i;
    }
    affine_flip(affine.m, true, false, H, W);
    affine_run(&affine, &image, out);
    for (int i = 0; i < H * W; i++) {
        ck_assert(out[i] == in[i / W * W + W - 1 - i % W]);
    }
    affine_translation(affine.m, 1, 2);
    affine_run(&affine, &image, out);
    for (int i = 0; i < H * W; i++) {
        ck_assert(out[i] == (i / W < 1 || i % W < 2 ? -1 : in[i - W - 2]));
    }
    /* Two quarter turns are a half turn, and a flip both ways. */
    affine_rotation(m, 90, 5, 5);
    affine_compose(m, m, half);
    affine_flip(whole, true, true, 5, 5);
    for (int i = 0; i < 6; i++) {
        ck_assert(fabsf(half[i] - whole[i]) < 1e-5f);
    }
}
END_TEST

/* Mirrors have a way of their own; it gives the bits of the plain code. */
START_TEST(test_mirrors)
{
    enum { W = 13, H = 7 };
    static const float factor[] = {0.3f, 1.7f, -2, 4}, term[] = {0.1f, -5, 3, 1};
    static const float same[] = {0.3f, 0.3f, 0.3f, 0.3f}, nought[4];
    const float *const factors[] = {NULL, factor, same}, *const terms[] = {NULL, term, nought};
    struct rng rng;
    float in[W * H * 4], plain[W * H * 4], fast[W * H * 4];
    rng_init(&rng, 3, 0, 0, 0);
    for (int round = 0; round < 4 * 4 * 2 * 2 * 3; round++) {
        const int turn = round % 4, channels = 1 + round / 4 % 4, k = round / 64;
        const bool bytes = round / 16 % 2;
        const struct affine_image image = {bytes ? DTYPE_U8 : DTYPE_F32, H, W, channels, in};
        struct affine affine = {.fill = AFFINE_REFLECT,
                                .interpolation = round / 32 % 2 ? AFFINE_BILINEAR : AFFINE_NEAREST,
                                .factor = factors[k],
                                .term = terms[k]};
        fill_floats(&rng, in, W * H * 4);
        if (bytes) {
            fill_bytes(&rng, (unsigned char *)in, sizeof in);
        }
        affine_flip(affine.m, turn & 1, turn & 2, H, W);
        affine_run_c(&affine, &image, plain);
        affine_run(&affine, &image, fast);
        for (int i = 0; i < W * H * channels; i++) {
            ck_assert_msg(plain[i] == fast[i], "round %d, %d: %g, %g", round, i, (double)plain[i],
                          (double)fast[i]);
        }
    }
}
END_TEST

/* The four points go where they are to go; what has no such map is left alone. */
START_TEST(test_perspective)
{
    static const struct {
        float from[8], to[8];
        bool is_identity;
    } cases[] = {
        {{0, 0, 9, 0, 0, 6, 9, 6}, {0, 0, 9, 0, 0, 6, 9, 6}, true},
        {{0, 0, 9.9f, 0, 0, 5.8f, 10.8f, 6}, {0, 0, 9, 0, 0, 6, 9, 6}, false},
        {{1, 0.5f, 7, 1, 0.5f, 5, 7.2f, 5.7f}, {0, 0, 8, 0, 0, 6, 8, 6}, false},
        {{0, 0, 0, 0, 0, 6, 0, 6}, {0, 0, 0, 0, 0, 6, 0, 6}, true}, /* a picture one pixel wide */
        {{0, 0, 1, 1, 2, 2, 3, 3}, {0, 0, 9, 0, 0, 6, 9, 6}, true}, /* all on one line */
        {{NAN, 0, 9, 0, 0, 6, 9, 6}, {0, 0, 9, 0, 0, 6, 9, 6}, true},
    };
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        float m[8], none[8];
        affine_perspective(m, cases[c].from, cases[c].to);
        affine_identity(none);
        for (int i = 0; i < 8 && cases[c].is_identity; i++) {
            ck_assert_msg(fabsf(m[i] - none[i]) < 1e-6f, "case %zu: m%d is %g", c, i, (double)m[i]);
        }
        for (int i = 0; i < 4 && !cases[c].is_identity; i++) {
            const float x = cases[c].from[2 * i], y = cases[c].from[2 * i + 1];
            const float k = m[6] * x + m[7] * y + 1;
            ck_assert(fabsf((m[0] * x + m[1] * y + m[2]) / k - cases[c].to[2 * i]) < 1e-4f);
            ck_assert(fabsf((m[3] * x + m[4] * y + m[5]) / k - cases[c].to[2 * i + 1]) < 1e-4f);
        }
    }
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("affine");
    TCase *c = tcase_create("affine");
    tcase_add_loop_test(c, test_avx2_equals_plain, 0, 6);
    tcase_add_test(c, test_resize_avx2_equals_plain);
    tcase_add_test(c, test_maps);
    tcase_add_test(c, test_mirrors);
    tcase_add_test(c, test_perspective);
    suite_add_tcase(suite, c);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
