/* Columns in a kept folder: looked up by what they are, made once, and what is wrong is made anew.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pipeline/column.h"
#include "pipeline/kept.h"
#include "tests/pipeline/fixture.h"

enum { N = 3000, FILTERED = N / 10 * 3 };

static struct fixture f;
static char folder[TEST_PATH];
static struct kept kept;

static void setup(void)
{
    fixture_init(&f);
    fixture_add_idx(&f, "d", "train", N, 2, 2);
    fixture_add_idx(&f, "e", "train", N, 2, 1);
    test_dir_make(folder);
    kept = (struct kept){.fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    f.store.kept = &kept;
}

static void teardown(void)
{
    close(kept.fd);
    test_dir_remove(folder);
    fixture_fini(&f);
}

/* Labels are i % 10. */
#define FILTER "{\"filter\": {\"predicate\": \"y < 3\"}}"

static int64_t compile(const char *dataset, const char *stages, int seed)
{
    char job[1024];
    pipeline_destroy(f.pipeline);
    f.pipeline = NULL;
    (void)snprintf(job, sizeof job,
                   "{\"data\": {\"train\": {\"dataset\": \"%s\"}}, \"pipeline\": [%s], "
                   "\"fit\": {\"seed\": %d}}",
                   dataset, stages, seed);
    ck_assert_msg(fixture_compile(&f, job) == 0, "%s: %s", f.err.path, f.err.text);
    return pipeline_steps(f.pipeline, PIPELINE_TRAIN);
}

static void only_file(char id[HASH_ID_TEXT])
{
    DIR *dir = opendir(folder);
    int n = 0;
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (entry->d_name[0] != '.') {
            (void)snprintf(id, HASH_ID_TEXT, "%.64s", entry->d_name);
            n++;
        }
    }
    closedir(dir);
    ck_assert_int_eq(n, 1);
}

START_TEST(the_second_reads_nothing)
{
    ck_assert_int_eq(compile("d", FILTER ", {\"batch\": 1}", 1), FILTERED);
    ck_assert_int_eq(kept.n_elements, N);
    ck_assert_int_eq(kept.n_made, 1);
    kept.n_elements = kept.n_found = 0;
    ck_assert_int_eq(compile("d", FILTER ", {\"batch\": 1}", 1), FILTERED);
    ck_assert_int_eq(kept.n_elements, 0);
    ck_assert_int_eq(kept.n_found, 1);
    ck_assert_int_eq(kept.n_made, 1);
}
END_TEST

/* The control: what is counted is what the file saves. */
START_TEST(without_the_file_each_reads_all)
{
    char id[HASH_ID_TEXT];
    for (int i = 0; i < 2; i++) {
        kept.n_elements = 0;
        ck_assert_int_eq(compile("d", FILTER ", {\"batch\": 1}", 1), FILTERED);
        ck_assert_int_eq(kept.n_elements, N);
        only_file(id);
        kept_remove(&kept, id);
    }
}
END_TEST

/* Whatever changes what the numbers are gives another file; what comes behind does not. */
static const struct {
    const char *dataset, *stages;
    int seed;
    bool is_same;
} others[] = {
    {"d", FILTER ", {\"batch\": 7}", 1, true},
    {"d", FILTER ", {\"shuffle\": {}}, {\"batch\": 1}", 1, true},
    {"d", FILTER ", {\"map\": [{\"Rescaling\": {\"scale\": 2.0}}]}, {\"batch\": 1}", 1, true},
    {"e", FILTER ", {\"batch\": 1}", 1, false},
    {"d", "{\"filter\": {\"predicate\": \"y < 4\"}}, {\"batch\": 1}", 1, false},
    {"d", "{\"unique\": [\"y\"]}, {\"batch\": 1}", 1, false},
    {"d", "{\"take\": 100}, " FILTER ", {\"batch\": 1}", 1, false},
    {"d", "{\"map\": [{\"Rescaling\": {\"scale\": 2.0}}]}, " FILTER ", {\"batch\": 1}", 1, false},
    {"d", FILTER ", {\"batch\": 1}", 2, false}, /* a seed may decide what stands before */
};

