/* What the examples reach: the digits 98 %, the photo patches 88 % as the mean of five seeds.
 * Minutes. */
#include <stdio.h>
#include <string.h>

#include "base/doc.h"
#include "tests/client/live.h"

static struct live live;

static void setup(void)
{
    live_start(&live);
    live_daemon(&live, NULL);
}

static void teardown(void)
{
    live_stop(&live);
}

#define NEED_TRAINER()                             \
    if (!live_has("trainer/millrace-trainer")) {   \
        test_skip("no millrace-trainer is built"); \
        return;                                    \
    }

static void put(const char *name, const char *folder)
{
    struct live_result r;
    live_run(&live, &r, "dataset", "put", name, folder, NULL);
    ck_assert_msg(r.status == 0, "%s", r.err.data);
    live_free(&r);
}

/* The validation accuracy after the last epoch. */
static double run(const char *file, const char *job, int seed)
{
    char path[TEST_PATH], option[32];
    struct live_result r;
    struct arena arena;
    struct doc *doc = NULL;
    test_path(path, "%s/examples/%s", test_source_root(), file);
    (void)snprintf(option, sizeof(option), "--seed=%d", seed);
    live_run(&live, &r, "run", path, option, NULL);
    ck_assert_msg(r.status == 0, "%s", r.err.data);
    live_free(&r);
    live_run(&live, &r, "show", job, "--json", NULL);
    arena_init(&arena);
    ck_assert_int_eq(doc_read_json(r.out.data, r.out.size, NULL, &arena, &doc, NULL), 0);
    const struct doc *history = doc_get(doc, "history");
    ck_assert(history != NULL && history->n > 0);
    double accuracy =
        doc_float(doc_get(doc_at(history, history->n - 1), "metrics"), "val_accuracy", 0);
    live_free(&r);
    arena_fini(&arena);
    return accuracy;
}

START_TEST(digits)
{
    char folder[TEST_PATH];
    NEED_TRAINER();
    test_path(folder, "%s/examples/digits", test_source_root());
    put("digits", folder);
    double accuracy = run("digits.yaml", "digits", 7);
    ck_assert_msg(accuracy >= 0.98, "%.4f", accuracy);
}
END_TEST

START_TEST(photo_patches)
{
    enum { SEEDS = 5 };
    char folder[TEST_PATH];
    double sum = 0;
    NEED_TRAINER();
    TEST_NEED_SHARED(shared);
    test_path(folder, "%s/data/photo_patches", shared);
    put("photo_patches", folder);
    for (int seed = 1; seed <= SEEDS; seed++) {
        sum += run("photo-patches.yaml", "photo-patches", seed);
    }
    ck_assert_msg(sum / SEEDS >= 0.88, "%.4f", sum / SEEDS);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("accuracy");
    TCase *tcase = tcase_create("accuracy");
    tcase_set_timeout(tcase, 900);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, digits);
    tcase_add_test(tcase, photo_patches);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
