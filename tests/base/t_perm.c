#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/perm.h"
#include "base/perm_kernel.h"
#include "base/rng.h"
#include "tests/test.h"

enum { EVERY_N = 5000, CELLS = 32, SAMPLED = 1 << 20 };

/* A permutation with memory of its own. */
struct made {
    struct perm perm;
    uint16_t *order;
};

static void make(struct made *ret, uint64_t n, uint64_t seed, uint64_t epoch)
{
    ret->order = malloc(perm_bytes(n) + 1);
    ck_assert_ptr_nonnull(ret->order);
    perm_init(&ret->perm, n, &(struct perm_key){seed, 4, epoch}, ret->order);
}

/* The network with so many rounds. */
static void make_network(struct perm *ret, uint64_t n, uint64_t seed, uint64_t epoch,
                         unsigned rounds_)
{
    perm_init_network(ret, n, &(struct perm_key){seed, 4, epoch});
    ret->rounds = rounds_;
}

/* Each of 0..n-1 once, whole and in pieces and one by one. */
static void check_whole(const struct perm *perm, unsigned char *seen, int64_t *out, int64_t *again)
{
    const size_t n = (size_t)perm->n, cut = n / 3;
    memset(seen, 0, n);
    perm_block(perm, 0, n, out);
    for (size_t i = 0; i < n; i++) {
        if (out[i] < 0 || (uint64_t)out[i] >= n || seen[out[i]]++ != 0) {
            ck_abort_msg("n %zu: position %zu gives %ld", n, i, (long)out[i]);
        }
    }
    perm_block_plain(perm, 0, cut, again);
    perm_block_plain(perm, cut, n - cut, again + cut);
    ck_assert_mem_eq(out, again, n * sizeof *out);
    for (size_t i = 0; i < n; i += n / 16 + 1) {
        ck_assert_uint_eq(perm_at(perm, i), (uint64_t)out[i]);
    }
}

static void check_n(uint64_t n)
{
    unsigned char *seen = malloc(n);
    int64_t *out = malloc(2 * n * sizeof *out);
    struct made made;
    struct perm network;
    ck_assert(seen != NULL && out != NULL);
    make(&made, n, n * 77, n & 7);
    check_whole(&made.perm, seen, out, out + n);
    make_network(&network, n, n * 77, n & 7, PERM_ROUNDS);
    check_whole(&network, seen, out, out + n);
    free(made.order);
    free(out);
    free(seen);
}

START_TEST(test_every_n)
{
    for (uint64_t n = 1; n <= EVERY_N; n++) {
        check_n(n);
    }
}
END_TEST

START_TEST(test_random_n)
{
    struct rng rng;
    rng_init(&rng, 11, 22, 33, 44);
    check_n(PERM_TABLE_MAX);
    check_n(PERM_TABLE_MAX + 1);
    for (int i = 0; i < 12; i++) {
        check_n(EVERY_N + rng_below(&rng, 300000));
    }
}
END_TEST

/* Sizes that no memory holds: inside, and no two of those looked at the same. */
START_TEST(test_large)
{
    static const uint64_t large[] = {1000000000, (uint64_t)1 << 32, ((uint64_t)1 << 32) + 1,
                                     ((uint64_t)1 << 40) - 7, (uint64_t)1 << 62};
    static int64_t out[3000], plain[3000];
    struct perm perm;
    perm_init(&perm, large[_i], &(struct perm_key){1, 2, 3}, NULL);
    ck_assert_uint_eq(perm_bytes(large[_i]), 0);
    for (int part = 0; part < 3; part++) {
        const uint64_t first = (large[_i] - 3000) / 2 * (uint64_t)part;
        perm_block(&perm, first, 3000, out);
        perm_block_plain(&perm, first, 3000, plain);
        ck_assert_mem_eq(out, plain, sizeof out);
        int n_wrong = 0;
        for (uint64_t i = 0; i < 3000; i++) {
            n_wrong +=
                (uint64_t)out[i] >= large[_i] || (uint64_t)out[i] != perm_at(&perm, first + i);
            for (uint64_t k = 0; k < i; k++) {
                n_wrong += out[k] == out[i];
            }
        }
        ck_assert_int_eq(n_wrong, 0);
    }
}
END_TEST