START_TEST(found_by_what_it_is)
{
    (void)compile("d", FILTER ", {\"batch\": 1}", 1);
    const int64_t n_made = kept.n_made;
    (void)compile(others[_i].dataset, others[_i].stages, others[_i].seed);
    ck_assert_int_eq(kept.n_made, others[_i].is_same ? n_made : n_made + 1);
}
END_TEST

/* What another process may have put there, whole and with a right checksum. */
static void put_numbers(int64_t n, int64_t at, int64_t number)
{
    char id[HASH_ID_TEXT];
    int64_t *v = calloc((size_t)n, sizeof *v);
    for (int64_t i = 0; i < n; i++) {
        v[i] = i % 2;
    }
    v[at] = number;
    only_file(id);
    ck_assert_int_eq(kept_put(&kept, id, v, (size_t)n * sizeof *v, NULL), 0);
    free(v);
}

static const struct {
    int64_t n, number;
} unsound[] = {{N - 1, 0}, {N + 1, 0}, {N, 2}, {N, -1}, {N, INT64_MAX}, {N, INT64_MIN + 1}};

START_TEST(unsound_numbers_are_made_anew)
{
    (void)compile("d", FILTER ", {\"batch\": 1}", 1);
    put_numbers(unsound[_i].n, 5, unsound[_i].number);
    kept.n_elements = 0;
    ck_assert_int_eq(compile("d", FILTER ", {\"batch\": 1}", 1), FILTERED);
    ck_assert_int_eq(kept.n_elements, N);
    ck_assert_int_eq(kept.n_damaged, 1);
}
END_TEST

/* The control: sound ones are believed, be they wrong, and the elements follow them. */
START_TEST(sound_numbers_are_believed)
{
    (void)compile("d", FILTER ", {\"batch\": 1}", 1);
    put_numbers(N, 0, 0);
    ck_assert_int_eq(compile("d", FILTER ", {\"batch\": 1}", 1), N / 2);
    ck_assert_int_eq(kept.n_damaged, 0);
}
END_TEST

/* ---- in parts ------------------------------------------------------------------------------- */

/* 3,000 elements in parts of 256; 429 windows, of which the last is shorter. */
static const struct {
    const char *stages;
    int64_t parts, elements;
} parted[] = {
    {FILTER ", {\"batch\": 1}", 12, N},
    {"{\"batch\": 7}, {\"padded_batch\": {\"batch_size\": 2}}", 2, 429},
};

static int try_compile(const char *stages)
{
    char job[1024];
    pipeline_destroy(f.pipeline);
    f.pipeline = NULL;
    (void)snprintf(job, sizeof job,
                   "{\"data\": {\"train\": {\"dataset\": \"d\"}}, \"pipeline\": [%s]}", stages);
    return fixture_compile(&f, job);
}

static void read_only_file(struct buf *out)
{
    char id[HASH_ID_TEXT];
    void *data = NULL;
    size_t size = 0;
    only_file(id);
    ck_assert_int_eq(kept_read(&kept, id, 1 << 20, &data, &size), 0);
    buf_put(out, id, HASH_ID_TEXT);
    buf_put(out, data, size);
    free(data);
    kept_remove(&kept, id);
}

static void make_parts(const char *stages, int maker, int makers)
{
    kept.how = KEPT_MAKE_PARTS;
    kept.maker = maker;
    kept.makers = makers;
    ck_assert_int_eq(try_compile(stages), ERR_NOT_MADE);
    kept.how = KEPT_MAKE_ALL;
}

/* Without a moment to make anything. */
static int join_only(const char *stages)
{
    kept.how = KEPT_MAKE_BRIEFLY;
    kept.until_us = 1;
    const int r = try_compile(stages);
    kept.how = KEPT_MAKE_ALL;
    return r;
}

