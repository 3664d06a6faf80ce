/* Downloads, their resumption, the first files, and the collection of what nobody names. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rng.h"
#include "client/millrace.h"
#include "tests/client/live.h"

enum { N_FILES = 60, BIG = (3 << 20) + 17 };

static struct live live;
static char set[TEST_PATH], copy[TEST_PATH];

static void make_file(const char *name, size_t bytes, uint64_t seed)
{
    char path[TEST_PATH];
    unsigned char *data = malloc(bytes + 4);
    struct rng rng;
    ck_assert_ptr_nonnull(data);
    rng_init(&rng, seed, 3, 0, 0);
    for (size_t i = 0; i < bytes; i++) {
        data[i] = (unsigned char)rng_u32(&rng);
    }
    live_file(&live, name, data, bytes, path);
    free(data);
}

static void setup(void)
{
    live_start(&live);
    for (int i = 0; i < N_FILES; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "set/train/%s/%02d.jpg", i % 2 == 0 ? "cat" : "dog", i);
        make_file(name, (size_t)(i % 7) * 9000, (uint64_t)(i % 50));
    }
    make_file("set/train/dog/big.jpg", BIG, 99);
    test_path(set, "%s/set", live.folder);
    test_path(copy, "%s/copy/of it", live.folder);
    live_daemon(&live, NULL);
}

static void teardown(void)
{
    live_stop(&live);
}

/* Runs a command that must end so, and hands out its result. */
static struct live_result run(int status, const char *a, const char *b, const char *c,
                              const char *d)
{
    struct live_result r;
    live_run(&live, &r, a, b, c, d, NULL);
    ck_assert_msg(r.status == status, "%s %s: %d: %s%s", a, b, r.status, r.out.data, r.err.data);
    return r;
}

static bool says(int status, const char *a, const char *b, const char *c, const char *d,
                 const char *words)
{
    struct live_result r = run(status, a, b, c, d);
    bool found = strstr(status == 0 ? r.out.data : r.err.data, words) != NULL;
    if (!found) {
        printf("%s %s: %s%s\n", a, b, r.out.data, r.err.data);
    }
    live_free(&r);
    return found;
}

static void compare(const char *other)
{
    char command[2 * TEST_PATH + 32];
    (void)snprintf(command, sizeof command, "diff -r '%s' '%s'", set, other);
    ck_assert_int_eq(system(command), 0);
}

START_TEST(a_copy_is_the_same)
{
    char path[TEST_PATH + 64];
    ck_assert(says(0, "dataset", "put", "d", set, "61 files"));
    ck_assert(says(0, "dataset", "get", "d", copy, "(0 were there)"));
    compare(copy);
    ck_assert(says(0, "dataset", "get", "d@1", copy, "(61 were there)"));
    /* One is damaged, one is gone, one is half here. */
    (void)snprintf(path, sizeof path, "%s/train/cat/04.jpg", copy);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    ck_assert_int_eq(pwrite(fd, "xyz", 3, 100), 3);
    close(fd);
    (void)snprintf(path, sizeof path, "%s/train/dog/05.jpg", copy);
    ck_assert_int_eq(unlink(path), 0);
    char part[TEST_PATH + 64];
    (void)snprintf(path, sizeof path, "%s/train/dog/big.jpg", copy);
    (void)snprintf(part, sizeof part, "%s/train/dog/.big.jpg.part", copy);
    ck_assert_int_eq(rename(path, part), 0);
    ck_assert_int_eq(truncate(part, 1500000), 0);
    ck_assert(says(0, "dataset", "get", "d", copy, "(58 were there)"));
    compare(copy);
    ck_assert(says(3, "dataset", "get", "e", copy, "no data set 'e'"));
}
END_TEST

START_TEST(first_files)
{
    ck_assert(says(0, "dataset", "put", "d", set, "61 files"));
    ck_assert(says(0, "dataset", "head", "d", "--n=3", "train/cat/04.jpg"));
    struct live_result r = run(0, "dataset", "head", "d", "--json");
    struct arena arena;
    struct doc *doc = NULL;
    arena_init(&arena);
    ck_assert_int_eq(doc_read_json(r.out.data, r.out.size, NULL, &arena, &doc, NULL), 0);
    const struct doc *entries = doc_get(doc, "entries");
    ck_assert_uint_eq(entries->n, 10);
    ck_assert_str_eq(doc_str(doc_at(entries, 1), "path", ""), "train/cat/02.jpg");
    ck_assert_int_eq(doc_int(doc_at(entries, 1), "bytes", 0), 18000);
    ck_assert_str_eq(doc_str(doc_at(entries, 1), "class", ""), "cat");
    arena_fini(&arena);
    live_free(&r);
}
END_TEST

