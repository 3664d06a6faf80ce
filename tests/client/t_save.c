/* What `millrace pipeline save` stores is a data set that jobs read: asked of a real daemon. */
#include <stdio.h>
#include <string.h>

#include "tests/client/live.h"

static struct live live;
static char job[TEST_PATH];

static void setup(void)
{
    live_start(&live);
    live_daemon(&live, NULL);
}

static void teardown(void)
{
    live_stop(&live);
}

static void write_job(const char *dataset, const char *pipeline)
{
    char text[1024];
    (void)snprintf(text, sizeof text,
                   "name: t\ndata:\n  train: {dataset: %s}\n  on_error: skip\npipeline:\n%sfit: "
                   "{epochs: 3, seed: 5}\n",
                   dataset, pipeline);
    live_text(&live, "job.yaml", text, job);
}

/* Runs it and looks for words in what it prints. */
static void expect(const struct live_result *r, int status, const char *const *words)
{
    ck_assert_msg(r->status == status, "%d: %s%s", r->status, r->out.data, r->err.data);
    for (; *words != NULL; words++) {
        ck_assert_msg(strstr(r->out.data != NULL ? r->out.data : "", *words) != NULL ||
                          strstr(r->err.data != NULL ? r->err.data : "", *words) != NULL,
                      "no '%s' in\n%s%s", *words, r->out.data, r->err.data);
    }
}

#define EXPECT(r, status, ...)                           \
    do {                                                 \
        const char *const words[] = {__VA_ARGS__, NULL}; \
        expect(r, status, words);                        \
        live_free(r);                                    \
    } while (0)

/* Pictures with drawn operations: fields, types, classes; the same bytes twice are the same data
 * set. */
START_TEST(test_pictures)
{
    TEST_NEED_SHARED(shared);
    struct live_result r;
    char path[TEST_PATH];
    test_path(path, "%s/data/photo_patches/val", shared);
    live_run(&live, &r, "dataset", "put", "patches", path, NULL);
    EXPECT(&r, 0, "patches");
    write_job("patches",
              "  - shuffle: {}\n  - map: [{RandomRotation: {factor: 0.1}}]\n  - batch: 16\n");
    live_run(&live, &r, "pipeline", "save", job, "turned", "--epoch=2", NULL);
    EXPECT(&r, 0, "turned", "1 files");
    live_run(&live, &r, "pipeline", "save", job, "turned", "--epoch=2", NULL);
    EXPECT(&r, 0, "turned");
    live_run(&live, &r, "dataset", "show", "turned@2", NULL);
    EXPECT(&r, 3, "turned");
    live_run(&live, &r, "pipeline", "save", job, "turned", "--epoch=1", NULL);
    EXPECT(&r, 0, "turned");
    live_run(&live, &r, "dataset", "show", "turned@2", NULL);
    EXPECT(&r, 0, "turned");
    write_job("turned", "  - cache: {}\n  - batch: 16\n");
    live_run(&live, &r, "pipeline", "explain", job, NULL);
    EXPECT(&r, 0, "saved      250 samples", "float32 (64, 64, 3)", "int64 ()", "[0] cache");
    live_run(&live, &r, "preview", job, "-n", "4", "-o", "-", "--quiet", NULL);
    EXPECT(&r, 0, "PNG");
    live_run(&live, &r, "pipeline", "run", job, "--steps=32", "--workers=2", NULL);
    EXPECT(&r, 0, "32 batches of 16");
}
END_TEST

/* Texts can be stored, though no batch holds them; a bad file is left out, or refused by name. */
START_TEST(test_texts)
{
    struct live_result r;
    char path[TEST_PATH], folder[TEST_PATH];
    live_text(&live, "texts/a/1.txt", "one", path);
    live_text(&live, "texts/a/2.txt", "two\nlines", path);
    live_text(&live, "texts/b/3.txt", "\xff\xfe", path);
    test_path(folder, "%s/texts", live.folder);
    live_run(&live, &r, "dataset", "put", "texts", folder, NULL);
    EXPECT(&r, 0, "texts");
    write_job("texts, source: text", "  - batch: 2\n");
    live_run(&live, &r, "pipeline", "save", job, "stored", NULL);
    EXPECT(&r, 0, "stored", "1 bad element was left out: b/3.txt");
    write_job("stored", "  - batch: 2\n");
    live_run(&live, &r, "pipeline", "save", job, "again", "--json", NULL);
    EXPECT(&r, 0, "\"name\"", "again");
    write_job("texts, source: text", "  - skip: 2\n");
    live_run(&live, &r, "pipeline", "save", job, "none", NULL);
    EXPECT(&r, 4, "no element is left");
    write_job("texts, source: text", "  - repeat: {}\n");
    live_run(&live, &r, "pipeline", "save", job, "none", NULL);
    EXPECT(&r, 2, "job.yaml", "has no end");
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("save");
    TCase *tcase = tcase_create("save");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_pictures);
    tcase_add_test(tcase, test_texts);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
