/* Law 2: a batch is a pure function of (pipeline, seed, epoch, step). The chain over the hashes of
 * all batches of three epochs is the same for any number of workers, either transport, any depth of
 * the queue, and while workers are killed and stopped. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/system/harness.h"
#include "trainer/ledger.h"

enum { EPOCHS = 3, JOB_TEXT = 4096 };

/* 10,000 samples in batches of 96: the last one is short. Half of the shuffled set, so that a run
 * takes seconds. */
static const char job_form[] =
    "{\"name\": \"law\", \"data\": {\"train\": {\"dataset\": \"digits\", \"split\": \"train\"}},"
    " \"pipeline\": [{\"shuffle\": {}}, {\"take\": {\"count\": 5000}},"
    "  {\"map\": [{\"Rescaling\": {\"scale\": 0.00392156862745098}}, {\"RandomFlip\": {\"mode\": "
    "\"horizontal\"}},"
    "   {\"RandomRotation\": {\"factor\": 0.1}}, {\"Sleep\": {\"microseconds\": %d}}]},%s"
    "  {\"batch\": {\"batch_size\": 96}}, {\"prefetch\": {\"buffer_size\": %d}}],"
    " \"model\": [\"Flatten\", {\"Dense\": {\"units\": 10, \"activation\": \"softmax\"}}],"
    " \"compile\": {\"optimizer\": \"SGD\", \"loss\": \"SparseCategoricalCrossentropy\", "
    "\"metrics\": [\"accuracy\"]},"
    " \"fit\": {\"epochs\": 3, \"seed\": 11, \"ledger\": \"samples\"},"
    " \"resources\": {\"workers\": %d, \"transport\": \"%s\", \"backend\": \"ref\", \"threads\": "
    "1}}";

struct law_case {
    const char *name;
    int workers, prefetch;
    const char *transport;
    int chaos_ms;
    int kill_late_ms;
    const char *stored; /* a stage behind the drawn ops, or NULL */
};
static const struct law_case cases[] = {
    {"2 workers", 2, 4, "slab", 0, 0, NULL},
    {"3 workers", 3, 4, "slab", 0, 0, NULL},
    {"5 workers", 5, 4, "slab", 0, 0, NULL},
    {"inline", 2, 4, "inline", 0, 0, NULL},
    {"prefetch 1", 2, 1, "slab", 0, 0, NULL},
    {"prefetch 16", 2, 16, "slab", 0, 0, NULL},
    {"killed and stopped", 3, 4, "slab", 200, 0, NULL},
    {"killed and stopped, inline", 3, 4, "inline", 200, 0, NULL},
    {"stopped ones wake and write", 3, 1, "slab", 200, 150, NULL},
};

/* What the ledger says of a run. */
struct law_record {
    int64_t steps, rows;
    uint64_t first[EPOCHS]; /* hash of an epoch's first batch */
    int seen[EPOCHS][10000];
};

static int add_record(void *ctx, const struct ledger_record *record, const int64_t *ids)
{
    struct law_record *law = ctx;
    if (record->kind != LEDGER_STEP) {
        return 0;
    }
    ck_assert(record->epoch >= 0 && record->epoch < EPOCHS);
    law->steps++;
    law->rows += record->rows;
    if (record->step == 0) {
        law->first[record->epoch] = record->hash;
    }
    for (uint32_t i = 0; i < record->n_ids; i++) {
        ck_assert(ids[i] >= 0 && ids[i] < 10000);
        law->seen[record->epoch][ids[i]]++;
    }
    return 0;
}

static void read_ledger(const struct harness *harness, struct law_record *law)
{
    memset(law, 0, sizeof(*law));
    int fd = openat(harness->job_dir_fd, LEDGER_NAME, O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ledger_read(fd, add_record, law, NULL), 0);
    close(fd);
}

static void run_broken(const char *shared, const struct law_case *law, const char *trainer,
                       bool seed_by_worker, uint64_t seed, char chain[32],
                       struct harness_outcome *ret, struct law_record *record)
{
    struct harness harness;
    char job[JOB_TEXT];
    /* It changes nothing but the time that there is for disturbances. */
    int sleep_us = law->chaos_ms > 0 ? 500 : 0;
    snprintf(job, sizeof(job), job_form, sleep_us, law->stored != NULL ? law->stored : "",
             law->prefetch, law->workers, law->transport);
    harness_open(&harness, shared);
    harness_plan(&harness, &(struct harness_options){.job = job,
                                                     .workers = law->workers,
                                                     .n_slabs = law->prefetch + 3,
                                                     .sandbox = true,
                                                     .chaos_ms = law->chaos_ms,
                                                     .lease_ms = 50,
                                                     .kill_late_ms = law->kill_late_ms,
                                                     .seed_by_worker = seed_by_worker,
                                                     .trainer = trainer,
                                                     .seed = seed});
    *ret = *harness_run(&harness);
    ck_assert_msg(ret->finished, "%s: %s: %s", law->name, ret->path, ret->text);
    memcpy(chain, ret->chain, 32);
    read_ledger(&harness, record);
    printf(
        "# %s: %.2f s, %d killed, %d stopped, %lld leases expired, %lld batches moved, wait %.2f\n",
        law->name, ret->seconds, ret->n_kills, ret->n_stops, (long long)ret->expired,
        (long long)ret->moved, ret->wait_share);
    harness_close(&harness);
}

