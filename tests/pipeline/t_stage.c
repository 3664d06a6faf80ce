/* Order stages against the plainest model there is: lists of samples. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "tests/pipeline/fixture.h"

enum { N = 53, MAX = 4000 };
#define JOB(stages)                                                                              \
    "{\"data\": {\"train\": {\"dataset\": \"d\", \"split\": \"train\"}}, \"pipeline\": [" stages \
    "]}"

static struct fixture f;

static void setup(void)
{
    fixture_init(&f);
    fixture_add_idx(&f, "d", "train", N, 2, 2);
}

static void teardown(void)
{
    fixture_fini(&f);
}

struct model {
    int64_t v[MAX];
    int64_t n;
};

static void apply(struct model *m, int kind, int64_t a, int64_t b)
{
    static struct model old;
    old = *m;
    m->n = 0;
    for (int64_t i = 0; i < old.n; i++) {
        if ((kind == 0 && i < a) || (kind == 1 && i >= a) || (kind == 2 && i % a == b)) {
            m->v[m->n++] = old.v[i];
        }
    }
    for (int64_t k = 0; kind == 3 && k < a; k++) {
        memcpy(m->v + m->n, old.v, (size_t)old.n * sizeof *old.v);
        m->n += old.n;
    }
}

/* One random stage into the text and the model. */
static void add_stage(struct rng *rng, struct buf *text, struct model *m)
{
    static const char *const forms[] = {"{\"take\": %lld}, ", "{\"skip\": %lld}, ",
                                        "{\"shard\": {\"num_shards\": %lld, \"index\": %lld}}, ",
                                        "{\"repeat\": %lld}, "};
    const int kind = (int)rng_below(rng, 4);
    int64_t a = (int64_t)rng_below(rng, 30), b = 0;
    if (kind == 2) {
        a = 1 + (int64_t)rng_below(rng, 4);
        b = (int64_t)rng_below(rng, (uint64_t)a);
    } else if (kind == 3) {
        a = 1 + (int64_t)rng_below(rng, 3);
    }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    char stage[100];
    (void)snprintf(stage, sizeof stage, forms[kind], (long long)a, (long long)b);
#pragma GCC diagnostic pop
    buf_puts(text, stage);
    apply(m, kind, a, b);
}

START_TEST(test_against_lists)
{
    static struct model m;
    static int64_t got[MAX];
    struct rng rng;
    int n_run = 0;
    rng_init(&rng, 5, 0, 0, 0);
    for (int round = 0; round < 300; round++) {
        struct buf text = {0};
        m.n = N;
        for (int64_t i = 0; i < N; i++) {
            m.v[i] = i;
        }
        buf_puts(
            &text,
            "{\"data\": {\"train\": {\"dataset\": \"d\", \"split\": \"train\"}}, \"pipeline\": [");
        const int n_stages = 1 + (int)rng_below(&rng, 4);
        for (int k = 0; k < n_stages; k++) {
            add_stage(&rng, &text, &m);
        }
        buf_printf(&text, "{\"batch\": %d}]}", 1 + (int)rng_below(&rng, 9));
        const int r = fixture_compile(&f, text.data);
        ck_assert_msg((r < 0) == (m.n == 0), "%s: %s", text.data, f.err.text);
        if (r == 0) {
            ck_assert_msg(fixture_samples(&f, PIPELINE_TRAIN, 1, got, MAX) == m.n, "%s", text.data);
            ck_assert_msg(memcmp(got, m.v, (size_t)m.n * sizeof *got) == 0, "%s", text.data);
            n_run++;
        }
        buf_fini(&text);
    }
    ck_assert_int_gt(n_run, 100);
}
END_TEST

static int64_t samples_of(const char *job, int64_t epoch, int64_t *ret)
{
    int r = fixture_compile(&f, job);
    ck_assert_msg(r == 0, "%s: %s: %s", job, f.err.path, f.err.text);
    return fixture_samples(&f, PIPELINE_TRAIN, epoch, ret, MAX);
}

static bool is_permutation(const int64_t *v, int64_t n)
{
    bool seen[MAX] = {false};
    for (int64_t i = 0; i < n; i++) {
        if (v[i] < 0 || v[i] >= n || seen[v[i]]) {
            return false;
        }
        seen[v[i]] = true;
    }
    return true;
}

START_TEST(test_shuffle)
{
    int64_t a[MAX], b[MAX];
    const char *job = JOB("{\"shuffle\": 10}, {\"batch\": 8}");
    ck_assert_int_eq(samples_of(job, 0, a), N);
    ck_assert(is_permutation(a, N));
    ck_assert_int_eq(samples_of(job, 0, b), N);
    ck_assert(memcmp(a, b, N * sizeof *a) == 0);
    ck_assert_int_eq(samples_of(job, 1, b), N);
    ck_assert(is_permutation(b, N) && memcmp(a, b, N * sizeof *a) != 0);
    ck_assert_int_eq(samples_of(JOB("{\"shuffle\": {\"seed\": 4}}, {\"batch\": 8}"), 0, b), N);
    ck_assert(is_permutation(b, N) && memcmp(a, b, N * sizeof *a) != 0);
    /* The same order in each epoch on request. */
    job = JOB("{\"shuffle\": {\"reshuffle_each_iteration\": false}}, {\"batch\": 8}");
    samples_of(job, 0, a);
    samples_of(job, 5, b);
    ck_assert(is_permutation(a, N) && memcmp(a, b, N * sizeof *a) == 0);
}
END_TEST

