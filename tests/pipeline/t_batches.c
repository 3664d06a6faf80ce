/* Batches of unlike elements as a trainer gets them: one size, rows that are none, lengths. */
#include <stdio.h>
#include <string.h>

#include "tests/pipeline/fixture.h"

enum { LONGEST = 8, SAMPLES = 28 };

static struct fixture f;

/* Columns of the lengths 3, 5, 2 and 8. */
static void setup(void)
{
    fixture_init(&f);
    fixture_add_idx(&f, "l2", "train", 6, 2, 1);
    fixture_add_idx(&f, "l3", "train", 11, 3, 1);
    fixture_add_idx(&f, "l5", "train", 7, 5, 1);
    fixture_add_idx(&f, "l8", "train", 4, 8, 1);
}

static void teardown(void)
{
    fixture_fini(&f);
}

#define HEAD                                                                                    \
    "{\"data\": {\"train\": {\"dataset\": \"l3\"}}, \"fit\": {\"seed\": 5}, \"pipeline\": ["    \
    "{\"concatenate\": [{\"dataset\": \"l5\"}, {\"dataset\": \"l2\"}, {\"dataset\": \"l8\"}]}," \
    "{\"shuffle\": {}},"
#define BUCKETS                                                                       \
    "{\"bucket_by_sequence_length\": {\"element_length_func\": \"shape(x, 0)\", "     \
    "\"bucket_boundaries\": [3, 6], \"bucket_batch_sizes\": [2, 5, 3], \"lengths\": " \
    "true, \"masks\": true, \"padding_values\": {\"x\": 200}}}"

static const void *at(const unsigned char *slab, const char *name, int64_t row)
{
    const struct slab_field *field = fixture_field(&f, PIPELINE_TRAIN, name);
    return slab + field->offset + (size_t)row * field->row_bytes;
}

static int64_t whole(const unsigned char *slab, const char *name, int64_t row)
{
    int64_t v;
    memcpy(&v, at(slab, name, row), sizeof v);
    return v;
}

static int bucket_of(int64_t length)
{
    return length < 3 ? 0 : length < 6 ? 1 : 2;
}

/* Rows of one batch: of one bucket, filled up, with their lengths and masks. */
static int64_t check_batch(const unsigned char *slab, int *seen)
{
    static const int64_t most[] = {2, 5, 3};
    int64_t rows = 0;
    int bucket = -1;
    for (int64_t row = 0; row < 5; row++) {
        const unsigned char ok = *(const unsigned char *)at(slab, "__ok", row);
        const int64_t sample = whole(slab, "__sample", row), length = whole(slab, "x_length", row);
        const unsigned char *x = at(slab, "x", row), *mask = at(slab, "x_mask", row);
        if (ok == SLAB_ROW_NONE) {
            ck_assert_int_eq(sample, -1);
            continue;
        }
        ck_assert_int_eq(ok, SLAB_ROW_GOOD);
        ck_assert_int_eq(row, rows++); /* those that are none are the last */
        seen[sample]++;
        bucket = bucket < 0 ? bucket_of(length) : bucket;
        ck_assert_int_eq(bucket, bucket_of(length));
        for (int64_t i = 0; i < LONGEST; i++) {
            ck_assert_int_eq(mask[i], i < length);
            ck_assert_int_eq(x[i], i < length ? (x[0] + i) & 255 : 200);
        }
    }
    ck_assert_int_le(rows, most[bucket]);
    return rows;
}

START_TEST(test_buckets)
{
    unsigned char *slab;
    ck_assert_msg(fixture_compile(&f, HEAD BUCKETS "]}") == 0, "%s: %s", f.err.path, f.err.text);
    ck_assert_uint_eq(fixture_field(&f, PIPELINE_TRAIN, "x")->row_bytes, LONGEST);
    ck_assert_int_eq(pipeline_steps(f.pipeline, PIPELINE_TRAIN), 3 + 4 + 2);
    for (int64_t epoch = 0; epoch < 4; epoch++) {
        int seen[SAMPLES] = {0};
        int64_t rows = 0;
        for (int64_t step = 0; step < 9; step++) {
            struct opt_groups bad = {0};
            ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, epoch, step, 100, &slab, &bad), 0);
            ck_assert_uint_eq(bad.n, 0);
            rows += check_batch(slab, seen);
        }
        ck_assert_int_eq(rows, SAMPLES);
        for (int i = 0; i < SAMPLES; i++) {
            ck_assert_int_eq(seen[i], 1);
        }
    }
}
END_TEST

