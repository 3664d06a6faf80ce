/* Workers and the fit loop work at the same time: the job takes as long as its slower side alone.
 * AUTOTUNE finds the workers that are needed, lets go of those that are not, and says why. */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "tests/system/harness.h"

enum { JOB_TEXT = 4096 };

static const char job_form[] =
    "{\"name\": \"async\", \"data\": {\"train\": {\"dataset\": \"digits\", \"split\": \"train\"}},"
    " \"pipeline\": [{\"take\": {\"count\": %d}}, {\"map\": [{\"Rescaling\": {\"scale\": 0.004}},"
    "  {\"Sleep\": {\"microseconds\": %d}}]}, {\"batch\": {\"batch_size\": 8}}, {\"prefetch\": "
    "\"AUTOTUNE\"}],"
    " \"model\": [\"Flatten\", {\"Dense\": {\"units\": %d, \"activation\": \"relu\"}}, {\"Dense\": "
    "{\"units\": 10, \"activation\": \"softmax\"}}],"
    " \"compile\": {\"optimizer\": \"SGD\", \"loss\": \"SparseCategoricalCrossentropy\"},"
    " \"fit\": {\"epochs\": %d, \"seed\": 1},"
    " \"resources\": {\"workers\": %d, \"max_workers\": %d, \"backend\": \"ref\", \"threads\": 1}}";

struct slow {
    int64_t begin_us, most;
    bool is_stopped;
};
enum { SLOW_US = 2500000 };

typedef void (*hook_fn)(struct harness *harness, const struct msg *msg);

static struct harness_outcome run_with(const char *shared, int count, int sleep_us, int epochs,
                                       int workers, int max_workers, int units, hook_fn hook,
                                       void *hook_ctx)
{
    static struct harness harness;
    static char job[JOB_TEXT];
    snprintf(job, sizeof(job), job_form, count, sleep_us, units, epochs, workers, max_workers);
    harness_open(&harness, shared);
    harness_plan(&harness, &(struct harness_options){
                               .job = job, .workers = workers, .n_slabs = 12, .sandbox = true});
    harness.hook = hook;
    harness.hook_ctx = hook_ctx;
    struct harness_outcome outcome = *harness_run(&harness);
    harness_close(&harness);
    ck_assert_msg(outcome.finished, "%s: %s", outcome.path, outcome.text);
    return outcome;
}

static struct harness_outcome run(const char *shared, int count, int sleep_us, int epochs,
                                  int workers, int max_workers, int units)
{
    return run_with(shared, count, sleep_us, epochs, workers, max_workers, units, NULL, NULL);
}

/* Units of a first layer that make a step of the reference kernels take some 20 ms, and next to
 * nothing. */
enum { HEAVY = 1000, STEADY = 400, LIGHT = 4, ROUNDS = 16, ROUNDS_LEAST = 3 };

struct best {
    double data, fit, both; /* seconds */
};

static double least(double a, double b)
{
    return a > 0 && a < b ? a : b;
}

/* One after the other, so that what else the machine does in that time is the same for all three.
 */
static double look_at_both(const char *shared, struct best *best)
{
    enum { COUNT = 480 };
    best->data = least(best->data, run(shared, COUNT, 5000, 1, 2, 0, LIGHT).seconds);
    best->fit = least(best->fit, run(shared, COUNT, 0, 1, 2, 0, HEAVY).seconds);
    best->both = least(best->both, run(shared, COUNT, 5000, 1, 2, 0, HEAVY).seconds);
    double ratio = best->both / (best->data > best->fit ? best->data : best->fit);
    printf("# at best: data alone %.2f s, steps alone %.2f s, both %.2f s, ratio %.2f\n",
           best->data, best->fit, best->both, ratio);
    return ratio;
}

/* An op of 5 ms a sample, 8 rows a batch, so 20 ms a batch with two workers; a step of about 20 ms.
 * Other load only adds to a time: the least of each, seen in turns, is what is compared, so that a
 * disturbed run of one side alone never makes both look good. */
