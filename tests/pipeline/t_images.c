#include <fcntl.h>
#include <stdio.h>
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

static void add_shared(const char *dataset, const char *folder)
{
    char path[TEST_PATH];
    test_path(path, "%s/data/%s", test_shared(), folder);
    fixture_add_folder(&f, dataset, path);
}

START_TEST(test_patches)
{
    TEST_NEED_SHARED(shared);
    (void)shared;
    unsigned char *slab, *again;
    add_shared("p", "photo_patches");
    int r = fixture_compile(
        &f,
        "{\"data\": {\"train\": {\"dataset\": \"p\", \"split\": \"train\"}, \"validation\": "
        "{\"dataset\": "
        "\"p\", \"split\": \"val\"}}, \"pipeline\": [{\"shuffle\": 1}, {\"map\": [\"RandomFlip\", "
        "{\"RandomRotation\": {\"factor\": 0.1}}, {\"Rescaling\": {\"scale\": 0.1}}]}, {\"batch\": "
        "64}]}");
    ck_assert_msg(r == 0, "%s: %s", f.err.path, f.err.text);
    struct doc *plan = doc_new(&f.arena);
    pipeline_plan(f.pipeline, plan, &f.arena);
    ck_assert_int_eq(doc_int(plan, "n_classes", 0), 10);
    ck_assert_int_eq(doc_find(plan, "streams.train.samples")->i, 1000);
    ck_assert_int_eq(doc_find(plan, "streams.validation.samples")->i, 250);
    ck_assert_int_eq(doc_find(plan, "streams.train.fields[0].shape[1]")->i, 64);
    ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, 1, 3, 64, &slab, NULL), 0);
    ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, 1, 3, 5, &again, NULL), 0);
    ck_assert(memcmp(slab, again, f.layout[0].slab_bytes) == 0);
    ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, 2, 3, 5, &again, NULL), 0);
    ck_assert(memcmp(slab, again, f.layout[0].slab_bytes) != 0);
}
END_TEST

/* One damaged file and one of another size in a folder of good ones. */
static void add_damaged(void)
{
    fixture_add_shared(&f, "b", "a/1.jpg", "hostile/jpeg/ok_gray.jpg");
    fixture_add_shared(&f, "b", "a/2.jpg", "hostile/jpeg/trunc_scan_50.jpg");
    fixture_add_shared(&f, "b", "a/3.jpg", "hostile/jpeg/ok_gray.jpg");
    fixture_add_shared(&f, "b", "b/1.jpg", "hostile/jpeg/ok_progressive_gray.jpg");
    fixture_add_shared(&f, "b", "b/2.jpg", "hostile/jpeg/ok_gray.jpg");
}

#define BAD(policy)                                                        \
    "{\"data\": {\"train\": {\"dataset\": \"b\"}, \"on_error\": \"" policy \
    "\"}, \"pipeline\": [{\"batch\": 5}]}"

START_TEST(test_bad_fails)
{
    TEST_NEED_SHARED(shared);
    (void)shared;
    unsigned char *slab;
    add_damaged();
    ck_assert_int_eq(fixture_compile(&f, BAD("fail")), 0);
    ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, 0, 0, 5, &slab, NULL), ERR_DATA);
    ck_assert_str_eq(f.err.path, "a/2.jpg");
}
END_TEST

static const char *const skipping[] = {
    BAD("skip"),
    "{\"data\": {\"train\": {\"dataset\": \"b\"}}, \"pipeline\": [\"ignore_errors\", {\"batch\": "
    "5}]}",
};

START_TEST(test_bad_skipped)
{
    TEST_NEED_SHARED(shared);
    (void)shared;
    unsigned char *slab;
    struct opt_groups bad;
    add_damaged();
    ck_assert_int_eq(fixture_compile(&f, skipping[_i]), 0);
    ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, 0, 0, 5, &slab, &bad), 0);
    ck_assert_uint_eq(bad.n, 2);
    const struct msg_chunk_bad *rows = bad.v;
    ck_assert_int_eq(rows[0].row, 1);
    ck_assert_str_eq(rows[0].path, "a/2.jpg");
    ck_assert_int_eq(rows[1].row, 3);
    ck_assert_ptr_nonnull(strstr(rows[1].reason, "(19, 41, 1)"));
    const unsigned char *ok = slab + fixture_field(&f, PIPELINE_TRAIN, "__ok")->offset;
    ck_assert(ok[0] && !ok[1] && ok[2] && !ok[3] && ok[4]);
}
END_TEST

