#include <math.h>
#include <signal.h>
#include <string.h>

#include "base/rng.h"
#include "tests/test.h"

/* kat_vectors of Random123 for philox4x32 with 10 rounds. */
static const struct {
    uint32_t counter[4], key[2], want[4];
} vectors[] = {
    {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
     {0xa4093822, 0x299f31d0},
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

START_TEST(test_vectors)
{
    struct rng rng = {.left = 0};
    memcpy(rng.key, vectors[_i].key, sizeof(rng.key));
    memcpy(rng.counter, vectors[_i].counter, sizeof(rng.counter));
    for (int i = 0; i < 4; i++) {
        ck_assert_uint_eq(rng_u32(&rng), vectors[_i].want[i]);
    }
    ck_assert_uint_eq(rng.counter[0], vectors[_i].counter[0] + 1);
}
END_TEST

/* A change of these numbers changes every job's samples: it must be on purpose. */
START_TEST(test_frozen)
{
    struct rng rng;
    rng_init(&rng, 7, rng_id("pipeline/1/RandomFlip"), 3, 12345678901u);
    uint32_t first = rng_u32(&rng), second = rng_u32(&rng);
    ck_assert_uint_eq(rng_id("pipeline/1/RandomFlip"), 0x6e0b116e3bb82b16u);
    ck_assert_uint_eq(first, 0x2f18c026u);
    ck_assert_uint_eq(second, 0x883a2bdeu);
    ck_assert(rng_normal(&rng) == -0x1.63b14ep-2F);
}
END_TEST

START_TEST(test_every_part_matters)
{
    struct rng base, other[5];
    rng_init(&base, 1, 2, 3, 4);
    rng_init(&other[0], 2, 2, 3, 4);
    rng_init(&other[1], 1, 3, 3, 4);
    rng_init(&other[2], 1, 2, 4, 4);
    rng_init(&other[3], 1, 2, 3, 5);
    rng_init(&other[4], 1, 2, 3 | RNG_BATCH_SCOPE, 4);
    uint64_t first = rng_u64(&base);
    for (int i = 0; i < 5; i++) {
        ck_assert_uint_ne(rng_u64(&other[i]), first);
    }
}
END_TEST

START_TEST(test_seek)
{
    struct rng all, rng;
    uint32_t words[40];
    rng_init(&all, 1, 2, 3, 4);
    for (int i = 0; i < 40; i++) {
        words[i] = rng_u32(&all);
    }
    for (unsigned n = 0; n < 40; n++) {
        rng_init(&rng, 1, 2, 3, 4);
        (void)rng_u32(&rng);
        rng_seek(&rng, n);
        for (unsigned i = n; i < 40; i++) {
            ck_assert_uint_eq(rng_u32(&rng), words[i]);
        }
    }
}
END_TEST

static void moments(float (*draw)(struct rng *rng), double mean, double deviation)
{
    enum { N = 400000 };
    struct rng rng;
    double sum = 0.0, squares = 0.0;
    for (uint64_t i = 0; i < N / 4; i++) {
        rng_init(&rng, 11, 5, 0, i);
        for (int k = 0; k < 4; k++) {
            double x = (double)draw(&rng);
            sum += x;
            squares += x * x;
        }
    }
    double got = sum / N;
    ck_assert(fabs(got - mean) < 5.0 * deviation / sqrt(N));
    ck_assert(fabs(sqrt(squares / N - got * got) - deviation) < 0.005 * deviation);
}

START_TEST(test_moments)
{
    moments(rng_f32, 0.5, sqrt(1.0 / 12.0));
    moments(rng_normal, 0.0, 1.0);
}
END_TEST

START_TEST(test_ranges)
{
    struct rng rng;
    rng_init(&rng, 1, 1, 1, 1);
    for (int i = 0; i < 100000; i++) {
        float f = rng_f32(&rng), g = rng_range(&rng, -2.0F, 3.0F);
        double d = rng_f64(&rng);
        ck_assert(f >= 0.0F && f < 1.0F);
        ck_assert(d >= 0.0 && d < 1.0);
        ck_assert(g >= -2.0F && g <= 3.0F);
        ck_assert(isfinite(rng_normal(&rng)));
    }
}
END_TEST

/* A chi-squared of many sizes: 5 deviations. */
START_TEST(test_below)
{
    static const uint64_t sizes[] = {1, 2, 3, 7, 10, 64, 100};
    uint64_t n = sizes[_i];
    uint32_t cells[100] = {0};
    struct rng rng;
    rng_init(&rng, 9, n, 0, 0);
    for (int i = 0; i < 100000; i++) {
        uint64_t x = rng_below(&rng, n);
        ck_assert_uint_lt(x, n);
        cells[x]++;
    }
    double chi = 0.0, expected = 100000.0 / (double)n;
    for (uint64_t i = 0; i < n; i++) {
        chi += (cells[i] - expected) * (cells[i] - expected) / expected;
    }
    double freedom = (double)n - 1.0;
    ck_assert(chi <= freedom + 5.0 * sqrt(2.0 * freedom) + 1e-9);
    ck_assert_uint_lt(rng_below(&rng, UINT64_MAX), UINT64_MAX);
}
END_TEST

static void below_nothing(void *arg)
{
    (void)rng_below(arg, 0);
}

static void draw_too_often(void *arg)
{
    struct rng *rng = arg;
    rng->counter[0] = UINT32_MAX;
    rng->left = 0;
    (void)rng_u32(rng);
}

START_TEST(test_bugs)
{
    struct rng rng;
    rng_init(&rng, 1, 1, 1, 1);
    ck_assert_int_eq(test_in_child(below_nothing, &rng), -SIGABRT);
    ck_assert_int_eq(test_in_child(draw_too_often, &rng), -SIGABRT);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("rng");
    TCase *cases = tcase_create("rng");
    tcase_add_loop_test(cases, test_vectors, 0, sizeof(vectors) / sizeof(vectors[0]));
    tcase_add_test(cases, test_seek);
    tcase_add_test(cases, test_frozen);
    tcase_add_test(cases, test_every_part_matters);
    tcase_add_test(cases, test_moments);
    tcase_add_test(cases, test_ranges);
    tcase_add_loop_test(cases, test_below, 0, 7);
    tcase_add_test(cases, test_bugs);
    suite_add_tcase(suite, cases);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
