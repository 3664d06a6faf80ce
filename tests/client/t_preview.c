/* What a job's data half does, asked of a real daemon without running the job: explained, previewed.
 * A row each: a pipeline, which exit status, which words. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/doc.h"
#include "tests/client/live.h"

enum { SIDE = 12, SAMPLES = 40, CLASSES = 3, WORDS = 6 };

static struct live live;

/* Sample i is grey, 60 + 80 * (i mod 3), and of class i mod 3. */
static void put_two(const char *split, int n)
{
    unsigned char images[16 + SAMPLES * SIDE * SIDE] = {
        0, 0, 8, 3, 0, 0, 0, (unsigned char)n, 0, 0, 0, SIDE, 0, 0, 0, SIDE};
    unsigned char labels[8 + SAMPLES] = {0, 0, 8, 1, 0, 0, 0, (unsigned char)n};
    char path[TEST_PATH], file[128];
    for (int i = 0; i < n; i++) {
        labels[8 + i] = (unsigned char)(i % CLASSES);
        memset(images + 16 + i * SIDE * SIDE, 60 + 80 * (i % CLASSES), SIDE * SIDE);
    }
    (void)snprintf(file, sizeof(file), "two/%s-images-idx3-ubyte", split);
    live_file(&live, file, images, 16 + (size_t)n * SIDE * SIDE, path);
    (void)snprintf(file, sizeof(file), "two/%s-labels-idx1-ubyte", split);
    live_file(&live, file, labels, 8 + (size_t)n, path);
}

static void setup(void)
{
    char path[TEST_PATH];
    struct live_result r;
    live_start(&live);
    put_two("train", SAMPLES);
    put_two("test", SAMPLES / 4);
    live_daemon(&live, NULL);
    test_path(path, "%s/two", live.folder);
    live_run(&live, &r, "dataset", "put", "two", path, NULL);
    ck_assert_msg(r.status == 0, "%s", r.err.data);
    live_free(&r);
}

static void teardown(void)
{
    live_stop(&live);
}

/* A job without a model: it is not looked at. The pipeline's first stage stands in line 6. */
static void write_job(const char *pipeline, char path[TEST_PATH])
{
    char text[2048];
    (void)snprintf(text, sizeof(text),
                   "name: two\n"
                   "data:\n"
                   "  train: {dataset: two, split: train}\n"
                   "  validation: {dataset: two, split: test}\n"
                   "pipeline:\n"
                   "%s"
                   "fit: {epochs: 3, seed: 5}\n",
                   pipeline);
    live_text(&live, "job.yaml", text, path);
}

static void has_words(const char *text, const char *const words[WORDS])
{
    for (int i = 0; i < WORDS && words[i] != NULL; i++) {
        ck_assert_msg(strstr(text, words[i]) != NULL, "no '%s' in\n%s", words[i], text);
    }
}

/* ---- explain ---------------------------------------------------------------------------------- */

static const struct {
    const char *pipeline;
    int status;
    const char *words[WORDS];
} explained[] = {
    {"  - shuffle: {}\n"
     "  - map: [{Rescaling: {scale: 0.5}}, {RandomFlip: {mode: horizontal}}]\n"
     "  - batch: 16\n"
     "  - prefetch: 3\n",
     0,
     {"[0] shuffle   40 samples", "[2] batch     3 batches of 16  float32 (16, 12, 12, 1)",
      "x: Rescaling+RandomFlip  fused; uint8 (12, 12, 1) -> float32 (12, 12, 1)",
      "the last one of 8 rows", "memory: 5 batches of", "[0] shuffle (left out)  10 samples"}},
    /* batches counted by stages behind batch */
    {"  - take: 30\n  - skip: 6\n  - repeat: 2\n  - batch: {batch_size: 10, drop_remainder: true}\n"
     "  - take: 2\n",
     0,
     {"[0] take    30 samples", "[1] skip    24 samples", "[2] repeat  48 samples",
      "[3] batch   4 batches of 10", "[4] take    2 batches of 10", "none: samples are copied"}},
    /* why ops are not one pass */
    {"  - map: [{Rescaling: {scale: 1}}, {RandomRotation: {factor: 0.1}}, {RandomTranslation: "
     "{height_factor: 0.1, width_factor: 0.1, fill_mode: constant}}]\n",
     0,
     {"RandomTranslation: one resampling has one fill_mode, fill_value and interpolation",
      "batch    2 batches of 32"}},
    {"  - map: [{Rescaling: {scale: 0.5}}, {RandomContrast: {factor: 0.2}}, {Rescaling: {scale: "
     "2}}]\n",
     0,
     {"RandomContrast: neither a map of the plane nor a factor and a term a channel"}},
    {"  - map: {ops: [{Rescaling: {scale: 0.5}}, {Rescaling: {scale: 2}}], exact: true}\n",
     0,
     {"not one with the next: Rescaling: exact: true"}},
    /* what a stage makes of a stream is a source of its own, with passes before and behind it */
    {"  - map: [{Rescaling: {scale: 0.5}}]\n  - window: 3\n  - unbatch: {}\n"
     "  - map: [{RandomFlip: {mode: horizontal}}]\n  - batch: 6\n",
     0,
     {"[1] window   14 samples", "[2] unbatch  40 samples", "x: Rescaling", "x: RandomFlip",
      "[4] batch    7 batches of 6"}},
    /* an op that gives one size to what has none */
    {"  - map: [{Resizing: {height: 6, width: 5}}]\n  - batch: 8\n",
     0,
     {"[1] batch  5 batches of 8  uint8 (8, 6, 5, 1)"}},
    /* refusals point into the file, as those of submit */
    {"  - map: [{Rescalin: {scale: 0.5}}]\n", 2, {"job.yaml:6: pipeline[0].map[0]", "Rescaling"}},
    {"  - batch: 16\n  - shuffle: {}\n", 2, {"job.yaml:7: pipeline[1].shuffle"}},
    {"  - repeat: {}\n", 2, {"steps_per_epoch"}},
    {"  - batch: 0\n", 2, {"job.yaml:6: pipeline[0].batch"}},
};

