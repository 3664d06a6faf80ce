/* Sources of sounds, and CIFAR's files. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/pipeline/fixture.h"

static struct fixture f;

static void setup(void)
{
    fixture_init(&f);
}

static void teardown(void)
{
    fixture_fini(&f);
}

static void put_number(struct buf *out, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) {
        const unsigned char byte = (unsigned char)(value >> (8 * i));
        buf_put(out, &byte, 1);
    }
}

/* 16 bits; sample i of channel c is sin(i * step) / 2 in channel 0, half of that in channel 1. */
static void add_wav(const char *path, int n, int channels, int rate, double step)
{
    struct buf file = {0};
    const unsigned bytes = (unsigned)(n * channels * 2);
    buf_puts(&file, "RIFF");
    put_number(&file, 36 + bytes, 4);
    buf_puts(&file, "WAVEfmt ");
    put_number(&file, 16, 4);
    put_number(&file, 1, 2);
    put_number(&file, (uint64_t)channels, 2);
    put_number(&file, (uint64_t)rate, 4);
    put_number(&file, (uint64_t)(rate * channels * 2), 4);
    put_number(&file, (uint64_t)(channels * 2), 2);
    put_number(&file, 16, 2);
    buf_puts(&file, "data");
    put_number(&file, bytes, 4);
    for (int i = 0; i < n; i++) {
        for (int c = 0; c < channels; c++) {
            put_number(&file, (uint64_t)(int64_t)lrint(16384 * sin(i * step) / (c + 1)), 2);
        }
    }
    fixture_add(&f, "d", path, file.data, file.size);
    buf_fini(&file);
}

static int compile(const char *options)
{
    char job[512];
    (void)snprintf(job, sizeof job,
                   "{\"data\": {\"train\": {\"dataset\": \"d\", \"source\": %s}, \"on_error\": "
                   "\"skip\"}}",
                   options);
    return fixture_compile(&f, job);
}

static const struct good {
    const char *options;
    int n, channels;
    double step; /* of what comes out */
} goods[] = {
    {"{}", 400, 2, 0.02},
    {"{\"output_sequence_length\": 300}", 300, 2, 0.02},
    {"{\"output_sequence_length\": 500, \"mono\": true}", 500, 1, 0.02},
    {"{\"sampling_rate\": 4000, \"mono\": true}", 200, 1, 0.04},
    {"{\"sampling_rate\": 16000}", 800, 2, 0.01},
};

START_TEST(test_sounds)
{
    const struct good *g = &goods[_i];
    char source[128];
    unsigned char *slab;
    add_wav("a/1.wav", 400, 2, 8000, 0.02);
    add_wav("b/1.wav", 400, 2, 8000, 0.02);
    (void)snprintf(source, sizeof source, "{\"audio\": %s}", g->options);
    ck_assert_msg(compile(source) == 0, "%s: %s", f.err.path, f.err.text);
    ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, 0, 0, 1, &slab, NULL), 0);
    const struct slab_field *x = fixture_field(&f, PIPELINE_TRAIN, "x");
    const int64_t classes[2] = {0, 1};
    ck_assert_str_eq(x->kind, "audio");
    ck_assert_int_eq(x->shape.d[0], g->n);
    ck_assert_int_eq(x->shape.d[1], g->channels);
    ck_assert(memcmp(slab + fixture_field(&f, PIPELINE_TRAIN, "y")->offset, classes, 16) == 0);
    const float *v = (const float *)(const void *)(slab + x->offset);
    const bool is_resampled = strstr(g->options, "rate") != NULL;
    const int total = (int)(400 * 0.02 / g->step), edge = is_resampled ? 40 : 0;
    for (int i = edge; i < g->n && i < total - edge; i++) {
        const double want = sin(i * g->step) / 2 * (g->channels == 1 ? 0.75 : 1);
        ck_assert_msg(fabs((double)v[i * g->channels] - want) < (is_resampled ? 2e-3 : 1e-4),
                      "%s: %d: %g %g", g->options, i, (double)v[i * g->channels], want);
    }
    for (int i = total; i < g->n; i++) {
        ck_assert(v[i * g->channels] == 0);
    }
}
END_TEST

