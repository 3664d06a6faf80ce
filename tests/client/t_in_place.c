/* Data sets whose files are not copied, against a real daemon: the same batches as when they are,
 * every change found, nothing of the user's touched, nobody's rights widened. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/millrace.h"
#include "tests/client/pictures.h"

enum { EACH = 4, NOBODY = 65534 };

static struct live live;
static char root[TEST_PATH];

static bool has_programs(void)
{
    if (live_has("trainer/millrace-trainer") && live_has("workers/millrace-worker")) {
        return true;
    }
    test_skip("no trainer");
    return false;
}

static void start(const char *more)
{
    char roots[TEST_PATH + 32];
    live_start(&live);
    test_path(root, "%s/data", live.folder);
    (void)snprintf(roots, sizeof(roots), "--in-place-roots=%s", root);
    const char *const extra[] = {roots, more, NULL};
    ck_assert_int_eq(mkdir(root, 0755), 0);
    live_daemon(&live, extra);
}

static void put(const char *name, const char *folder, int status, const char *say)
{
    char path[TEST_PATH];
    struct live_result r;
    test_path(path, "%s/%s", live.folder, folder);
    live_run(&live, &r, "dataset", "put", name, path, "--in-place", NULL);
    ck_assert_msg(r.status == status && strstr(status == 0 ? r.out.data : r.err.data, say) != NULL,
                  "%d %s%s", r.status, r.out.data, r.err.data);
    live_free(&r);
}

/* ---- the same batches ---- */

START_TEST(gives_what_a_copy_gives)
{
    char copied[PICTURES_TENSORS], placed[PICTURES_TENSORS], path[TEST_PATH], out[TEST_PATH];
    char command[2 * TEST_PATH + 100];
    struct live_result r;
    if (!has_programs()) {
        return;
    }
    start(NULL);
    pictures_folder(&live, "data/pets", EACH);
    test_path(path, "%s/pets", root);
    test_path(out, "%s/out", live.folder);
    pictures_good(&live, "dataset", "put", "copied", path);
    put("placed", "data/pets", 0, "(not copied)");
    ck_assert(pictures_train(&live, "copied", copied, &r));
    ck_assert(pictures_train(&live, "placed", placed, &r));
    ck_assert_str_eq(copied, placed);
    pictures_good(&live, "dataset", "verify", "placed", NULL);
    pictures_good(&live, "dataset", "get", "placed", out);
    live_run(&live, &r, "predict", "job-placed", "--dataset=placed", "--rows=0,1", NULL);
    ck_assert_msg(r.status == 0, "%s", r.err.data);
    live_free(&r);
    (void)snprintf(command, sizeof(command), "diff -r %s/pets %s", root, out);
    ck_assert_int_eq(system(command), 0);
    /* After a restart too; then it goes, and the files stay. */
    live_kill(&live, SIGKILL);
    (void)snprintf(command, sizeof(command), "--in-place-roots=%s", root);
    const char *const extra[] = {command, NULL};
    live_daemon(&live, extra);
    ck_assert(pictures_train(&live, "placed", placed, &r));
    ck_assert_str_eq(copied, placed);
    pictures_good(&live, "dataset", "remove", "placed", NULL);
    pictures_good(&live, "dataset", "gc", "--days=0", NULL);
    (void)snprintf(command, sizeof(command), "diff -r %s/pets %s", root, out);
    ck_assert_int_eq(system(command), 0);
    live_stop(&live);
}
END_TEST

/* ---- changes ---- */

static void at(char path[TEST_PATH])
{
    test_path(path, "%s/pets/dog/02.bmp", root);
}

static void grow(void)
{
    char path[TEST_PATH];
    at(path);
    int fd = open(path, O_WRONLY | O_APPEND);
    ck_assert(fd >= 0 && write(fd, "x", 1) == 1);
    close(fd);
}

static void shrink(void)
{
    char path[TEST_PATH];
    at(path);
    ck_assert_int_eq(truncate(path, 60), 0);
}

/* Other bytes, as many: only the time tells. */
static void rewrite(void)
{
    char path[TEST_PATH];
    at(path);
    int fd = open(path, O_WRONLY);
    ck_assert(fd >= 0 && pwrite(fd, "other", 5, 100) == 5);
    close(fd);
}

/* Another file with the size and the time of the old one. */
static void replace(void)
{
    char path[TEST_PATH];
    struct stat st;
    at(path);
    ck_assert_int_eq(stat(path, &st), 0);
    const struct timespec times[2] = {st.st_mtim, st.st_mtim};
    pictures_write(&live, "data/new.bmp", 77);
    char new[TEST_PATH];
    test_path(new, "%s/new.bmp", root);
    ck_assert(utimensat(AT_FDCWD, new, times, 0) == 0 && rename(new, path) == 0);
}

