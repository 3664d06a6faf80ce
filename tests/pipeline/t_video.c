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

static int compile(const char *options, const char *split)
{
    char job[512];
    (void)snprintf(job, sizeof job,
                   "{\"data\": {\"train\": {\"dataset\": \"d\", \"source\": {\"video\": {%s}}%s}, "
                   "\"on_error\": \"skip\"}, \"pipeline\": [{\"batch\": 4}]}",
                   options, split);
    return fixture_compile(&f, job);
}

START_TEST(test_films)
{
    TEST_NEED_SHARED(shared);
    char path[TEST_PATH];
    unsigned char *slab, *half;
    struct opt_groups bad = {0};
    test_path(path, "%s/data/video/moves", shared);
    fixture_add_folder(&f, "d", path);
    ck_assert_msg(compile("\"frames\": 10", ", \"split\": \"train\"") == 0, "%s: %s", f.err.path,
                  f.err.text);
    ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, 0, 0, 4, &slab, &bad), 0);
    ck_assert_uint_eq(bad.n, 0);
    const struct slab_field *x = fixture_field(&f, PIPELINE_TRAIN, "x");
    ck_assert_str_eq(x->kind, "video");
    ck_assert_uint_eq(x->row_bytes, 10 * 48 * 48 * 3);
    struct doc *plan = doc_new(&f.arena);
    pipeline_plan(f.pipeline, plan, &f.arena);
    ck_assert_int_eq(doc_int(plan, "n_classes", 0), 6);
    ck_assert_int_eq(doc_find(plan, "streams.train.samples")->i, 240);
    /* Five frames spread over ten are every second one; with a step of 9 they end with the last. */
    const size_t frame = 48 * 48 * 3;
    ck_assert_int_eq(compile("\"frames\": 5", ", \"split\": \"train\""), 0);
    ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, 0, 0, 4, &half, NULL), 0);
    for (size_t i = 0; i < 5; i++) {
        ck_assert(memcmp(half + i * frame, slab + 2 * i * frame, frame) == 0);
    }
    ck_assert_int_eq(compile("\"frames\": 3, \"frame_step\": 9", ", \"split\": \"train\""), 0);
    ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, 0, 0, 4, &half, NULL), 0);
    ck_assert(memcmp(half, slab, frame) == 0);
    ck_assert(memcmp(half + frame, slab + 9 * frame, frame) == 0);
    ck_assert(memcmp(half + 2 * frame, slab + 9 * frame, frame) == 0);
}
END_TEST

/* Folders of frames; a bad frame costs its clip, a frame of another size too. */
START_TEST(test_frames)
{
    TEST_NEED_SHARED(shared);
    (void)shared;
    unsigned char *slab;
    struct opt_groups bad = {0};
    fixture_add_shared(&f, "d", "run/1/0.jpg", "hostile/jpeg/ok_gray.jpg");
    fixture_add_shared(&f, "d", "run/1/1.jpg", "hostile/jpeg/ok_gray.jpg");
    fixture_add_shared(&f, "d", "run/2/0.jpg", "hostile/jpeg/ok_gray.jpg");
    fixture_add_shared(&f, "d", "run/2/1.jpg", "hostile/jpeg/trunc_scan_50.jpg");
    fixture_add_shared(&f, "d", "walk/1/0.jpg", "hostile/jpeg/ok_gray.jpg");
    fixture_add_shared(&f, "d", "walk/1/1.jpg", "hostile/jpeg/ok_progressive_gray.jpg");
    fixture_add_shared(&f, "d", "walk/2/0.jpg", "hostile/jpeg/ok_gray.jpg");
    ck_assert_msg(compile("\"frames\": 2, \"color_mode\": \"rgb\"", "") == 0, "%s: %s", f.err.path,
                  f.err.text);
    ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, 0, 0, 4, &slab, &bad), 0);
    ck_assert_uint_eq(bad.n, 2);
    const struct msg_chunk_bad *rows = bad.v;
    ck_assert_str_eq(rows[0].path, "run/2");
    ck_assert_msg(strstr(rows[0].reason, "frame 1") != NULL, "%s", rows[0].reason);
    ck_assert_str_eq(rows[1].path, "walk/1");
    ck_assert_msg(strstr(rows[1].reason, "frame 1 is 19 x 41") != NULL, "%s", rows[1].reason);
    const unsigned char *ok = slab + fixture_field(&f, PIPELINE_TRAIN, "__ok")->offset;
    ck_assert(ok[0] && !ok[1] && !ok[2] && ok[3]);
    ck_assert_int_eq(compile("\"frames\": 2, \"image_size\": [8, 8]", ""), 0);
    bad.n = 0;
    ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, 0, 0, 4, &slab, &bad), 0);
    ck_assert_uint_eq(bad.n, 1);
}
END_TEST

START_TEST(test_too_large)
{
    TEST_NEED_SHARED(shared);
    (void)shared;
    fixture_add_shared(&f, "d", "run/1/0.jpg", "hostile/jpeg/ok_gray.jpg");
    ck_assert_int_eq(compile("\"frames\": 4096, \"image_size\": [4096, 4096]", ""), ERR_LIMIT);
    ck_assert_str_eq(f.err.path, "data.train.source.video.frames");
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("video");
    TCase *c = tcase_create("video");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, test_films);
    tcase_add_test(c, test_frames);
    tcase_add_test(c, test_too_large);
    suite_add_tcase(suite, c);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