static const char *const streams[] = {
    HEAD BUCKETS "]}",
    HEAD BUCKETS ", {\"map\": [{\"RandomFlip\": {\"mode\": \"vertical\"}}]}, {\"skip\": 2}]}",
    HEAD "{\"ragged_batch\": 4}]}",
    HEAD "{\"padded_batch\": {\"batch_size\": 3, \"lengths\": true}}, {\"take\": 5}]}",
    HEAD "{\"group_by_window\": {\"key_func\": \"y % 3\", \"window_size\": 4, \"reduce_func\": "
         "{\"padded_batch\": {\"batch_size\": 4}}}}]}",
    HEAD "{\"group_by_window\": {\"key_func\": \"y % 3\", \"window_size\": 4, \"reduce_func\": "
         "[]}}, {\"padded_batch\": 6}]}",
};

/* Law 2, in any order and cut anyhow. */
START_TEST(test_any_chunking)
{
    static const int64_t chunks[] = {1, 2, 3, 100};
    unsigned char *wanted, *parts;
    ck_assert_msg(fixture_compile(&f, streams[_i]) == 0, "%s: %s", f.err.path, f.err.text);
    const int64_t steps = pipeline_steps(f.pipeline, PIPELINE_TRAIN);
    for (int64_t step = steps - 1; step >= 0; step--) {
        ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, 1, step, 1000, &wanted, NULL), 0);
        for (size_t i = 0; i < sizeof chunks / sizeof chunks[0]; i++) {
            ck_assert_int_eq(
                fixture_batch(&f, PIPELINE_TRAIN, step % 3, steps - 1 - step, 2, &parts, NULL), 0);
            ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, 1, step, chunks[i], &parts, NULL),
                             0);
            ck_assert(memcmp(wanted, parts, f.layout[0].slab_bytes) == 0);
        }
    }
}
END_TEST

/* What is wrong is said where it stands. */
START_TEST(test_refused)
{
    static const struct {
        const char *stage, *path, *text;
    } cases[] = {
        {"{\"bucket_by_sequence_length\": {\"element_length_func\": \"shape(x, 0)\", "
         "\"bucket_boundaries\": [3, 3], \"bucket_batch_sizes\": [2, 5, 3]}}",
         "pipeline[2].bucket_by_sequence_length.bucket_boundaries", "3 does not rise from 3"},
        {"{\"bucket_by_sequence_length\": {\"element_length_func\": \"shape(x, 0)\", "
         "\"bucket_boundaries\": [3, 4], \"bucket_batch_sizes\": [2, 5]}}",
         "pipeline[2].bucket_by_sequence_length.bucket_batch_sizes",
         "has 2 numbers; it takes one more than the 2 boundaries"},
        {"{\"bucket_by_sequence_length\": {\"element_length_func\": \"shape(x, 0)\", "
         "\"bucket_boundaries\": [3, 8], \"bucket_batch_sizes\": [2, 5, 3], "
         "\"pad_to_bucket_boundary\": true}}",
         "pipeline[2].bucket_by_sequence_length",
         "an element of length 8: pad_to_bucket_boundary takes only lengths below 8"},
        {"{\"group_by_window\": {\"key_func\": \"y / 2\", \"window_size\": 4}}",
         "pipeline[2].group_by_window.key_func", "which is no whole number"},
        {"{\"group_by_window\": {\"key_func\": \"y\"}}", "pipeline[2].group_by_window.window_size",
         "either window_size or window_size_func"},
        {"{\"group_by_window\": {\"key_func\": \"y\", \"window_size_func\": \"key - 3\"}}",
         "pipeline[2].group_by_window.window_size_func", "gives -3 for key 0"},
        {"{\"group_by_window\": {\"key_func\": \"y\", \"window_size\": 2, \"reduce_func\": "
         "[{\"rebatch\": 2}]}}",
         "pipeline[2].group_by_window.reduce_func[0]", "rebatch cannot stand in a window"},
        {"{\"group_by_window\": {\"key_func\": \"y\", \"window_size\": 2, \"reduce_func\": "
         "[{\"repeat\": -1}]}}",
         "pipeline[2].group_by_window.repeat", "would make the windows too long"},
        {"{\"group_by_window\": {\"key_func\": \"y\", \"window_size\": 2}}", "pipeline",
         "no common shape"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char job[2048];
        (void)snprintf(job, sizeof job, "%s%s]}", HEAD, cases[i].stage);
        ck_assert_int_lt(fixture_compile(&f, job), 0);
        ck_assert_str_eq(f.err.path, cases[i].path);
        ck_assert_msg(strstr(f.err.text, cases[i].text) != NULL, "case %zu: %s", i, f.err.text);
    }
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("batches");
    TCase *tcase = tcase_create("batches");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_buckets);
    tcase_add_loop_test(tcase, test_any_chunking, 0, sizeof streams / sizeof streams[0]);
    tcase_add_test(tcase, test_refused);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