START_TEST(parts_come_to_the_same)
{
    const char *stages = parted[_i].stages;
    struct buf wanted = {0};
    ck_assert_msg(try_compile(stages) == 0, "%s: %s", f.err.path, f.err.text);
    read_only_file(&wanted);
    for (int makers = 1; makers <= 5; makers += 2) {
        struct buf got = {0};
        ck_assert_int_eq(join_only(stages), ERR_NOT_MADE);
        ck_assert_int_eq(kept.missing.parts, parted[_i].parts);
        ck_assert_int_eq(kept.missing.made, 0);
        kept.n_elements = 0;
        for (int maker = makers - 1; maker >= 0; maker--) {
            make_parts(stages, maker, makers);
        }
        ck_assert_int_eq(kept.n_elements, parted[_i].elements); /* each once */
        kept.n_elements = 0;
        ck_assert_int_eq(join_only(stages), 0);
        ck_assert_int_eq(kept.n_elements, 0);
        read_only_file(&got); /* parts and claims are gone */
        ck_assert_uint_eq(got.size, wanted.size);
        ck_assert_mem_eq(got.data, wanted.data, wanted.size);
        buf_fini(&got);
    }
    buf_fini(&wanted);
}
END_TEST

static void first_part(char id[HASH_ID_TEXT])
{
    DIR *dir = opendir(folder);
    id[0] = '\0';
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (strlen(entry->d_name) == HASH_ID_TEXT - 1) {
            (void)snprintf(id, HASH_ID_TEXT, "%.64s", entry->d_name);
        }
    }
    closedir(dir);
    ck_assert_str_ne(id, "");
}

/* A part that is lost or damaged is made again, the others are not. */
START_TEST(one_part_is_made_again)
{
    const char *stages = parted[0].stages;
    char id[HASH_ID_TEXT], path[2 * TEST_PATH];
    make_parts(stages, 0, 1);
    first_part(id);
    (void)snprintf(path, sizeof path, "%s/%s", folder, id);
    if (_i == 0) {
        kept_remove(&kept, id);
    } else {
        ck_assert_int_eq(truncate(path, _i == 1 ? 100 : 0), 0);
    }
    ck_assert_int_eq(join_only(stages), ERR_NOT_MADE);
    ck_assert_int_eq(kept.missing.made, parted[0].parts - 1);
    kept.n_elements = 0;
    make_parts(stages, 0, 1);
    ck_assert_int_ge(kept.n_elements, N % 256);
    ck_assert_int_le(kept.n_elements, 256);
    ck_assert_int_eq(join_only(stages), 0);
}
END_TEST

/* What another one has claimed is left to it, till that one ends. */
START_TEST(a_claimed_part_is_left_alone)
{
    const char *stages = parted[0].stages;
    char id[HASH_ID_TEXT], name[HASH_ID_TEXT];
    ck_assert_int_eq(try_compile(stages), 0);
    only_file(id);
    kept_remove(&kept, id);
    int claims = kept_claims_open(&kept, id, NULL);
    ck_assert(kept_claim(claims, 3));
    make_parts(stages, 0, 1);
    kept_part_id(id, 3, name);
    ck_assert(!kept_has(&kept, name));
    ck_assert_int_eq(join_only(stages), ERR_NOT_MADE);
    ck_assert_int_eq(kept.missing.made, parted[0].parts - 1);
    close(claims); /* as the end of its process */
    make_parts(stages, 0, 1);
    ck_assert(kept_has(&kept, name));
    ck_assert_int_eq(join_only(stages), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("column");
    TCase *tcase = tcase_create("column");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, the_second_reads_nothing);
    tcase_add_test(tcase, without_the_file_each_reads_all);
    tcase_add_loop_test(tcase, found_by_what_it_is, 0, (int)(sizeof others / sizeof others[0]));
    tcase_add_loop_test(tcase, unsound_numbers_are_made_anew, 0,
                        (int)(sizeof unsound / sizeof unsound[0]));
    tcase_add_test(tcase, sound_numbers_are_believed);
    tcase_add_loop_test(tcase, parts_come_to_the_same, 0, 2);
    tcase_add_loop_test(tcase, one_part_is_made_again, 0, 3);
    tcase_add_test(tcase, a_claimed_part_is_left_alone);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