static void lose(void)
{
    char path[TEST_PATH];
    at(path);
    ck_assert_int_eq(unlink(path), 0);
}

/* A link to a file of the same bytes outside the folder. */
static void lead_out(void)
{
    char path[TEST_PATH], outside[TEST_PATH];
    at(path);
    test_path(outside, "%s/secret.bmp", live.folder);
    ck_assert(rename(path, outside) == 0 && symlink(outside, path) == 0);
}

static void lead_folder_out(void)
{
    char path[TEST_PATH], outside[TEST_PATH];
    test_path(path, "%s/pets/dog", root);
    test_path(outside, "%s/secret", live.folder);
    ck_assert(rename(path, outside) == 0 && symlink(outside, path) == 0);
}

static void plug(void)
{
    char path[TEST_PATH];
    at(path);
    ck_assert(unlink(path) == 0 && mkfifo(path, 0644) == 0);
}

static const struct change {
    void (*make)(void);
    const char *say;
} changes[] = {
    {grow, "bytes now and had"},
    {shrink, "60 bytes now and had"},
    {rewrite, "was changed since"},
    {replace, "was replaced since"},
    {lose, "is gone since"},
    {lead_out, "cannot be read any more"},
    {lead_folder_out, "cannot be read any more"},
    {plug, "no regular file any more"},
};

START_TEST(a_change_is_a_bad_sample)
{
    const struct change *change = &changes[_i];
    char tensors[PICTURES_TENSORS], out[TEST_PATH];
    struct live_result r;
    if (!has_programs()) {
        return;
    }
    start(NULL);
    pictures_folder(&live, "data/pets", EACH);
    put("pets", "data/pets", 0, "in place");
    change->make();
    ck_assert(!pictures_train(&live, "pets", tensors, &r));
    ck_assert_msg(strstr(r.err.data, change->say) != NULL && strstr(r.err.data, "dog/0") != NULL,
                  "%s", r.err.data);
    live_free(&r);
    live_run(&live, &r, "dataset", "verify", "pets", NULL);
    ck_assert_msg(r.status != 0 && strstr(r.out.data, change->say) != NULL, "%s%s", r.out.data,
                  r.err.data);
    live_free(&r);
    test_path(out, "%s/out", live.folder);
    live_run(&live, &r, "dataset", "get", "pets", out, NULL);
    ck_assert_msg(r.status != 0 && strstr(r.err.data, change->say) != NULL, "%s%s", r.out.data,
                  r.err.data);
    live_free(&r);
    live_stop(&live);
}
END_TEST

/* The negative control: with size, time and inode forged the stamp sees nothing, so it is the stamp
 * that finds what the others do. The content id still tells. */
START_TEST(a_forged_stamp_is_seen_by_verify_only)
{
    char tensors[PICTURES_TENSORS], path[TEST_PATH];
    struct live_result r;
    struct stat st;
    if (!has_programs()) {
        return;
    }
    start(NULL);
    pictures_folder(&live, "data/pets", EACH);
    put("pets", "data/pets", 0, "in place");
    at(path);
    ck_assert_int_eq(stat(path, &st), 0);
    const struct timespec times[2] = {st.st_mtim, st.st_mtim};
    rewrite();
    ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
    ck_assert(pictures_train(&live, "pets", tensors, &r));
    live_run(&live, &r, "dataset", "verify", "pets", NULL);
    ck_assert_msg(r.status != 0 && strstr(r.out.data, "holds other bytes") != NULL, "%s",
                  r.out.data);
    live_free(&r);
    live_stop(&live);
}
END_TEST

/* ---- refusals ---- */

START_TEST(refuses_other_folders_and_links)
{
    char path[TEST_PATH], target[TEST_PATH];
    start(NULL);
    pictures_folder(&live, "elsewhere/pets", 1);
    pictures_folder(&live, "data/pets", 1);
    pictures_folder(&live, "database/pets", 1); /* its name begins as the root's */
    put("x", "elsewhere/pets", 1, "in_place_roots names other folders");
    put("x", "database/pets", 1, "in_place_roots names other folders");
    put("x", "data/../elsewhere/pets", 1, "in_place_roots");
    test_path(path, "%s/way", root);
    test_path(target, "%s/elsewhere", live.folder);
    ck_assert_int_eq(symlink(target, path), 0);
    put("x", "data/way/pets", 1, "in_place_roots");
    test_path(path, "%s/pets/cat/link.bmp", root);
    ck_assert_int_eq(symlink("/etc/passwd", path), 0);
    put("x", "data/pets", 2, "cat/link.bmp");
    ck_assert_int_eq(unlink(path), 0);
    test_path(path, "%s/pets/link", root);
    ck_assert_int_eq(symlink(target, path), 0);
    put("x", "data/pets", 2, "link");
    ck_assert_int_eq(unlink(path), 0);
    put("x", "data/pets", 0, "in place");
    put("x", "data/none", 3, "none");
    live_stop(&live);
}
END_TEST

