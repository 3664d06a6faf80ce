/* AUTOTUNE as arithmetic: a simulated job says how long the fit loop waits for a number of workers.
 */
#include "tests/test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "trainer/autotune.h"

struct sim {
    double row_us, step_us; /* of a worker, of the fit loop */
    int rows;
    int processors, threads, max_workers;
};

static const int64_t window_us = 250000;

/* One look at a job in its steady state. */
static bool look(struct autotune *tune, const struct sim *sim, int64_t *now_us)
{
    double supply_us = sim->row_us * sim->rows / tune->workers; /* a batch */
    double batch_us = supply_us > sim->step_us ? supply_us : sim->step_us;
    const double least_us = batch_us * AUTOTUNE_STEPS;
    const int64_t length_us = least_us > (double)window_us ? (int64_t)least_us + 1 : window_us;
    const int64_t steps = (int64_t)((double)length_us / batch_us);
    *now_us += length_us;
    struct autotune_sample sample = {
        .now_us = *now_us,
        .window_us = length_us,
        .wait_us = (int64_t)((double)steps * (batch_us - sim->step_us)),
        .steps = steps,
        .rows = steps * sim->rows,
        .row_us = sim->row_us,
        .row_cpu = -1,
        .queue_mean = supply_us > sim->step_us ? 1 : tune->depth,
        .workers = tune->workers,
    };
    return autotune_look(tune, &sample);
}

static void settle(struct autotune *tune, const struct sim *sim, int *ret_changes)
{
    int64_t now_us = 0;
    struct autotune_limits limits = {.processors = sim->processors,
                                     .threads = sim->threads,
                                     .max_workers = sim->max_workers,
                                     .max_depth = 8};
    autotune_init(tune, &limits);
    *ret_changes = 0;
    for (int i = 0; i < 400; i++) {
        *ret_changes += look(tune, sim, &now_us);
    }
}

static const struct settle_case {
    struct sim sim;
    int least, most; /* workers in the end */
} settle_cases[] = {
    {{.row_us = 1000,
      .step_us = 4000,
      .rows = 64,
      .processors = 32,
      .threads = 1,
      .max_workers = 32},
     18,
     31},
    {{.row_us = 10, .step_us = 4000, .rows = 64, .processors = 32, .threads = 1, .max_workers = 32},
     1,
     1},
    {{.row_us = 5000, .step_us = 20000, .rows = 8, .processors = 4, .threads = 1, .max_workers = 4},
     3,
     3},
    {{.row_us = 5000, .step_us = 20000, .rows = 8, .processors = 2, .threads = 1, .max_workers = 2},
     2,
     2},
    {{.row_us = 5000, .step_us = 2000, .rows = 8, .processors = 4, .threads = 2, .max_workers = 4},
     4,
     4},
    {{.row_us = 5000, .step_us = 2000, .rows = 8, .processors = 16, .threads = 2, .max_workers = 4},
     4,
     4},
};

START_TEST(test_settles)
{
    const struct settle_case *c = &settle_cases[_i];
    struct autotune tune;
    int changes = 0;
    settle(&tune, &c->sim, &changes);
    ck_assert_msg(tune.workers >= c->least && tune.workers <= c->most, "%d workers: %s",
                  tune.workers, tune.reason);
    ck_assert_msg(changes <= 16, "%d changes: it does not come to rest", changes);
    ck_assert(tune.depth >= 1 && tune.depth <= 8);
    ck_assert_int_gt((int)strlen(tune.reason), 10);
}
END_TEST

START_TEST(test_rest_is_rest)
{
    struct autotune tune;
    int changes = 0, later = 0;
    int64_t now_us = 400 * window_us;
    settle(&tune, &settle_cases[0].sim, &changes);
    for (int i = 0; i < 400; i++) {
        later += look(&tune, &settle_cases[0].sim, &now_us);
    }
    ck_assert_int_eq(later, 0);
}
END_TEST

START_TEST(test_fixed)
{
    struct autotune tune;
    struct autotune_limits limits = {.processors = 8,
                                     .threads = 1,
                                     .max_workers = 8,
                                     .max_depth = 8,
                                     .fixed_workers = 3,
                                     .fixed_depth = 2};
    int64_t now_us = 0;
    autotune_init(&tune, &limits);
    for (int i = 0; i < 100; i++) {
        ck_assert(!look(&tune, &settle_cases[0].sim, &now_us));
    }
    ck_assert_int_eq(tune.workers, 3);
    ck_assert_int_eq(tune.depth, 2);
}
END_TEST

START_TEST(test_processors)
{
    ck_assert_int_ge(autotune_processors(), 1);
}
END_TEST

/* The limit of a service stands in its own group or in one above it. */
static const struct quota_case {
    const char *own, *above;
    int least;
} quota_cases[] = {
    {NULL, NULL, 0},
    {"max 100000\n", "max 100000\n", 0},
    {"200000 100000\n", NULL, 2},
    {"250000 100000\n", "max 100000\n", 3},
    {"max 100000\n", "100000 100000\n", 1},
    {"400000 100000\n", "150000 100000\n", 2},
    {"rubbish\n", "-1 0\n", 0},
};

START_TEST(test_quota)
{
    const struct quota_case *c = &quota_cases[_i];
    char folder[TEST_PATH], path[TEST_PATH];
    const char *const texts[] = {c->own, c->above};
    static const char *const names[] = {"system.slice/x.service/cpu.max", "system.slice/cpu.max"};
    test_dir_make(folder);
    test_path(path, "%s/system.slice", folder);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    test_path(path, "%s/system.slice/x.service", folder);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    for (int i = 0; i < 2; i++) {
        test_path(path, "%s/%s", folder, names[i]);
        int fd = texts[i] != NULL ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) : -1;
        if (fd >= 0) {
            ck_assert_int_eq(file_write_all(fd, texts[i], strlen(texts[i]), NULL), 0);
            close(fd);
        }
    }
    ck_assert_int_eq(autotune_quota(folder, "/system.slice/x.service"), c->least);
    ck_assert_int_eq(autotune_quota(folder, "/"), 0);
    test_dir_remove(folder);
}
END_TEST

/* One sentence is there from the first look on: why it begins with so many. */
START_TEST(test_says_how_it_begins)
{
    struct autotune tune;
    struct autotune_limits limits = {
        .processors = 8, .threads = 2, .max_workers = 16, .max_depth = 8};
    autotune_init(&tune, &limits);
    ck_assert_int_eq(tune.workers, 6);
    ck_assert_ptr_nonnull(strstr(tune.reason, "6 of 8 processors"));
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("autotune");
    TCase *tcase = tcase_create("autotune");
    tcase_add_loop_test(tcase, test_settles, 0,
                        (int)(sizeof(settle_cases) / sizeof(settle_cases[0])));
    tcase_add_test(tcase, test_rest_is_rest);
    tcase_add_test(tcase, test_fixed);
    tcase_add_test(tcase, test_processors);
    tcase_add_loop_test(tcase, test_quota, 0, sizeof(quota_cases) / sizeof(quota_cases[0]));
    tcase_add_test(tcase, test_says_how_it_begins);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