static void run_case(const char *shared, const struct law_case *law, char chain[32],
                     struct harness_outcome *ret, struct law_record *record)
{
    run_broken(shared, law, NULL, false, 5, chain, ret, record);
}

static const struct law_case reference = {"1 worker", 1, 4, "slab", 0, 0, NULL};

START_TEST(test_equal)
{
    TEST_NEED_SHARED(shared);
    char want[32], got[32];
    struct harness_outcome outcome;
    static struct law_record record;
    run_case(shared, &reference, want, &outcome, &record);
    run_case(shared, &cases[_i], got, &outcome, &record);
    ck_assert_str_eq(want, got);
    if (cases[_i].chaos_ms > 0) {
        ck_assert_int_ge(outcome.n_kills, cases[_i].kill_late_ms > 0 ? 0 : 3);
        ck_assert_int_ge(outcome.n_stops, 3);
    }
}
END_TEST

/* Elements that are stored, by workers that are killed while they write them: two epochs are those
 * of the pipeline without the stage, the third is the first again. */
#define STORED " {\"snapshot\": {\"variants\": 2}},"
static const struct law_case stored_reference = {"stored, 1 worker", 1, 4, "slab", 0, 0, STORED};
static const struct law_case stored[] = {
    {"stored, 5 workers", 5, 4, "slab", 0, 0, STORED},
    {"stored, killed and stopped", 3, 4, "slab", 200, 0, STORED},
};

START_TEST(test_stored)
{
    TEST_NEED_SHARED(shared);
    char want[32], got[32];
    struct harness_outcome outcome;
    static struct law_record plain, record;
    run_case(shared, &reference, got, &outcome, &plain);
    run_case(shared, &stored_reference, want, &outcome, &record);
    ck_assert_str_ne(want, got);
    ck_assert(record.first[0] == plain.first[0] && record.first[1] == plain.first[1]);
    ck_assert(record.first[2] == plain.first[0] && plain.first[2] != plain.first[0]);
    run_case(shared, &stored[_i], got, &outcome, &record);
    ck_assert_str_eq(want, got);
    ck_assert_int_ge(outcome.n_kills, stored[_i].chaos_ms > 0 ? 3 : 0);
}
END_TEST

START_TEST(test_each_sample_once)
{
    TEST_NEED_SHARED(shared);
    char chain[32];
    struct harness_outcome outcome;
    static struct law_record record;
    run_case(shared, &cases[0], chain, &outcome, &record);
    ck_assert_int_eq(record.steps, EPOCHS * 53);
    ck_assert_int_eq(record.rows, EPOCHS * 5000);
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        for (int i = 0; i < 10000; i++) {
            ck_assert_int_le(record.seen[epoch][i], 1);
        }
    }
    ck_assert(record.first[0] != record.first[1] && record.first[1] != record.first[2]);
}
END_TEST

START_TEST(test_few_bytes_on_the_wire)
{
    TEST_NEED_SHARED(shared);
    char chain[32];
    struct harness_outcome outcome;
    static struct law_record record;
    run_case(shared, &cases[0], chain, &outcome, &record);
    ck_assert_int_gt(outcome.batches, 0);
    printf("# %lld bytes a batch through the socket\n",
           (long long)(outcome.bytes_wire / outcome.batches));
    ck_assert_int_lt(outcome.bytes_wire, 1024 * outcome.batches);
}
END_TEST

/* Negative control: a generator keyed by worker is seen. */
START_TEST(test_control_seed_by_worker)
{
    TEST_NEED_SHARED(shared);
    char want[32], got[32];
    struct harness_outcome outcome;
    static struct law_record record;
    run_case(shared, &reference, want, &outcome, &record);
    run_broken(shared, &cases[1], "trainer/millrace-trainer-rng-worker", true, 5, got, &outcome,
               &record);
    ck_assert_str_ne(want, got);
}
END_TEST

/* Negative control: a slab that is used again while its late writer lives is seen, in a few tries.
 */
START_TEST(test_control_slab_reuse)
{
    TEST_NEED_SHARED(shared);
    const struct law_case *late = &cases[sizeof(cases) / sizeof(cases[0]) - 1];
    char want[32], got[32];
    struct harness_outcome outcome;
    static struct law_record record;
    bool differs = false;
    run_case(shared, &reference, want, &outcome, &record);
    for (uint64_t seed = 5; seed < 13 && !differs; seed++) {
        run_broken(shared, late, "trainer/millrace-trainer-slab-reuse", false, seed, got, &outcome,
                   &record);
        differs = strcmp(want, got) != 0;
    }
    ck_assert_msg(differs, "no range that was used again at once was seen");
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("law_batches");
    TCase *tcase = tcase_create("law 2");
    tcase_set_timeout(tcase, 240);
    tcase_add_loop_test(tcase, test_equal, 0, (int)(sizeof(cases) / sizeof(cases[0])));
    tcase_add_loop_test(tcase, test_stored, 0, (int)(sizeof(stored) / sizeof(stored[0])));
    tcase_add_test(tcase, test_each_sample_once);
    tcase_add_test(tcase, test_few_bytes_on_the_wire);
    tcase_add_test(tcase, test_control_seed_by_worker);
    tcase_add_test(tcase, test_control_slab_reuse);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    return test_main(make_suite());
}
