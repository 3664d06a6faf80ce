/* Workers and the fit loop work at the same time: the job takes as long as its slower side alone. AUTOTUNE finds the workers
 * that are needed, lets go of those that are not, and says why. */
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "tests/system/harness.h"

enum { JOB_TEXT = 4096 };

static const char job_form[] =
    "{\"name\": \"async\", \"data\": {\"train\": {\"dataset\": \"digits\", \"split\": \"train\"}},"
    " \"pipeline\": [{\"take\": {\"count\": %d}}, {\"map\": [{\"Rescaling\": {\"scale\": 0.004}},"
    "  {\"Sleep\": {\"microseconds\": %d}}]}, {\"batch\": {\"batch_size\": 8}}, {\"prefetch\": \"AUTOTUNE\"}],"
    " \"model\": [\"Flatten\", {\"Dense\": {\"units\": 10, \"activation\": \"softmax\"}}],"
    " \"compile\": {\"optimizer\": \"SGD\", \"loss\": \"SparseCategoricalCrossentropy\"},"
    " \"fit\": {\"epochs\": %d, \"seed\": 1},"
    " \"resources\": {\"workers\": %d, \"max_workers\": %d, \"backend\": \"ref\", \"threads\": 1}}";

static struct harness_outcome run(const char *shared, int count, int sleep_us, int epochs, int workers, int max_workers,
                                  int step_us)
{
    static struct harness harness;
    static char job[JOB_TEXT];
    snprintf(job, sizeof(job), job_form, count, sleep_us, epochs, workers, max_workers);
    harness_open(&harness, shared);
    harness_plan(&harness, &(struct harness_options){.job = job, .workers = workers, .n_slabs = 12, .sandbox = true,
                                                     .step_us = step_us});
    struct harness_outcome outcome = *harness_run(&harness);
    harness_close(&harness);
    ck_assert_msg(outcome.finished, "%s: %s", outcome.path, outcome.text);
    return outcome;
}

/* An op of 5 ms a sample, 8 rows a batch, so 20 ms a batch with two workers; a step of 20 ms. */
START_TEST(test_both_at_once)
{
    TEST_NEED_SHARED(shared);
    enum { COUNT = 800, STEPS = 100 };
    struct harness_outcome data_side = run(shared, COUNT, 5000, 1, 2, 0, 0);
    struct harness_outcome fit_side = run(shared, COUNT, 0, 1, 2, 0, 20000);
    struct harness_outcome both = run(shared, COUNT, 5000, 1, 2, 0, 20000);
    double slower = data_side.seconds > fit_side.seconds ? data_side.seconds : fit_side.seconds;
    printf("# data alone %.2f s, steps alone %.2f s, both %.2f s, ratio %.2f\n", data_side.seconds, fit_side.seconds,
           both.seconds, both.seconds / slower);
    ck_assert_msg(both.seconds <= 1.15 * slower, "%.2f s for both, %.2f s for the slower side alone", both.seconds, slower);
}
END_TEST

static int processors(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}

/* The pipeline is the slower side: all workers that the affinity mask allows. */
START_TEST(test_grows)
{
    TEST_NEED_SHARED(shared);
    struct harness_outcome outcome = run(shared, 800, 5000, 1, 0, 0, 4000);
    printf("# %d processors: %lld workers: %s\n", processors(), (long long)outcome.wanted, outcome.choice);
    ck_assert_int_eq(outcome.wanted, processors());
    ck_assert_int_le(outcome.most_workers, processors());
    ck_assert_int_gt((int)strlen(outcome.choice), 20);
}
END_TEST

/* On one processor there is one worker, whatever the need. */
START_TEST(test_keeps_to_the_mask)
{
    TEST_NEED_SHARED(shared);
    cpu_set_t set, one;
    ck_assert_int_eq(sched_getaffinity(0, sizeof(set), &set), 0);
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++) {
        if (CPU_ISSET(i, &set)) {
            CPU_SET(i, &one);
        }
    }
    ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
    struct harness_outcome outcome = run(shared, 400, 5000, 1, 0, 0, 1000);
    sched_setaffinity(0, sizeof(set), &set);
    ck_assert_int_eq(outcome.wanted, 1);
    ck_assert_int_eq(outcome.most_workers, 1);
}
END_TEST

/* The step is the slower side: one worker is enough, and the others go. */
START_TEST(test_shrinks)
{
    TEST_NEED_SHARED(shared);
    if (processors() < 2) {
        test_skip("one processor");
        return;
    }
    struct harness_outcome outcome = run(shared, 3200, 20, 1, 0, 0, 15000);
    printf("# %lld workers: %s\n", (long long)outcome.wanted, outcome.choice);
    ck_assert_int_eq(outcome.wanted, 1);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("asynchrony");
    TCase *tcase = tcase_create("asynchrony");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, test_both_at_once);
    tcase_add_test(tcase, test_grows);
    tcase_add_test(tcase, test_keeps_to_the_mask);
    tcase_add_test(tcase, test_shrinks);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    return test_main(make_suite());
}
