#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/perm.h"
#include "base/rng.h"
#include "tests/test.h"

START_TEST(test_bijection)
{
    unsigned char seen[3000];
    for (uint64_t n = 1; n <= sizeof(seen); n += n < 300 ? 1 : 61) {
        struct perm perm;
        perm_init(&perm, n, n * 77, n & 3, n & 7);
        memset(seen, 0, sizeof(seen));
        for (uint64_t i = 0; i < n; i++) {
            uint64_t at = perm_at(&perm, i);
            ck_assert_uint_lt(at, n);
            ck_assert_uint_eq(seen[at]++, 0);
        }
    }
}
END_TEST

START_TEST(test_large)
{
    static const uint64_t sizes[] = {(uint64_t)1 << 32, ((uint64_t)1 << 32) + 1,
                                     ((uint64_t)1 << 40) - 7, (uint64_t)1 << 62};
    struct perm perm;
    perm_init(&perm, sizes[_i], 1, 2, 3);
    for (uint64_t i = 0; i < 10000; i++) {
        ck_assert_uint_lt(perm_at(&perm, i), sizes[_i]);
        ck_assert_uint_lt(perm_at(&perm, sizes[_i] - 1 - i), sizes[_i]);
    }
}
END_TEST

/* A change of these numbers changes every shuffle: it must be on purpose. */
START_TEST(test_frozen)
{
    static const uint64_t small[] = {261, 917, 996, 553, 182, 599};
    static const uint64_t large[] = {0xe9628b90e1f6421, 0x39d0a3ea517db4c3, 0x1e348491bbd5d87d};
    struct perm perm;
    perm_init(&perm, 1000, 7, 8, 9);
    for (uint64_t i = 0; i < 6; i++) {
        ck_assert_uint_eq(perm_at(&perm, i), small[i]);
    }
    perm_init(&perm, (uint64_t)1 << 62, 7, 8, 9);
    for (uint64_t i = 0; i < 3; i++) {
        ck_assert_uint_eq(perm_at(&perm, i), large[i]);
    }
}
END_TEST

enum { CELLS = 32 };

/* Deviations of a 32 x 32 table of (value at i, other value) from an even one. */
static double joint(uint64_t n, uint64_t lag, uint64_t epoch_lag, uint64_t seed)
{
    static const double freedom = (CELLS - 1) * (CELLS - 1);
    uint32_t cells[CELLS * CELLS] = {0};
    struct perm perm, other;
    perm_init(&perm, n, seed, 4, 5);
    perm_init(&other, n, seed, 4, 5 + epoch_lag);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t x = perm_at(&perm, i) * CELLS / n, y = perm_at(&other, (i + lag) % n) * CELLS / n;
        cells[x * CELLS + y]++;
    }
    double chi = 0.0, expected = (double)n / (CELLS * CELLS);
    for (int i = 0; i < CELLS * CELLS; i++) {
        chi += (cells[i] - expected) * (cells[i] - expected) / expected;
    }
    return (chi - freedom) / sqrt(2.0 * freedom);
}

START_TEST(test_looks_random)
{
    static const uint64_t lags[] = {1, 2, 7, 64, 256, 1024};
    static const uint64_t sizes[] = {60000, 65536, 65537};
    for (size_t i = 0; i < sizeof(lags) / sizeof(lags[0]); i++) {
        double z = joint(sizes[_i], lags[i], 0, 1);
        ck_assert_msg(fabs(z) < 4.5, "n %lu, lag %lu: %.1f deviations", (unsigned long)sizes[_i],
                      (unsigned long)lags[i], z);
    }
    for (uint64_t seed = 1; seed < 4; seed++) {
        double z = joint(sizes[_i], 0, 1, seed);
        ck_assert_msg(fabs(z) < 4.5, "n %lu, next epoch: %.1f deviations", (unsigned long)sizes[_i],
                      z);
    }
}
END_TEST

/* All 24 orders of four samples, over many keys. */
START_TEST(test_small_orders)
{
    uint32_t cells[256] = {0};
    enum { KEYS = 24000 };
    for (uint64_t key = 0; key < KEYS; key++) {
        struct perm perm;
        perm_init(&perm, 4, key, 0, key % 5);
        uint64_t code = 0;
        for (uint64_t i = 0; i < 4; i++) {
            code = code * 4 + perm_at(&perm, i);
        }
        cells[code]++;
    }
    double chi = 0.0;
    int n_orders = 0;
    for (int i = 0; i < 256; i++) {
        if (cells[i] > 0) {
            chi += (cells[i] - 1000.0) * (cells[i] - 1000.0) / 1000.0;
            n_orders++;
        }
    }
    ck_assert_int_eq(n_orders, 24);
    ck_assert(chi < 23.0 + 5.0 * sqrt(46.0));
}
END_TEST

static void ask_outside(void *arg)
{
    (void)perm_at(arg, 10);
}

static void init_empty(void *arg)
{
    perm_init(arg, 0, 1, 2, 3);
}

START_TEST(test_bugs)
{
    struct perm perm;
    perm_init(&perm, 10, 1, 2, 3);
    ck_assert_int_eq(test_in_child(ask_outside, &perm), -SIGABRT);
    ck_assert_int_eq(test_in_child(init_empty, &perm), -SIGABRT);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("perm");
    TCase *cases = tcase_create("perm");
    tcase_add_test(cases, test_bijection);
    tcase_add_loop_test(cases, test_large, 0, 4);
    tcase_add_test(cases, test_frozen);
    tcase_add_loop_test(cases, test_looks_random, 0, 3);
    tcase_add_test(cases, test_small_orders);
    tcase_add_test(cases, test_bugs);
    suite_add_tcase(suite, cases);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