static int64_t pack_bytes(void)
{
    char path[TEST_PATH];
    int64_t sum = 0;
    test_path(path, "%s/state/blobs/pack", live.folder);
    DIR *dir = opendir(path);
    ck_assert_ptr_nonnull(dir);
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        struct stat st;
        ck_assert_int_eq(fstatat(dirfd(dir), entry->d_name, &st, 0), 0);
        sum += S_ISREG(st.st_mode) ? st.st_size : 0;
    }
    closedir(dir);
    return sum;
}

START_TEST(holes_are_closed)
{
    char command[2 * TEST_PATH + 64];
    ck_assert(says(0, "dataset", "put", "d", set, "61 files"));
    const int64_t before = pack_bytes();
    (void)snprintf(command, sizeof command, "rm -r '%s/train/cat' '%s'/train/dog/[2-5]*", set, set);
    ck_assert_int_eq(system(command), 0);
    ck_assert(says(0, "dataset", "put", "d", set, "11 files"));
    ck_assert(says(0, "dataset", "gc", "--days=0", NULL, "0 packs"));
    ck_assert_int_eq(pack_bytes(), before);
    ck_assert(says(0, "dataset", "get", "d@1", copy, "61 files"));
    struct live_result r = run(0, "dataset", "remove", "d@1", NULL);
    live_free(&r);
    ck_assert(says(0, "dataset", "gc", "--days=0", NULL, "1 packs"));
    ck_assert_int_lt(pack_bytes(), before / 2);
    ck_assert_int_gt(pack_bytes(), 0);
    ck_assert(says(0, "dataset", "verify", "d", NULL, "0 damaged"));
    test_path(copy, "%s/another", live.folder);
    ck_assert(says(0, "dataset", "get", "d", copy, "11 files"));
    compare(copy);
    live_kill(&live, SIGKILL);
    live_daemon(&live, NULL);
    ck_assert(says(0, "dataset", "verify", "d", NULL, "0 damaged"));
    r = run(0, "dataset", "remove", "d", NULL);
    live_free(&r);
    ck_assert(says(0, "dataset", "gc", "--days=0", NULL, "gone"));
    ck_assert_int_eq(pack_bytes(), 0);
}
END_TEST

static void wake_up(void *context, const struct millrace_put_progress *progress)
{
    if (progress->stage == MILLRACE_PUT_SEND) {
        ck_assert_int_eq(write(*(const int *)context, "x", 1), 1);
    }
}

/* What a broken upload has stays while it may go on, and goes when it is told to. */
START_TEST(broken_uploads)
{
    int pipe_fd[2];
    struct arena arena;
    struct millrace *m = NULL;
    struct err err = {0};
    ck_assert_int_eq(pipe2(pipe_fd, O_CLOEXEC), 0);
    const struct millrace_options options = {.socket = live.run_dir, .wake_fd = pipe_fd[0]};
    const struct millrace_put put = {
        .name = "d", .path = set, .progress = wake_up, .context = &pipe_fd[1]};
    arena_init(&arena);
    ck_assert_int_eq(millrace_open(&options, &m, &err), 0);
    ck_assert_int_eq(millrace_put(m, &put, &arena, NULL, &err), ERR_INTERRUPTED);
    millrace_close(m);
    arena_fini(&arena);
    /* The daemon knows of it; what was on its way is in the pack by the time of the answer. */
    ck_assert(says(0, "dataset", "gc", "--days=0", NULL, "0 files"));
    const int64_t before = pack_bytes();
    ck_assert_int_gt(before, 0);
    live_kill(&live, SIGKILL);
    live_daemon(&live, NULL);
    ck_assert(says(0, "dataset", "gc", NULL, NULL, "0 files")); /* younger than the setting */
    ck_assert_int_eq(pack_bytes(), before);
    ck_assert(says(0, "dataset", "gc", "--days=0", NULL, "gone"));
    ck_assert_int_eq(pack_bytes(), 0);
    ck_assert(says(0, "dataset", "put", "d", set, "61 files"));
    ck_assert(says(0, "dataset", "verify", "d", NULL, "0 damaged"));
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("get");
    TCase *tcase = tcase_create("get");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_copy_is_the_same);
    tcase_add_test(tcase, first_files);
    tcase_add_test(tcase, holes_are_closed);
    tcase_add_test(tcase, broken_uploads);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
