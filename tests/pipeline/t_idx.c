/* Pairs of IDX files: what fits, and what is said when they do not. */
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
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

static void add_hostile(const char *as, const char *name)
{
    char path[TEST_PATH];
    struct buf data = {0};
    test_path(path, "%s/hostile/idx/%s", test_shared(), name);
    ck_assert_int_eq(file_read(AT_FDCWD, path, 1 << 20, &data, NULL), 0);
    fixture_add(&f, "d", as, data.data != NULL ? data.data : "", data.size);
    buf_fini(&data);
}

static const struct pair {
    const char *images, *labels;
    int code;
    const char *text, *more;
} pairs[] = {
    {"ok_u8_3d.idx", "ok_u8_1d.idx", 0, NULL, NULL},
    {"ok_gz.idx.gz", "ok_u8_1d.idx", 0, NULL, NULL},
    {"ok_u8_3d.idx", "labels_count_mismatch.idx", ERR_DATA, "has 5 labels", "3 images"},
    {"ok_u8_3d.idx", NULL, ERR_MISSING, "no labels beside it", "train-images-idx3-ubyte"},
    {"trunc_data.idx", "ok_u8_1d.idx", ERR_TRUNCATED, "60 bytes", "has 59"},
    {"trailing.idx", "ok_u8_1d.idx", ERR_CORRUPT, "60 bytes", "has 62"},
    {"html.idx", "ok_u8_1d.idx", ERR_BAD_MAGIC, "is no IDX file", "train-images-idx3-ubyte"},
    {"dims_huge.idx", "ok_u8_1d.idx", ERR_LIMIT, "more than", "train-images-idx3-ubyte"},
    {"ok_u8_3d.idx", "ok_u8_3d.idx", ERR_DATA, "labels are a list", "(3, 5, 4)"},
    {"ok_u8_3d.idx", "zero_bytes.idx", ERR_EMPTY, "shorter than its magic", "train-labels"},
    {"ok_zero_items.idx", "ok_u8_1d.idx", ERR_DATA, "3 labels", "0 images"},
};

START_TEST(test_pairs)
{
    TEST_NEED_SHARED(shared);
    (void)shared;
    const struct pair *p = &pairs[_i];
    add_hostile("train-images-idx3-ubyte", p->images);
    if (p->labels != NULL) {
        add_hostile("train-labels-idx1-ubyte", p->labels);
    }
    int r =
        fixture_compile(&f, "{\"data\": {\"train\": {\"dataset\": \"d\", \"split\": \"train\"}}}");
    ck_assert_msg(r == p->code, "%s: %d %s", p->images, r, f.err.text);
    if (r == 0) {
        int64_t samples[8];
        ck_assert_int_eq(fixture_samples(&f, PIPELINE_TRAIN, 0, samples, 8), 3);
    } else {
        ck_assert_msg(strstr(f.err.text, p->text) && strstr(f.err.text, p->more), "%s", f.err.text);
    }
}
END_TEST

/* Without a split all pairs are one set, in the order of their names. */
START_TEST(test_whole_set)
{
    int64_t samples[64];
    fixture_add_idx(&f, "d", "t10k", 7, 3, 2);
    fixture_add_idx(&f, "d", "train", 11, 3, 2);
    ck_assert_int_eq(
        fixture_compile(
            &f, "{\"data\": {\"train\": {\"dataset\": \"d\"}}, \"pipeline\": [{\"batch\": 18}]}"),
        0);
    ck_assert_int_eq(fixture_samples(&f, PIPELINE_TRAIN, 0, samples, 64), 18);
    unsigned char *slab;
    ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, 0, 0, 18, &slab, NULL), 0);
    const unsigned char *x = slab + fixture_field(&f, PIPELINE_TRAIN, "x")->offset;
    ck_assert_int_eq(x[(size_t)6 * 6], 6 * 7);
    ck_assert_int_eq(x[(size_t)7 * 6], 0);
    ck_assert_int_eq(x[(size_t)17 * 6], 10 * 7);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("idx");
    TCase *c = tcase_create("idx");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_loop_test(c, test_pairs, 0, sizeof pairs / sizeof pairs[0]);
    tcase_add_test(c, test_whole_set);
    suite_add_tcase(suite, c);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