START_TEST(test_both_at_once)
{
    TEST_NEED_SHARED(shared);
    struct best best = {0};
    double ratio = 100;
    for (int i = 0; i < ROUNDS && (i < ROUNDS_LEAST || ratio > 1.15); i++) {
        ratio = look_at_both(shared, &best);
    }
    ck_assert_msg(ratio <= 1.15, "both at once take %.2f times as long as the slower side alone",
                  ratio);
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
    struct harness_outcome outcome = run(shared, 1600, 5000, 1, 0, 0, LIGHT);
    printf("# %d processors: %lld workers: %s\n", processors(), (long long)outcome.wanted,
           outcome.choice);
    ck_assert_int_eq(outcome.wanted, processors());
    ck_assert_int_le(outcome.most_workers, processors());
    ck_assert_int_gt((int)strlen(outcome.choice), 20);
}
END_TEST

/* Each progress tells how many and why, the first one too: a page shows it without having seen the
 * change. */
static void see_choice(struct harness *harness, const struct msg *msg)
{
    if (msg != NULL && msg->type == MSG_CHILD_PROGRESS) {
        const struct msg_child_progress *progress = msg->body;
        int *n_silent = harness->hook_ctx;
        *n_silent +=
            progress->choice == NULL || strlen(progress->choice) < 20 || progress->prefetch < 1;
    }
}

START_TEST(test_says_what_it_chose)
{
    TEST_NEED_SHARED(shared);
    int n_silent = 0;
    run_with(shared, 160, 100, 1, 0, 0, LIGHT, see_choice, &n_silent);
    ck_assert_int_eq(n_silent, 0);
}
END_TEST

/* On one processor there is one worker, whatever the need. */
START_TEST(test_keeps_to_the_mask)
{
    TEST_NEED_SHARED(shared);
    cpu_set_t set, one;
    ck_assert_int_eq(sched_getaffinity(0, sizeof(set), &set), 0);
    CPU_ZERO(&one);
    for (size_t i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++) {
        if (CPU_ISSET(i, &set)) {
            CPU_SET(i, &one);
        }
    }
    ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
    struct harness_outcome outcome = run(shared, 400, 5000, 1, 0, 0, LIGHT);
    sched_setaffinity(0, sizeof(set), &set);
    ck_assert_int_eq(outcome.wanted, 1);
    ck_assert_int_eq(outcome.most_workers, 1);
}
END_TEST

/* For two seconds the workers are stopped most of the time, as if the disk were slow. */
static void slow_down(struct harness *harness, const struct msg *msg)
{
    struct slow *slow = harness->hook_ctx;
    const struct msg_child_progress *progress =
        msg != NULL && msg->type == MSG_CHILD_PROGRESS ? msg->body : NULL;
    if (progress != NULL && slow->begin_us == 0) {
        slow->begin_us = clock_us();
    }
    int64_t age_us = slow->begin_us > 0 ? clock_us() - slow->begin_us : 0;
    slow->is_stopped = age_us > 0 && age_us < SLOW_US && age_us % 250000 < 220000;
    for (int i = 0; i < HARNESS_WORKERS_MAX && msg == NULL; i++) {
        if (harness->workers[i].pid != 0) {
            kill(harness->workers[i].pid, slow->is_stopped ? SIGSTOP : SIGCONT);
        }
    }
    slow->most = harness->outcome.wanted > slow->most ? harness->outcome.wanted : slow->most;
}

/* First the workers are the slower side and there are more of them, then the step is, and the
 * others go. */
START_TEST(test_shrinks)
{
    TEST_NEED_SHARED(shared);
    if (processors() < 2) {
        test_skip("one processor");
        return;
    }
    static struct slow slow;
    struct harness_outcome outcome = run_with(shared, 4800, 20, 1, 0, 0, STEADY, slow_down, &slow);
    printf("# %lld workers at most, %lld in the end: %s\n", (long long)slow.most,
           (long long)outcome.wanted, outcome.choice);
    ck_assert_int_ge(slow.most, 2);
    ck_assert_int_eq(outcome.wanted, 1);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("asynchrony");
    TCase *tcase = tcase_create("asynchrony");
    tcase_set_timeout(tcase, 400);
    tcase_add_test(tcase, test_both_at_once);
    tcase_add_test(tcase, test_grows);
    tcase_add_test(tcase, test_says_what_it_chose);
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
