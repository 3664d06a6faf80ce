/* Data sets through the library and the command line, against a real daemon: round trip, resume,
 * refusals. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/rng.h"
#include "client/millrace.h"
#include "client/put_list.h"
#include "tests/client/live.h"

enum { BIG = 24 << 20 };

static struct live live;

static void setup(void)
{
    live_start(&live);
}

static void teardown(void)
{
    live_stop(&live);
}

static void make_folders(char root[TEST_PATH])
{
    static const char *const names[] = {
        "set/train/b/1.jpg", "set/train/a/2.jpg", "set/train/a/10.jpg", "set/val/a/1.jpg",
        "set/val/b/1.png",   "set/.hidden/x.jpg", "set/train/.x",       "set/ORIGIN.md"};
    char path[TEST_PATH];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        live_text(&live, names[i], i % 2 == 0 ? "one" : names[i], path);
    }
    test_path(root, "%s/set", live.folder);
}

START_TEST(lists_in_byte_order)
{
    static const char *const want[] = {"ORIGIN.md",     "train/a/10.jpg", "train/a/2.jpg",
                                       "train/b/1.jpg", "val/a/1.jpg",    "val/b/1.png"};
    char root[TEST_PATH];
    struct arena arena;
    struct put_list list;
    struct err err = {0};
    arena_init(&arena);
    make_folders(root);
    ck_assert_int_eq(put_list_read(root, false, &arena, &list, &err), 0);
    ck_assert_int_eq(put_list_hash(&list, NULL, NULL, &err), 0);
    ck_assert_uint_eq(list.n, 6);
    for (size_t i = 0; i < 6; i++) {
        ck_assert_str_eq(list.files[i].path, want[i]);
        ck_assert_uint_eq(strlen(list.files[i].id), 64);
    }
    ck_assert_str_eq(list.files[2].id, list.files[4].id == NULL ? "" : list.files[2].id);
    arena_fini(&arena);
}
END_TEST

START_TEST(follows_links_to_files_only)
{
    char root[TEST_PATH], link[TEST_PATH];
    struct arena arena;
    struct put_list list;
    struct err err = {0};
    arena_init(&arena);
    make_folders(root);
    test_path(link, "%s/train/a/link.jpg", root);
    ck_assert_int_eq(symlink("2.jpg", link), 0);
    test_path(link, "%s/train/a/loop", root);
    ck_assert_int_eq(symlink("..", link), 0);
    test_path(link, "%s/train/a/nowhere.jpg", root);
    ck_assert_int_eq(symlink("none", link), 0);
    ck_assert_int_eq(mkfifo(arena_printf(&arena, "%s/train/a/fifo.jpg", root), 0600), 0);
    ck_assert_int_eq(put_list_read(root, false, &arena, &list, &err), 0);
    ck_assert_uint_eq(list.n, 7);
    arena_fini(&arena);
}
END_TEST

/* A link that leads out of the folder is refused by its name; asked for, it is followed. */
START_TEST(links_out_are_asked_for)
{
    static const char *const targets[] = {"/etc/passwd", "../../../outside.jpg", "../a/2.jpg"};
    char root[TEST_PATH], link[TEST_PATH], path[TEST_PATH];
    struct arena arena;
    struct put_list list;
    arena_init(&arena);
    make_folders(root);
    live_text(&live, "outside.jpg", "outside", path);
    test_path(link, "%s/train/b/link.jpg", root);
    for (size_t i = 0; i < 3; i++) {
        struct err err = {0};
        ck_assert_int_eq(symlink(targets[i], link), 0);
        const int rc = put_list_read(root, false, &arena, &list, &err);
        ck_assert_int_eq(rc, i < 2 ? ERR_INVALID : 0);
        ck_assert(i == 2 || (strcmp(err.path, "train/b/link.jpg") == 0 &&
                             strstr(err.text, "--follow-links") != NULL));
        ck_assert_int_eq(put_list_read(root, true, &arena, &list, &err), 0);
        ck_assert_uint_eq(list.n, 7);
        ck_assert_int_eq(unlink(link), 0);
    }
    arena_fini(&arena);
}
END_TEST

