/* The examples that a person meets first: they are good, and their answers are those of the book.
 */
#include <string.h>

#include "base/doc.h"
#include "tests/client/live.h"

static struct live live;

static void setup(void)
{
    live_start(&live);
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

static void example(const char *name, char path[TEST_PATH])
{
    test_path(path, "%s/examples/%s", test_source_root(), name);
}

/* Without a daemon: the trainer beside the program is asked. */
START_TEST(solves_the_exercise)
{
    static const char *const shapes[] = {"(None, 48, 48, 1)", "(None, 48, 48, 8)",
                                         "(None, 24, 24, 8)", "(None, 44, 44, 8)",
                                         "(None, 14, 14, 8)"};
    char path[TEST_PATH];
    struct live_result r;
    NEED_TRAINER();
    example("exercise.yaml", path);
    live_run(&live, &r, "summary", path, NULL);
    ck_assert_msg(r.status == 0, "%s", r.err.data);
    const char *at = r.out.data;
    for (size_t i = 0; i < 5; i++) { /* in this order */
        at = strstr(at, shapes[i]);
        ck_assert_msg(at != NULL, "no %s in\n%s", shapes[i], r.out.data);
        at += strlen(shapes[i]);
    }
    ck_assert_ptr_nonnull(strstr(r.out.data, "Total params:              768"));
    ck_assert_ptr_nonnull(strstr(r.out.data, "FLOPs"));
    ck_assert_ptr_nonnull(strstr(r.out.data, "Memory"));
    live_free(&r);
    live_run(&live, &r, "summary", path, "--json", NULL);
    struct arena arena;
    struct doc *doc = NULL;
    arena_init(&arena);
    ck_assert_int_eq(doc_read_json(r.out.data, r.out.size, NULL, &arena, &doc, NULL), 0);
    ck_assert_int_eq(doc_int(doc, "parameters", 0), 768);
    arena_fini(&arena);
    live_free(&r);
    live_run(&live, &r, "summary", path, "--set", "model[1].Conv2D.kernal_size=3", NULL);
    ck_assert_int_eq(r.status, 2);
    ck_assert_ptr_nonnull(strstr(r.err.data, "kernel_size"));
    live_free(&r);
}
END_TEST

static const struct {
    const char *file, *dataset, *folder; /* folder: below the repository or below shared/ */
    const char *says;
} rows[] = {
    {"digits.yaml", "digits", "examples/digits", "10,000 samples"},
    {"photo-patches.yaml", "photo_patches", NULL, "1,000 samples"},
};

START_TEST(checks)
{
    char path[TEST_PATH], folder[TEST_PATH];
    struct live_result r;
    NEED_TRAINER();
    if (rows[_i].folder != NULL) {
        test_path(folder, "%s/%s", test_source_root(), rows[_i].folder);
    } else {
        TEST_NEED_SHARED(shared);
        test_path(folder, "%s/data/%s", shared, rows[_i].dataset);
    }
    live_daemon(&live, NULL);
    live_run(&live, &r, "dataset", "put", rows[_i].dataset, folder, NULL);
    ck_assert_msg(r.status == 0, "%s", r.err.data);
    live_free(&r);
    example(rows[_i].file, path);
    live_run(&live, &r, "check", path, NULL);
    ck_assert_msg(r.status == 0, "%s", r.err.data);
    ck_assert_msg(strstr(r.out.data, rows[_i].says) != NULL, "%s", r.out.data);
    live_free(&r);
    live_run(&live, &r, "summary", path, NULL); /* now through the daemon, which knows the data */
    ck_assert_msg(r.status == 0, "%s", r.err.data);
    ck_assert_ptr_nonnull(strstr(r.out.data, "Trainable params"));
    live_free(&r);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("examples");
    TCase *tcase = tcase_create("examples");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, solves_the_exercise);
    tcase_add_loop_test(tcase, checks, 0, sizeof(rows) / sizeof(rows[0]));
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