START_TEST(test_bad_replaced)
{
    TEST_NEED_SHARED(shared);
    (void)shared;
    int64_t samples[5];
    static const int64_t wanted[] = {0, 2, 2, 4, 4};
    add_damaged();
    ck_assert_int_eq(fixture_compile(&f, BAD("replace")), 0);
    ck_assert_int_eq(fixture_samples(&f, PIPELINE_TRAIN, 0, samples, 5), 5);
    ck_assert(memcmp(samples, wanted, sizeof wanted) == 0);
}
END_TEST

static const struct wrong {
    const char *entries[4];
    const char *split, *text;
} wrongs[] = {
    {{"cat/", "dog/1.jpg"}, NULL, "class folder 'cat' of data set 'w' is empty"},
    {{"train/cat/", "train/dog/1.jpg"}, "train", "class folder 'cat' of data set 'w' is empty"},
    {{"test/dog/1.jpg", "train/dog/1.jpg"}, "val", "it has the folders test, train"},
    {{"readme.txt"}, NULL, "none that can be read"},
    {{"dog/1.txt"}, NULL, "is a picture"},
};

START_TEST(test_wrong_folders)
{
    TEST_NEED_SHARED(shared);
    (void)shared;
    const struct wrong *w = &wrongs[_i];
    char job[256];
    for (size_t i = 0; i < 4 && w->entries[i] != NULL; i++) {
        fixture_add_shared(&f, "w", w->entries[i],
                           strstr(w->entries[i], "txt") ? "data/README.md"
                                                        : "hostile/jpeg/ok_gray.jpg");
    }
    (void)snprintf(job, sizeof job, "{\"data\": {\"train\": {\"dataset\": \"w\"%s%s%s}}}",
                   w->split ? ", \"split\": \"" : "", w->split ? w->split : "",
                   w->split ? "\"" : "");
    ck_assert_int_lt(fixture_compile(&f, job), 0);
    ck_assert_msg(strstr(f.err.text, w->text) != NULL, "%s: %s", f.err.path, f.err.text);
}
END_TEST

START_TEST(test_predict)
{
    TEST_NEED_SHARED(shared);
    (void)shared;
    struct buf file = {0};
    char path[TEST_PATH];
    float row[40 * 40], same[40 * 40];
    int64_t label;
    add_damaged();
    ck_assert_int_eq(fixture_compile(&f, "{\"data\": {\"train\": {\"dataset\": \"b\"}}, "
                                         "\"pipeline\": [{\"map\": [\"RandomFlip\", "
                                         "{\"Rescaling\": {\"scale\": 0.5}}]}]}"),
                     0);
    test_path(path, "%s/hostile/jpeg/ok_gray.jpg", test_shared());
    ck_assert_int_eq(file_read(AT_FDCWD, path, 1 << 20, &file, NULL), 0);
    ck_assert_int_eq(pipeline_predict_file(f.pipeline, file.data, file.size, row, &f.err), 0);
    ck_assert_int_eq(pipeline_predict_sample(f.pipeline, PIPELINE_TRAIN, 4, same, &label, &f.err),
                     0);
    ck_assert_int_eq(label, 1);
    ck_assert(memcmp(row, same, sizeof row) == 0);
    ck_assert_int_eq(pipeline_predict_sample(f.pipeline, PIPELINE_TRAIN, 3, same, &label, &f.err),
                     ERR_SHAPE);
    ck_assert_int_eq(pipeline_predict_sample(f.pipeline, PIPELINE_TRAIN, 5, same, &label, &f.err),
                     ERR_RANGE);
    ck_assert_int_eq(pipeline_predict_file(f.pipeline, "GIF8", 4, row, &f.err), ERR_BAD_MAGIC);
    buf_fini(&file);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("images");
    TCase *c = tcase_create("images");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, test_patches);
    tcase_add_test(c, test_bad_fails);
    tcase_add_test(c, test_bad_skipped);
    tcase_add_test(c, test_bad_replaced);
    tcase_add_loop_test(c, test_wrong_folders, 0, sizeof wrongs / sizeof wrongs[0]);
    tcase_add_test(c, test_predict);
    suite_add_tcase(suite, c);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