START_TEST(knows_all_kinds)
{
    static const char *const kinds[] = {"csv", "tfrecord", "coco", "text", "audio", "saved"};
    char root[TEST_PATH];
    struct live_result r;
    make_folders(root);
    live_daemon(&live, NULL);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        live_run(&live, &r, "dataset", "put", kinds[i], root, "--kind", kinds[i], NULL);
        ck_assert_msg(r.status == 0 && strstr(r.out.data, kinds[i]) != NULL, "%s", r.err.data);
        live_free(&r);
    }
    live_run(&live, &r, "dataset", "put", "x", root, "--kind=tfrecords", NULL);
    ck_assert_msg(r.status != 0 && strstr(r.err.data, "did you mean 'tfrecord'?") != NULL, "%s",
                  r.err.data);
    live_free(&r);
    live_run(&live, &r, "dataset", "put", "x", root, "--kind=feed", NULL);
    ck_assert_int_ne(r.status, 0);
    live_free(&r);
}
END_TEST

START_TEST(shows_what_files_are)
{
    char root[TEST_PATH];
    struct live_result r;
    make_folders(root);
    live_daemon(&live, NULL);
    live_run(&live, &r, "dataset", "put", "set", root, NULL);
    live_free(&r);
    live_run(&live, &r, "dataset", "show", "set", NULL);
    ck_assert_msg(strstr(r.out.data, "4 .jpg") != NULL && strstr(r.out.data, "1 .md") != NULL &&
                      strstr(r.out.data, "classes    3 a, 2 b") != NULL &&
                      strstr(r.out.data, "largest") != NULL,
                  "%s", r.out.data);
    live_free(&r);
}
END_TEST

START_TEST(goes_round)
{
    char root[TEST_PATH];
    struct live_result r;
    make_folders(root);
    live_daemon(&live, NULL);
    live_run(&live, &r, "dataset", "put", "pictures", root, NULL);
    ck_assert_msg(r.status == 0, "%s", r.err.data);
    ck_assert_ptr_nonnull(strstr(r.out.data, "pictures  images, 6 files"));
    live_free(&r);
    live_run(&live, &r, "dataset", "list", NULL);
    ck_assert_ptr_nonnull(strstr(r.out.data, "pictures"));
    live_free(&r);
    live_run(&live, &r, "dataset", "show", "pictures", "--json", NULL);
    struct arena arena;
    struct doc *doc = NULL;
    arena_init(&arena);
    ck_assert_int_eq(doc_read_json(r.out.data, r.out.size, NULL, &arena, &doc, NULL), 0);
    ck_assert_int_eq(doc_int(doc, "files", 0), 6);
    ck_assert_str_eq(doc_str(doc, "kind", ""), "images");
    arena_fini(&arena);
    live_free(&r);
    live_run(&live, &r, "dataset", "verify", "pictures", NULL);
    ck_assert_int_eq(r.status, 0);
    ck_assert_ptr_nonnull(strstr(r.out.data, "0 damaged"));
    live_free(&r);
    live_run(&live, &r, "dataset", "remove", "pictures", NULL);
    ck_assert_int_eq(r.status, 0);
    live_free(&r);
    live_run(&live, &r, "dataset", "show", "pictures", NULL);
    ck_assert_int_eq(r.status, 3);
    ck_assert_ptr_nonnull(strstr(r.err.data, "pictures"));
    live_free(&r);
}
END_TEST

static void make_big(char path[TEST_PATH])
{
    unsigned char *bytes = malloc(BIG);
    struct rng rng;
    rng_init(&rng, 1, 2, 3, 4);
    for (size_t i = 0; i + 4 <= BIG; i += 4) {
        uint32_t word = rng_u32(&rng);
        memcpy(bytes + i, &word, 4);
    }
    live_file(&live, "big/train-images-idx3-ubyte", bytes, BIG, path);
    live_file(&live, "big/train-labels-idx1-ubyte", bytes, 1000, path);
    free(bytes);
    test_path(path, "%s/big", live.folder);
}

