#include <stdio.h>
#include <string.h>

#include "tests/pipeline/fixture.h"

#define DATA "\"data\": {\"train\": {\"dataset\": \"d\", \"split\": \"train\"}}"
#define DATA2                                                                            \
    "\"data\": {\"train\": {\"dataset\": \"d\", \"split\": \"train\"}, \"validation\": " \
    "{\"dataset\": \"d\", "                                                              \
    "\"split\": \"test\"}}"

enum { N = 103, H = 6, W = 5 };

static struct fixture f;

static void setup(void)
{
    fixture_init(&f);
    fixture_add_idx(&f, "d", "t10k", 31, H, W);
    fixture_add_idx(&f, "d", "train", N, H, W);
}

static void teardown(void)
{
    fixture_fini(&f);
}

START_TEST(test_demo)
{
    unsigned char *slab;
    int r = fixture_compile(
        &f,
        "{" DATA2 ", \"pipeline\": [{\"shuffle\": {}}, {\"map\": [{\"Rescaling\": {\"scale\": 0.5, "
        "\"offset\": 1}}]}, {\"batch\": 16}, {\"prefetch\": \"AUTOTUNE\"}], \"fit\": {\"seed\": "
        "7}}");
    ck_assert_msg(r == 0, "%s: %s", f.err.path, f.err.text);
    ck_assert_int_eq(pipeline_steps(f.pipeline, PIPELINE_TRAIN), 7);
    ck_assert_int_eq(pipeline_rows(f.pipeline, PIPELINE_TRAIN, 5), 16);
    ck_assert_int_eq(pipeline_rows(f.pipeline, PIPELINE_TRAIN, 6), 7);
    ck_assert_int_eq(pipeline_steps(f.pipeline, PIPELINE_VALIDATION), 2);
    ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, 3, 2, 5, &slab, NULL), 0);
    for (int row = 0; row < 16; row++) {
        int64_t sample, label;
        memcpy(&sample, slab + fixture_field(&f, PIPELINE_TRAIN, "__sample")->offset + row * 8, 8);
        memcpy(&label, slab + fixture_field(&f, PIPELINE_TRAIN, "y")->offset + row * 8, 8);
        const float *x =
            (const float *)(void *)(slab + fixture_field(&f, PIPELINE_TRAIN, "x")->offset) +
            row * H * W;
        ck_assert_int_eq(label, sample % 10);
        for (int k = 0; k < H * W; k++) {
            ck_assert(x[k] == (float)((sample * 7 + k) & 255) * 0.5f + 1.0f);
        }
    }
}
END_TEST

/* Law 2: a batch is the same however it is cut into chunks and whatever was made before. */
START_TEST(test_any_chunking)
{
    static const int64_t chunks[] = {1, 3, 7, 16, 100};
    unsigned char *whole, *parts;
    ck_assert_int_eq(
        fixture_compile(&f,
                        "{" DATA
                        ", \"pipeline\": [{\"shuffle\": 8}, {\"map\": [{\"Rescaling\": {\"scale\": "
                        "0.1}}]}, {\"batch\": 16}], \"fit\": {\"seed\": 3}}"),
        0);
    for (int64_t step = 6; step >= 0; step--) {
        ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, 1, step, 1000, &whole, NULL), 0);
        for (size_t i = 0; i < sizeof chunks / sizeof chunks[0]; i++) {
            ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, 1, step, chunks[i], &parts, NULL),
                             0);
            ck_assert(memcmp(whole, parts, f.layout[0].slab_bytes) == 0);
        }
    }
}
END_TEST

START_TEST(test_validation_stream)
{
    int64_t samples[64];
    ck_assert_int_eq(
        fixture_compile(
            &f, "{" DATA2 ", \"pipeline\": [{\"shuffle\": 8}, {\"repeat\": 2}, {\"batch\": 16}]}"),
        0);
    ck_assert_int_eq(fixture_samples(&f, PIPELINE_VALIDATION, 0, samples, 64), 31);
    for (int i = 0; i < 31; i++) {
        ck_assert_int_eq(samples[i], i);
    }
}
END_TEST