START_TEST(test_take_and_shuffle)
{
    int64_t a[MAX], b[MAX];
    ck_assert_int_eq(samples_of(JOB("{\"take\": 20}, {\"shuffle\": 1}, {\"batch\": 8}"), 0, a), 20);
    ck_assert(is_permutation(a, 20));
    const char *job = JOB("{\"shuffle\": 1}, {\"take\": 20}, {\"batch\": 8}");
    ck_assert_int_eq(samples_of(job, 0, a), 20);
    ck_assert_int_eq(samples_of(job, 1, b), 20);
    ck_assert(!is_permutation(a, 20) && memcmp(a, b, 20 * sizeof *a) != 0);
}
END_TEST

/* Each pass of a repeat behind a shuffle is a whole pass in its own order; passes of epochs do not
 * meet. */
START_TEST(test_shuffle_and_repeat)
{
    int64_t a[MAX], b[MAX];
    const char *job = JOB("{\"shuffle\": 1}, {\"repeat\": 2}, {\"batch\": 8}");
    ck_assert_int_eq(samples_of(job, 0, a), 2 * N);
    ck_assert(is_permutation(a, N) && is_permutation(a + N, N));
    ck_assert(memcmp(a, a + N, N * sizeof *a) != 0);
    ck_assert_int_eq(samples_of(job, 1, b), 2 * N);
    ck_assert(memcmp(a + N, b, N * sizeof *a) != 0 && memcmp(a, b, N * sizeof *a) != 0);
}
END_TEST

/* An endless stream runs on: epoch 1 begins where epoch 0 ended. */
START_TEST(test_endless)
{
    int64_t a[MAX], n = 0;
    const char *job =
        "{\"data\": {\"train\": {\"dataset\": \"d\", \"split\": \"train\"}}, \"pipeline\": "
        "[{\"shuffle\": 1}, "
        "{\"repeat\": {}}, {\"batch\": 10}], \"fit\": {\"epochs\": 20, \"steps_per_epoch\": 3}}";
    ck_assert_int_eq(fixture_compile(&f, job), 0);
    ck_assert_int_eq(pipeline_steps(f.pipeline, PIPELINE_TRAIN), 3);
    for (int epoch = 0; epoch < 20; epoch++) {
        n += fixture_samples(&f, PIPELINE_TRAIN, epoch, a + n, MAX - n);
    }
    ck_assert_int_eq(n, 600);
    for (int64_t pass = 0; pass + 1 < n / N; pass++) {
        ck_assert(is_permutation(a + pass * N, N));
        ck_assert(memcmp(a, a + (pass + 1) * N, N * sizeof *a) != 0);
    }
}
END_TEST

START_TEST(test_batches)
{
    int64_t a[MAX];
    ck_assert_int_eq(
        samples_of(JOB("{\"batch\": {\"batch_size\": 10, \"drop_remainder\": true}}"), 0, a), 50);
    ck_assert_int_eq(samples_of(JOB("{\"batch\": 10}, {\"take\": 2}"), 0, a), 20);
    ck_assert_int_eq(samples_of(JOB("{\"batch\": 10}, {\"skip\": 4}"), 0, a), 13);
    ck_assert_int_eq(a[0], 40);
    ck_assert_int_eq(a[12], 52);
    ck_assert_int_eq(
        samples_of(JOB("{\"batch\": 10}, {\"shard\": {\"num_shards\": 2, \"index\": 1}}"), 0, a),
        23);
    ck_assert_int_eq(a[10], 30);
    ck_assert_int_eq(a[22], 52);
    ck_assert_int_eq(
        samples_of(JOB("{\"batch\": 10}, {\"shard\": {\"num_shards\": 5, \"index\": 1}}"), 0, a),
        10);
    ck_assert_int_eq(
        samples_of(
            JOB("{\"batch\": {\"batch_size\": 10, \"drop_remainder\": true}}, {\"shuffle\": 1}"), 0,
            a),
        50);
    ck_assert(is_permutation(a, 50) && a[1] == a[0] + 1 && a[9] == a[0] + 9);
    ck_assert_int_eq(samples_of(JOB(""), 0, a), N);
    ck_assert_int_eq(samples_of(JOB("\"cache\", {\"batch\": 8}, {\"prefetch\": -1}"), 0, a), N);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("stage");
    TCase *c = tcase_create("stage");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, test_against_lists);
    tcase_add_test(c, test_shuffle);
    tcase_add_test(c, test_take_and_shuffle);
    tcase_add_test(c, test_shuffle_and_repeat);
    tcase_add_test(c, test_endless);
    tcase_add_test(c, test_batches);
    suite_add_tcase(suite, c);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