struct killer {
    int64_t at;
    bool done;
    int64_t acknowledged, kept, n_sent, n_lost;
};

/* In the middle of the upload the daemon dies and is started again. */
static void kill_daemon(void *context, const struct millrace_put_progress *progress)
{
    struct killer *killer = context;
    killer->n_lost += progress->stage == MILLRACE_PUT_LOST;
    if (progress->stage == MILLRACE_PUT_COMMIT) {
        killer->kept = progress->kept_bytes; /* of the last try */
    }
    if (progress->stage == MILLRACE_PUT_SEND) {
        killer->n_sent++;
        if (!killer->done && progress->done_bytes >= killer->at) {
            killer->done = true;
            killer->acknowledged = progress->done_bytes;
            live_kill(&live, SIGKILL);
            live_daemon(&live, NULL);
        }
    }
}

static int put_big(const char *path, millrace_put_fn *progress, void *context, struct err *err)
{
    const struct millrace_options options = {.socket = live.run_dir};
    const struct millrace_put put = {
        .name = "big", .kind = "auto", .path = path, .progress = progress, .context = context};
    struct millrace *m = NULL;
    struct arena arena;
    const struct doc *answer = NULL;
    arena_init(&arena);
    int rc = millrace_open(&options, &m, err);
    rc = rc < 0 ? rc : millrace_put(m, &put, &arena, &answer, err);
    if (rc == 0) {
        ck_assert_int_eq(doc_int(answer, "bytes", 0), BIG + 1000);
    }
    millrace_close(m);
    arena_fini(&arena);
    return rc;
}

static void verify_big(void)
{
    struct live_result r;
    live_run(&live, &r, "dataset", "verify", "big", NULL);
    ck_assert_msg(r.status == 0 && strstr(r.out.data, "0 damaged") != NULL, "%s%s", r.out.data,
                  r.err.data);
    live_free(&r);
}

START_TEST(survives_the_daemon)
{
    char path[TEST_PATH];
    struct err err = {0};
    struct killer killer = {.at = BIG / 2};
    make_big(path);
    live_daemon(&live, NULL);
    int rc = put_big(path, kill_daemon, &killer, &err);
    ck_assert_msg(rc == 0, "%s", err.text);
    ck_assert(killer.done);
    ck_assert_int_ge(killer.n_lost, 1);
    ck_assert_int_ge(killer.kept, killer.acknowledged);
    verify_big();
}
END_TEST

static void die(void *context, const struct millrace_put_progress *progress)
{
    (void)context;
    if (progress->stage == MILLRACE_PUT_SEND && progress->done_bytes >= BIG / 2) {
        raise(SIGKILL);
    }
}

START_TEST(goes_on_after_the_client)
{
    char path[TEST_PATH];
    struct err err = {0};
    struct killer killer = {.done = true};
    int status = 0;
    make_big(path);
    live_daemon(&live, NULL);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        put_big(path, die, NULL, NULL);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status));
    int rc = put_big(path, kill_daemon, &killer, &err);
    ck_assert_msg(rc == 0, "%s", err.text);
    ck_assert_int_ge(killer.kept, BIG / 2);
    verify_big();
}
END_TEST

START_TEST(sends_nothing_twice)
{
    char path[TEST_PATH];
    struct err err = {0};
    struct killer killer = {.done = true};
    make_big(path);
    live_daemon(&live, NULL);
    ck_assert_int_eq(put_big(path, NULL, NULL, &err), 0);
    ck_assert_int_eq(put_big(path, kill_daemon, &killer, &err), 0);
    ck_assert_int_eq(killer.n_sent, 0);
    ck_assert_int_eq(killer.kept, BIG + 1000);
}
END_TEST

struct wake {
    int fd;
};
static void wake_up(void *context, const struct millrace_put_progress *progress)
{
    const struct wake *wake = context;
    if (progress->stage == MILLRACE_PUT_SEND) {
        ck_assert_int_eq(write(wake->fd, "x", 1), 1);
    }
}