START_TEST(is_off_by_default)
{
    live_start(&live);
    test_path(root, "%s/data", live.folder);
    live_daemon(&live, NULL);
    pictures_folder(&live, "data/pets", 1);
    put("x", "data/pets", 1, "in_place_roots is empty");
    live_stop(&live);
}
END_TEST

/* A root that is taken out of the settings is closed to what was registered below it, too. */
START_TEST(a_root_that_is_gone_closes)
{
    char tensors[PICTURES_TENSORS];
    struct live_result r;
    if (!has_programs()) {
        return;
    }
    start(NULL);
    pictures_folder(&live, "data/pets", 1);
    put("pets", "data/pets", 0, "in place");
    live_kill(&live, SIGTERM);
    live_daemon(&live, NULL);
    ck_assert(!pictures_train(&live, "pets", tensors, &r));
    ck_assert_msg(strstr(r.err.data, "in_place_roots is empty") != NULL, "%s", r.err.data);
    live_free(&r);
    live_stop(&live);
}
END_TEST

/* ---- another user ---- */

static void put_as_nobody(const char *folder, struct err *ret)
{
    int fds[2], status = 0;
    ck_assert_int_eq(pipe(fds), 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        const struct millrace_options options = {.socket = live.run_dir};
        const struct millrace_put wanted = {
            .name = "x", .path = folder, .kind = "auto", .in_place = true};
        struct millrace *m = NULL;
        struct err err = {0};
        const struct doc *answer = NULL;
        struct arena arena;
        arena_init(&arena);
        int rc = setgid(NOBODY) != 0 || setuid(NOBODY) != 0 ? ERR_DENIED : 0;
        rc = rc < 0 ? rc : millrace_open(&options, &m, &err);
        rc = rc < 0 ? rc : millrace_put(m, &wanted, &arena, &answer, &err);
        err.code = rc;
        _exit(write(fds[1], &err, sizeof(err)) == (ssize_t)sizeof(err) ? 0 : 1);
    }
    close(fds[1]);
    ck_assert_int_eq(read(fds[0], ret, sizeof(*ret)), (int)sizeof(*ret));
    close(fds[0]);
    ck_assert(waitpid(pid, &status, 0) == pid && status == 0);
}

START_TEST(does_not_widen_rights)
{
    static const struct {
        const char *path; /* below the root, or "" */
        mode_t mode;
        int code;
    } cases[] = {
        {"pets/cat/00.bmp", 0644, 0},
        {"pets/cat/00.bmp", 0600, ERR_DENIED},
        {"pets/cat/00.bmp", 0604, ERR_DENIED},
        {"pets/cat/00.bmp", 0640, ERR_DENIED},
        {"pets/cat", 0700, ERR_DENIED},
        {"pets/cat", 0711, ERR_DENIED},
        {"pets", 0700, ERR_DENIED},
        {"", 0700, ERR_DENIED},
        {"", 0711, 0},
    };
    if (geteuid() != 0) {
        test_skip("needs root");
        return;
    }
    umask(022);
    start("--allow-uids=65534");
    ck_assert_int_eq(chmod(live.folder, 0755), 0);
    ck_assert_int_eq(chmod(live.run_dir, 0755), 0);
    pictures_folder(&live, "data/pets", 1);
    char command[2 * TEST_PATH + 100], folder[TEST_PATH];
    test_path(folder, "%s/pets", root);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char path[TEST_PATH];
        struct err err;
        (void)snprintf(command, sizeof(command), "chmod -R a+rX %s && chmod 755 %s", root, root);
        ck_assert_int_eq(system(command), 0);
        test_path(path, "%s/%s", root, cases[i].path);
        ck_assert_int_eq(chmod(path, cases[i].mode), 0);
        put_as_nobody(folder, &err);
        ck_assert_msg(err.code == cases[i].code, "%s %o: %d %s: %s", cases[i].path, cases[i].mode,
                      err.code, err.path, err.text);
    }
    live_stop(&live);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("in_place");
    TCase *tcase = tcase_create("in_place");
    signal(SIGPIPE, SIG_IGN);
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, gives_what_a_copy_gives);
    tcase_add_loop_test(tcase, a_change_is_a_bad_sample, 0,
                        (int)(sizeof(changes) / sizeof(changes[0])));
    tcase_add_test(tcase, a_forged_stamp_is_seen_by_verify_only);
    tcase_add_test(tcase, refuses_other_folders_and_links);
    tcase_add_test(tcase, is_off_by_default);
    tcase_add_test(tcase, a_root_that_is_gone_closes);
    tcase_add_test(tcase, does_not_widen_rights);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