/* A random op that makes floats is left out of validation; its element type stays. */
START_TEST(test_validation_without_random_op)
{
    unsigned char *slab;
    int r = fixture_compile(&f, "{" DATA2 ", \"pipeline\": [{\"map\": [{\"RandomRotation\": "
                                "{\"factor\": 0.1}}]}, {\"batch\": 16}]}");
    ck_assert_msg(r == 0, "%s: %s", f.err.path, f.err.text);
    ck_assert_int_eq(fixture_batch(&f, PIPELINE_VALIDATION, 0, 1, 5, &slab, NULL), 0);
    for (int row = 0; row < 15; row++) {
        const float *x =
            (const float *)(void *)(slab + fixture_field(&f, PIPELINE_VALIDATION, "x")->offset) +
            row * H * W;
        for (int k = 0; k < H * W; k++) {
            ck_assert(x[k] == (float)(((16 + row) * 7 + k) & 255));
        }
    }
}
END_TEST

START_TEST(test_identity)
{
    static const char *const jobs[] = {
        "{" DATA ", \"pipeline\": [{\"batch\": 16}]}",
        "{" DATA ", \"pipeline\": [{\"batch\": 17}]}",
        "{" DATA ", \"pipeline\": [{\"batch\": 16}], \"fit\": {\"seed\": 1}}",
        "{" DATA2 ", \"pipeline\": [{\"batch\": 16}]}",
        ("{\"data\": {\"train\": {\"dataset\": \"d\", \"split\": \"test\"}}, \"pipeline\": "
         "[{\"batch\": 16}]}"),
    };
    enum { JOBS = sizeof jobs / sizeof jobs[0] };
    char ids[JOBS][80];
    for (int i = 0; i < JOBS; i++) {
        ck_assert_int_eq(fixture_compile(&f, jobs[i]), 0);
        (void)snprintf(ids[i], sizeof ids[i], "%s", pipeline_id(f.pipeline));
        for (int k = 0; k < i; k++) {
            ck_assert_str_ne(ids[i], ids[k]);
        }
        ck_assert_int_eq(fixture_compile(&f, jobs[i]), 0);
        ck_assert_str_eq(ids[i], pipeline_id(f.pipeline));
    }
}
END_TEST

/* Rows that the daemon named are marked and nothing else. */
START_TEST(test_skipped_rows)
{
    static const int64_t rows[] = {1, 4};
    struct opt_groups bad;
    ck_assert_int_eq(fixture_compile(&f, "{" DATA ", \"pipeline\": [{\"batch\": 8}]}"), 0);
    unsigned char *slab = arena_alloc(&f.arena, f.layout[0].slab_bytes);
    memset(slab, 0xee, f.layout[0].slab_bytes);
    const struct msg_chunk_make make = {.end = 8, .skip = {.v = rows, .n = 2}};
    struct slab_in_flight in_flight = {.row = 77};
    struct pipeline_progress progress = {.in_flight = &in_flight};
    ck_assert_int_eq(
        pipeline_run(f.pipeline, &make, &f.layout[0], slab, &progress, &f.arena, &bad, &f.err), 0);
    ck_assert_uint_eq(bad.n, 2);
    ck_assert_int_eq(in_flight.row, -1);
    ck_assert_uint_eq(in_flight.samples, 8);
    for (int row = 0; row < 8; row++) {
        const bool is_skipped = row == 1 || row == 4;
        int64_t sample;
        memcpy(&sample, slab + fixture_field(&f, PIPELINE_TRAIN, "__sample")->offset + row * 8, 8);
        ck_assert_int_eq(sample, row);
        ck_assert_int_eq(slab[fixture_field(&f, PIPELINE_TRAIN, "__ok")->offset + (size_t)row],
                         !is_skipped);
        ck_assert_int_eq(
            slab[fixture_field(&f, PIPELINE_TRAIN, "x")->offset + (size_t)(row * H * W)],
            is_skipped ? 0 : row * 7);
    }
}
END_TEST