START_TEST(can_be_interrupted)
{
    char path[TEST_PATH];
    int pipe_fd[2];
    struct err err = {0};
    struct millrace *m = NULL;
    struct arena arena;
    ck_assert_int_eq(pipe2(pipe_fd, O_CLOEXEC), 0);
    struct wake wake = {.fd = pipe_fd[1]};
    const struct millrace_options options = {.socket = live.run_dir, .wake_fd = pipe_fd[0]};
    make_big(path);
    live_daemon(&live, NULL);
    const struct millrace_put put = {
        .name = "big", .path = path, .progress = wake_up, .context = &wake};
    arena_init(&arena);
    ck_assert_int_eq(millrace_open(&options, &m, &err), 0);
    ck_assert_int_eq(millrace_put(m, &put, &arena, NULL, &err), ERR_INTERRUPTED);
    millrace_close(m);
    arena_fini(&arena);
}
END_TEST

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { IS_SANITIZED = 1 }; /* memory is the sanitizer's, not ours */
#else
enum { IS_SANITIZED = 0 };
#endif

/* A line of /proc/PID/status, in bytes. */
static int64_t memory(const char *line)
{
    char path[64];
    struct buf text = {0};
    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)live.pid);
    ck_assert_int_ge(file_read(AT_FDCWD, path, 65536, &text, NULL), 0);
    const char *at = strstr(text.data, line);
    ck_assert_ptr_nonnull(at);
    const int64_t kib = strtol(at + strlen(line), NULL, 10);
    buf_fini(&text);
    return kib * 1024;
}

static void forget_peak(void)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/clear_refs", (int)live.pid);
    int fd = open(path, O_WRONLY);
    ck_assert(fd >= 0 && write(fd, "5", 1) == 1);
    close(fd);
}

/* However many files: looking at a data set and removing it take a window of the daemon's
 * memory. As a document the list of 50,000 files took 35 MB. */
START_TEST(long_lists_are_read_by_the_window)
{
    enum { N = 10000, MOST = 4 << 20 };
    static const char *const acts[][2] = {{"verify", "many"}, {"show", "many"}, {"remove", "many"}};
    char name[64], path[TEST_PATH];
    for (int i = 0; i < N; i++) {
        (void)snprintf(name, sizeof(name), "many/%02d/%05d.jpg", i % 100, i);
        live_text(&live, name, name, path);
    }
    test_path(path, "%s/many", live.folder);
    live_daemon(&live, NULL);
    struct live_result r;
    live_run(&live, &r, "dataset", "put", "many", path, NULL);
    ck_assert_msg(r.status == 0, "%s", r.err.data);
    live_free(&r);
    for (size_t i = 0; i < 3; i++) {
        const int64_t before = memory("VmRSS:");
        forget_peak();
        live_run(&live, &r, "dataset", acts[i][0], acts[i][1], NULL);
        ck_assert_msg(r.status == 0, "%s", r.err.data);
        live_free(&r);
        live_run(&live, &r, "dataset", "gc", NULL); /* behind the files that go */
        live_free(&r);
        const int64_t growth = memory("VmHWM:") - before;
        printf("# %s: %lld KiB more\n", acts[i][0], (long long)growth / 1024);
        ck_assert_msg(IS_SANITIZED || growth < MOST, "%s: %lld bytes more", acts[i][0],
                      (long long)growth);
    }
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("dataset");
    TCase *tcase = tcase_create("dataset");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, lists_in_byte_order);
    tcase_add_test(tcase, follows_links_to_files_only);
    tcase_add_test(tcase, links_out_are_asked_for);
    tcase_add_test(tcase, knows_all_kinds);
    tcase_add_test(tcase, shows_what_files_are);
    tcase_add_test(tcase, long_lists_are_read_by_the_window);
    tcase_add_test(tcase, goes_round);
    tcase_add_test(tcase, survives_the_daemon);
    tcase_add_test(tcase, goes_on_after_the_client);
    tcase_add_test(tcase, sends_nothing_twice);
    tcase_add_test(tcase, can_be_interrupted);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