/* The vector rounds beside the plain ones: every length, nothing behind the end. */
START_TEST(test_vector_rounds)
{
    enum { MOST = 70, GUARD = 16 };
    perm_rounds_fn *const fast[] = {__builtin_cpu_supports("avx2") ? perm_avx2_rounds : NULL,
                                    __builtin_cpu_supports("avx512f") ? perm_avx512_rounds : NULL};
    struct rng rng;
    struct perm perm;
    rng_init(&rng, 5, 6, 7, 8);
    for (uint64_t n = 0; n <= MOST && fast[_i] != NULL; n++) {
        uint32_t want[2][MOST + GUARD], got[2][MOST + GUARD];
        perm_init_network(&perm, ((uint64_t)1 << (n % 62)) + n, &(struct perm_key){n, 2, 3});
        for (size_t i = 0; i < MOST + GUARD; i++) {
            want[0][i] = got[0][i] = rng_u32(&rng) & perm.low_mask;
            want[1][i] = got[1][i] = rng_u32(&rng) & perm.high_mask;
        }
        rounds(&perm, want[0], want[1], n);
        fast[_i](&perm, got[0], got[1], n);
        ck_assert_mem_eq(want, got, sizeof want);
    }
}
END_TEST

/* A change of these numbers changes every shuffle: it must be on purpose. */
START_TEST(test_frozen)
{
    static const struct {
        uint64_t n;
        int64_t first[5];
    } cases[] = {
        {1000, {37, 253, 265, 110, 380}},
        {PERM_TABLE_MAX, {2324, 60010, 9034, 12479, 36674}},
        {PERM_TABLE_MAX + 1, {5707, 61340, 55054, 62255, 33586}},
        {1000000000, {25148164, 936064805, 871569094, 503063498, 367116432}},
        {(uint64_t)1 << 62,
         {4177913322914402168, 655422613225002276, 3701256752115312789, 1321877652704297425,
          1999608424858849314}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t out[5];
        struct made made;
        make(&made, cases[i].n, 7, 9);
        perm_block(&made.perm, 0, 5, out);
        for (int k = 0; k < 5; k++) {
            ck_assert_msg(out[k] == cases[i].first[k], "n %lu: {%ld, %ld, %ld, %ld, %ld}",
                          (unsigned long)cases[i].n, (long)out[0], (long)out[1], (long)out[2],
                          (long)out[3], (long)out[4]);
        }
        free(made.order);
    }
}
END_TEST

/* ---- statistics: deviations of a chi-square from its mean, in units of its own ----------------
 */

static double deviations(const uint32_t *cells, int n, double expected, double freedom)
{
    double chi = 0.0;
    for (int i = 0; i < n; i++) {
        chi += (cells[i] - expected) * (cells[i] - expected) / expected;
    }
    return (chi - freedom) / sqrt(2.0 * freedom);
}

/* Values that are looked at: from the beginning on, as far as the greatest lag beyond that, again
 * of the next epoch, from the middle on, and spread over the whole. */
struct values {
    uint64_t n;
    size_t m;
    int64_t *here, *next, *half, *spread;
};
enum { LAG_MAX = 1024 };

static void look_at(struct values *ret, const struct perm *perm, const struct perm *next)
{
    const uint64_t n = perm->n;
    const size_t m = n < SAMPLED ? (size_t)n : SAMPLED;
    int64_t *all = malloc((4 * m + LAG_MAX) * sizeof *all);
    ck_assert_ptr_nonnull(all);
    *ret =
        (struct values){n, m, all, all + m + LAG_MAX, all + 2 * m + LAG_MAX, all + 3 * m + LAG_MAX};
    const size_t behind = n - m < LAG_MAX ? (size_t)(n - m) : LAG_MAX;
    perm_block(perm, 0, m + behind, ret->here);
    memcpy(ret->here + m + behind, ret->here, (LAG_MAX - behind) * sizeof *all);
    perm_block(next, 0, m, ret->next);
    perm_block(perm, n / 2, n / 2 < m ? (size_t)n / 2 : m, ret->half);
    for (size_t i = 0; i < m; i++) {
        ret->spread[i] = (int64_t)perm_at(perm, i * n / m);
    }
}

/* Of a 32 x 32 table of two values. */
static double joint(const struct values *v, const int64_t *x, const int64_t *y)
{
    uint32_t cells[CELLS * CELLS] = {0};
    for (size_t i = 0; i < v->m; i++) {
        const uint64_t row = x != NULL ? (uint64_t)x[i] : i * v->n / v->m;
        cells[row * CELLS / v->n * CELLS + (uint64_t)y[i] * CELLS / v->n]++;
    }
    /* Sums of rows and columns are given where all values are counted, else those of positions, or
     * the total alone. */
    const double freedom = v->m == v->n ? (CELLS - 1) * (CELLS - 1)
                           : x == NULL  ? CELLS * (CELLS - 1)
                                        : CELLS * CELLS - 1;
    return deviations(cells, CELLS * CELLS, (double)v->m / (CELLS * CELLS), freedom);
}

/* Of differences, in fine bins: where a network of few rounds shows first. */
static double differences(const struct values *v, const int64_t *y, size_t m)
{
    enum { BINS = 256 };
    uint32_t cells[BINS] = {0};
    for (size_t i = 0; i < m; i++) {
        cells[((uint64_t)y[i] + v->n - (uint64_t)v->here[i]) % v->n * BINS / v->n]++;
    }
    return deviations(cells, BINS, (double)m / BINS, BINS - 1);
}

static const size_t lags[] = {1, 2, 7, 64, 256, LAG_MAX};
enum { N_LAGS = sizeof lags / sizeof lags[0] };

static void worse(double z, const char *what, double *most, const char **ret_what)
{
    if (fabs(z) > *most) {
        *most = fabs(z);
        *ret_what = what;
    }
}

/* The greatest of all of them. */
static double worst(const struct perm *perm, const struct perm *next, const char **ret_what)
{
    struct values v;
    double most = 0;
    *ret_what = "";
    look_at(&v, perm, next);
    worse(joint(&v, NULL, v.spread), "position", &most, ret_what);
    worse(joint(&v, v.here, v.next), "next epoch", &most, ret_what);
    for (int i = 0; i < N_LAGS; i++) {
        worse(joint(&v, v.here, v.here + lags[i]), "neighbour", &most, ret_what);
        worse(differences(&v, v.here + lags[i], v.m), "difference of neighbours", &most, ret_what);
    }
    worse(differences(&v, v.half, v.n / 2 < v.m ? (size_t)v.n / 2 : v.m),
          "difference to the other half", &most, ret_what);
    free(v.here);
    return most;
}

static const uint64_t sizes[] = {60000,   PERM_TABLE_MAX, PERM_TABLE_MAX + 1, 1 << 17,   1 << 18,
                                 1 << 20, 1281167,        999999937,          1000000000};
enum { N_SIZES = sizeof sizes / sizeof sizes[0] };

START_TEST(test_looks_random)
{
    struct made made, next;
    const char *what;
    for (uint64_t seed = 1; seed < 3; seed++) {
        make(&made, sizes[_i], seed, 5);
        make(&next, sizes[_i], seed, 6);
        const double z = worst(&made.perm, &next.perm, &what);
        ck_assert_msg(z < 4.5, "n %lu, seed %lu: %s, %.1f deviations", (unsigned long)sizes[_i],
                      (unsigned long)seed, what, z);
        free(made.order);
        free(next.order);
    }
}
END_TEST

/* The control: with fewer rounds the same test fails. */
START_TEST(test_few_rounds_show)
{
    struct perm perm, next;
    const char *what;
    make_network(&perm, 1 << 18, 1, 5, (unsigned)_i);
    make_network(&next, 1 << 18, 1, 6, (unsigned)_i);
    const double z = worst(&perm, &next, &what);
    ck_assert_msg(z > 4.5, "%d rounds: %s, %.1f deviations", _i, what, z);
}
END_TEST

/* ---- whole permutations: all 120 orders of five values, over many keys ------------------------
 */

enum { FEW = 5, ORDERS = 120, EACH = 400 };

/* The number of an order among all of them (Lehmer's code). */
static int order_number(const int64_t v[FEW])
{
    int code = 0;
    for (int i = 0; i < FEW; i++) {
        int less = 0;
        for (int k = i + 1; k < FEW; k++) {
            less += v[k] < v[i];
        }
        code = code * (FEW - i) + less;
    }
    return code;
}

/* rounds 0: as perm_init makes it. */
static double orders(unsigned n_rounds)
{
    uint32_t cells[ORDERS] = {0};
    for (uint64_t key = 0; key < ORDERS * EACH; key++) {
        int64_t v[FEW];
        uint16_t order[FEW];
        struct perm perm;
        const struct perm_key keys = {key / 7, 3, key % 7};
        perm_init(&perm, FEW, &keys, order);
        if (n_rounds > 0) {
            perm_init_network(&perm, FEW, &keys);
            perm.rounds = n_rounds;
        }
        perm_block(&perm, 0, FEW, v);
        cells[order_number(v)]++;
    }
    return deviations(cells, ORDERS, EACH, ORDERS - 1);
}

START_TEST(test_orders_of_five)
{
    static const unsigned rounds_of[] = {0, PERM_ROUNDS};
    const double z = orders(rounds_of[_i]);
    ck_assert_msg(fabs(z) < 4.5, "%u rounds: %.1f deviations", rounds_of[_i], z);
}
END_TEST

START_TEST(test_few_rounds_miss_orders)
{
    ck_assert_msg(orders((unsigned)_i) > 4.5, "%d rounds: %.1f deviations", _i,
                  orders((unsigned)_i));
}
END_TEST

static void ask_outside(void *arg)
{
    (void)perm_at(arg, 10);
}

static void ask_block_outside(void *arg)
{
    int64_t out[4];
    perm_block(arg, 7, 4, out);
}

static void init_empty(void *arg)
{
    perm_init(arg, 0, &(struct perm_key){1, 2, 3}, NULL);
}

START_TEST(test_bugs)
{
    struct made made;
    make(&made, 10, 1, 3);
    ck_assert_int_eq(test_in_child(ask_outside, &made.perm), -SIGABRT);
    ck_assert_int_eq(test_in_child(ask_block_outside, &made.perm), -SIGABRT);
    ck_assert_int_eq(test_in_child(init_empty, &made.perm), -SIGABRT);
    free(made.order);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("perm");
    TCase *cases = tcase_create("perm");
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, test_every_n);
    tcase_add_test(cases, test_random_n);
    tcase_add_loop_test(cases, test_large, 0, 5);
    tcase_add_loop_test(cases, test_vector_rounds, 0, 2);
    tcase_add_test(cases, test_frozen);
    tcase_add_loop_test(cases, test_looks_random, 0, N_SIZES);
    tcase_add_loop_test(cases, test_few_rounds_show, 1, 5);
    tcase_add_loop_test(cases, test_orders_of_five, 0, 2);
    tcase_add_loop_test(cases, test_few_rounds_miss_orders, 1, 6);
    tcase_add_test(cases, test_bugs);
    suite_add_tcase(suite, cases);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