/* What is drawn once a batch is the same in any chunk of it and another in the next. */
START_TEST(test_batch_scope)
{
    unsigned char *slab, *parts;
    ck_assert_int_eq(
        fixture_compile(&f, "{" DATA ", \"pipeline\": [{\"map\": [{\"RandomCrop\": {\"height\": 2, "
                            "\"width\": 2}}]}, {\"batch\": 16}]}"),
        0);
    int starts[6];
    for (int step = 0; step < 6; step++) {
        ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, 0, step, 16, &slab, NULL), 0);
        ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, 0, step, 3, &parts, NULL), 0);
        ck_assert(memcmp(slab, parts, f.layout[0].slab_bytes) == 0);
        const unsigned char *x = slab + fixture_field(&f, PIPELINE_TRAIN, "x")->offset;
        starts[step] = (x[0] - step * 16 * 7) & 255;
        for (int row = 0; row < 16; row++) {
            ck_assert_int_eq((x[row * 4] - (step * 16 + row) * 7) & 255, starts[step]);
        }
    }
    bool differs = false;
    for (int step = 1; step < 6; step++) {
        differs = differs || starts[step] != starts[0];
    }
    ck_assert(differs);
}
END_TEST

/* A set smaller than a batch trains over an endless stream, and validates and predicts all the
 * same. */
START_TEST(test_small_set)
{
    int64_t samples[64], label;
    unsigned char row[H * W];
    int r = fixture_compile(
        &f, "{\"data\": {\"train\": {\"dataset\": \"d\", \"split\": \"test\"}, \"validation\": "
            "{\"dataset\": \"d\", \"split\": \"test\"}}, \"pipeline\": [{\"repeat\": {}}, "
            "{\"batch\": {\"batch_size\": 40, \"drop_remainder\": true}}], \"fit\": "
            "{\"steps_per_epoch\": 3}}");
    ck_assert_msg(r == 0, "%s: %s", f.err.path, f.err.text);
    ck_assert_int_eq(fixture_samples(&f, PIPELINE_VALIDATION, 0, samples, 64), 31);
    ck_assert_int_eq(
        pipeline_predict_sample(f.pipeline, PIPELINE_VALIDATION, 30, row, &label, &f.err), 0);
    ck_assert_int_eq(row[1], (30 * 7 + 1) & 255);
}
END_TEST

/* "\x93NUMPY" 1.0 and a header of 118 bytes in front of the numbers. */
static size_t make_npy(unsigned char *to, const char *type, const char *shape, const void *data,
                       size_t bytes)
{
    memset(to, ' ', 128);
    memcpy(to, "\x93NUMPY\x01\x00\x76\x00", 10);
    const int n = snprintf((char *)to + 10, 118,
                           "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", type, shape);
    to[10 + n] = ' ';
    to[127] = '\n';
    memcpy(to + 128, data, bytes);
    return 128 + bytes;
}

START_TEST(test_predict_arrays)
{
    unsigned char file[128 + 4 * H * W], bytes[H * W];
    float floats[H * W], row[H * W];
    ck_assert_int_eq(
        fixture_compile(&f,
                        "{" DATA ", \"pipeline\": [\"shuffle\", {\"map\": [{\"RandomRotation\": "
                        "{\"factor\": 0.2}}, {\"Rescaling\": {\"scale\": 0.5}}]}]}"),
        0);
    for (int i = 0; i < H * W; i++) {
        bytes[i] = (unsigned char)(i * 3);
        floats[i] = (float)bytes[i];
    }
    static const char *const shapes[] = {"(6, 5)", "(6, 5, 1)", "(1, 6, 5, 1)"};
    for (int k = 0; k < 6; k++) {
        const size_t size = k < 3 ? make_npy(file, "|u1", shapes[k], bytes, sizeof bytes)
                                  : make_npy(file, "<f4", shapes[k - 3], floats, sizeof floats);
        int r = pipeline_predict_file(f.pipeline, file, size, row, &f.err);
        ck_assert_msg(r == 0, "%d: %s", k, f.err.text);
        for (int i = 0; i < H * W; i++) {
            ck_assert(row[i] == floats[i] * 0.5f);
        }
    }
    size_t size = make_npy(file, "|u1", "(5, 6)", bytes, sizeof bytes);
    ck_assert_int_eq(pipeline_predict_file(f.pipeline, file, size, row, &f.err), ERR_SHAPE);
    floats[7] = 0.25f;
    size = make_npy(file, "<f4", "(6, 5)", floats, sizeof floats);
    ck_assert_int_eq(pipeline_predict_file(f.pipeline, file, size, row, &f.err), ERR_RANGE);
}
END_TEST