START_TEST(explains)
{
    struct live_result r;
    char path[TEST_PATH];
    write_job(explained[_i].pipeline, path);
    live_run(&live, &r, "pipeline", "explain", path, NULL);
    ck_assert_msg(r.status == explained[_i].status, "%d:\n%s%s", r.status, r.out.data, r.err.data);
    has_words(r.status == 0 ? r.out.data : r.err.data, explained[_i].words);
    live_free(&r);
}
END_TEST

static struct doc *json_of(const struct live_result *r, struct arena *arena)
{
    struct doc *doc = NULL;
    struct err err = {0};
    ck_assert_msg(doc_read_json(r->out.data, r->out.size, &doc_limits_default, arena, &doc, &err) >=
                      0,
                  "%s in\n%s", err.text, r->out.data);
    return doc;
}

START_TEST(explains_as_json)
{
    struct live_result r;
    struct arena arena;
    char path[TEST_PATH];
    arena_init(&arena);
    write_job("  - shuffle: {}\n  - map: [{Rescaling: {scale: 0.5}}]\n  - batch: 16\n", path);
    live_run(&live, &r, "pipeline", "explain", path, "--json", "--set=fit.seed=9", NULL);
    ck_assert_msg(r.status == 0, "%s", r.err.data);
    const struct doc *doc = json_of(&r, &arena);
    const struct doc *train = doc_find(doc, "streams.train");
    ck_assert_uint_eq(doc_get(train, "stages")->n, 4);
    ck_assert_int_eq(doc_int(train, "batch_bytes", 0), 16 * (SIDE * SIDE * 4 + 8));
    ck_assert_int_eq(doc_int(doc_find(train, "stages[3]"), "elements", 0), 3);
    ck_assert_str_eq(doc_str(doc_find(train, "stages[3].fields[0]"), "dtype", ""), "float32");
    ck_assert_str_eq(doc_str(doc_find(train, "stages[1].fields[0]"), "dtype", ""), "uint8");
    ck_assert_str_eq(doc_str(doc_find(train, "passes[0].ops[0]"), "path", ""), "pipeline[1].map[0]");
    const struct doc *memory = doc_get(doc, "memory");
    ck_assert_int_eq(doc_int(memory, "shared_bytes", 0),
                     doc_int(memory, "slabs", 0) * doc_int(memory, "slab_bytes", 0));
    ck_assert_int_gt(doc_int(memory, "worker_bytes", 0), 1 << 20);
    live_free(&r);
    live_run(&live, &r, "pipeline", "explain", path, "--json", "--set=data.train.dataset=none", NULL);
    ck_assert_int_ne(r.status, 0);
    ck_assert_str_eq(doc_str(doc_find(json_of(&r, &arena), "error"), "path", ""),
                     "data.train.dataset");
    live_free(&r);
    arena_fini(&arena);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("preview");
    TCase *tcase = tcase_create("preview");
    tcase_add_unchecked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, explains, 0, sizeof(explained) / sizeof(explained[0]));
    tcase_add_test(tcase, explains_as_json);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