/* Sounds of many lengths go into no batch; one that is broken, or of other channels, is a bad
 * sample. */
START_TEST(test_lengths)
{
    unsigned char *slab;
    struct opt_groups bad = {0};
    add_wav("a/1.wav", 400, 1, 8000, 0.02);
    add_wav("a/2.wav", 300, 1, 8000, 0.02);
    add_wav("a/3.wav", 300, 2, 8000, 0.02);
    fixture_add(&f, "d", "a/4.wav", "RIFF", 4);
    ck_assert_int_eq(compile("\"audio\""), ERR_SHAPE);
    ck_assert_msg(strstr(f.err.text, "field 'x'") != NULL, "%s", f.err.text);
    ck_assert_int_eq(compile("{\"audio\": {\"output_sequence_length\": 64}}"), 0);
    ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, 0, 0, 8, &slab, &bad), 0);
    ck_assert_uint_eq(bad.n, 2);
    const struct msg_chunk_bad *rows = bad.v;
    ck_assert_str_eq(rows[0].path, "a/3.wav");
    ck_assert_msg(strstr(rows[0].reason, "(64, 2)") != NULL, "%s", rows[0].reason);
    ck_assert_str_eq(rows[1].path, "a/4.wav");
}
END_TEST

START_TEST(test_real)
{
    TEST_NEED_SHARED(shared);
    char path[TEST_PATH];
    unsigned char *slab;
    test_path(path, "%s/data/digits_spoken", shared);
    fixture_add_folder(&f, "d", path);
    ck_assert_msg(fixture_compile(&f, "{\"data\": {\"train\": {\"dataset\": \"d\", \"split\": "
                                      "\"train\", \"source\": \"audio\"}}, \"pipeline\": "
                                      "[{\"batch\": 32}]}") == 0,
                  "%s: %s", f.err.path, f.err.text);
    ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, 0, 0, 8, &slab, NULL), 0);
    ck_assert_int_eq(fixture_field(&f, PIPELINE_TRAIN, "x")->shape.d[0], 5600);
}
END_TEST

/* CIFAR-10: planes become pixels. */
START_TEST(test_cifar)
{
    static unsigned char records[3][3073];
    unsigned char *slab;
    const int64_t labels[3] = {0, 1, 2};
    for (int i = 0; i < 3; i++) {
        records[i][0] = (unsigned char)i;
        for (int k = 0; k < 3072; k++) {
            records[i][1 + k] = (unsigned char)(k / 1024 * 10 + i);
        }
    }
    fixture_add(&f, "d", "data_batch_1.bin", records, 2 * sizeof records[0]);
    fixture_add(&f, "d", "data_batch_2.bin", records[2], sizeof records[0]);
    fixture_add(&f, "d", "test_batch.bin", records, sizeof records[0]);
    ck_assert_msg(fixture_compile(&f, "{\"data\": {\"train\": {\"dataset\": \"d\", \"split\": "
                                      "\"train\"}, \"validation\": {\"dataset\": \"d\", "
                                      "\"split\": \"test\"}}}") == 0,
                  "%s: %s", f.err.path, f.err.text);
    ck_assert_int_eq(pipeline_rows(f.pipeline, PIPELINE_VALIDATION, 0), 1);
    ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, 0, 0, 8, &slab, NULL), 0);
    ck_assert(memcmp(slab + fixture_field(&f, PIPELINE_TRAIN, "y")->offset, labels, 24) == 0);
    for (int i = 0; i < 3 * 3072; i++) {
        ck_assert_uint_eq(slab[i], (unsigned)(i % 3 * 10 + i / 3072));
    }
    ck_assert_int_eq(fixture_compile(&f, "{\"data\": {\"train\": {\"dataset\": \"d\", \"split\": "
                                         "\"val\"}}}"),
                     ERR_MISSING);
    ck_assert_str_eq(f.err.path, "data.train.split");
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("sounds");
    TCase *c = tcase_create("sounds");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_loop_test(c, test_sounds, 0, sizeof goods / sizeof goods[0]);
    tcase_add_test(c, test_lengths);
    tcase_add_test(c, test_real);
    tcase_add_test(c, test_cifar);
    suite_add_tcase(suite, c);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