static const struct wrong {
    const char *job, *path, *text;
} wrongs[] = {
    {"{" DATA ", \"pipeline\": [{\"shufle\": 1}]}", "pipeline[0].shufle", "did you mean 'shuffle'"},
    {"{" DATA ", \"pipeline\": [{\"batch\": 4}, {\"map\": [{\"Rescalling\": {}}]}]}",
     "pipeline[1].map[0].Rescalling", "did you mean 'Rescaling'"},
    {"{" DATA ", \"pipeline\": [{\"map\": [{\"Rescaling\": {\"scal\": 1}}]}]}",
     "pipeline[0].map[0].Rescaling.scal", "did you mean 'scale'"},
    {"{" DATA ", \"pipeline\": [{\"map\": {\"ops\": [{\"Rescaling\": {\"scale\": \"x\"}}]}}]}",
     "pipeline[0].map.ops[0].Rescaling.scale", "takes"},
    {"{" DATA ", \"pipeline\": [{\"map\": [{\"Rescaling\": {\"scale\": [1, 2]}}]}]}",
     "pipeline[0].map[0].Rescaling.scale", "the data set"},
    {"{" DATA ", \"pipeline\": [{\"batch\": 0}]}", "pipeline[0].batch.batch_size", "outside"},
    {"{" DATA ", \"pipeline\": [{\"batch\": 4}, {\"batch\": 4}]}", "pipeline",
     "no common shape in field 'x', uint8 (None, 6, 5, 1)"},
    {"{" DATA ", \"pipeline\": [{\"repeat\": {}}]}", "fit.steps_per_epoch", "no end"},
    {"{" DATA ", \"pipeline\": [{\"take\": 0}]}", "pipeline[0].take", "nothing is left"},
    {"{" DATA ", \"pipeline\": [{\"batch\": 10}, {\"repeat\": 2}]}", "pipeline[1].repeat",
     "drop_remainder"},
    {"{" DATA ", \"pipeline\": [{\"repeat\": {}}, {\"shuffle\": 1}]}", "pipeline[1].shuffle",
     "endless"},
    {"{" DATA ", \"pipeline\": [{\"shard\": {\"num_shards\": 2, \"index\": 2}}]}",
     "pipeline[0].shard.index", "below"},
    {"{" DATA ", \"pipeline\": {\"batch\": 4}}", "pipeline", "list of stages"},
    {"{" DATA ", \"pipeline\": [{\"batch\": 1000}], \"fit\": {\"steps_per_epoch\": 2}}",
     "fit.steps_per_epoch", "more than"},
    {"{\"data\": {\"train\": {\"dataset\": \"e\"}}}", "data.train.dataset", "no data set 'e'"},
    {"{\"data\": {\"train\": {\"dataset\": \"d\", \"split\": \"val\"}}}", "data.train",
     "no IDX files for split 'val'"},
    {"{}", "data.train", "names the data set"},
};

START_TEST(test_wrong_jobs)
{
    const struct wrong *w = &wrongs[_i];
    int r = fixture_compile(&f, w->job);
    ck_assert_msg(r < 0, "%s: accepted", w->job);
    ck_assert_msg(strcmp(f.err.path, w->path) == 0, "%s: path '%s', text '%s'", w->job, f.err.path,
                  f.err.text);
    ck_assert_msg(strstr(f.err.text, w->text) != NULL, "%s: text '%s'", w->job, f.err.text);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("pipeline");
    TCase *c = tcase_create("pipeline");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, test_demo);
    tcase_add_test(c, test_any_chunking);
    tcase_add_test(c, test_validation_stream);
    tcase_add_test(c, test_validation_without_random_op);
    tcase_add_test(c, test_identity);
    tcase_add_test(c, test_skipped_rows);
    tcase_add_test(c, test_batch_scope);
    tcase_add_test(c, test_small_set);
    tcase_add_test(c, test_predict_arrays);
    tcase_add_loop_test(c, test_wrong_jobs, 0, sizeof wrongs / sizeof wrongs[0]);
    suite_add_tcase(suite, c);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
