#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/test.h"

/* The linker sends these calls here (--wrap), so that the n-th of them can fail. */
static int fail_fsync_at, fail_rename_at, n_fsyncs, n_renames;
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to);

int __wrap_fsync(int fd)
{
    if (++n_fsyncs == fail_fsync_at) {
        errno = EIO;
        return -1;
    }
    return __real_fsync(fd);
}

int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    if (++n_renames == fail_rename_at) {
        errno = ENOSPC;
        return -1;
    }
    return __real_renameat(from_fd, from, to_fd, to);
}

static char dir[TEST_PATH];
static int dir_fd;
static struct err err;

static void setup(void)
{
    test_dir_make(dir);
    dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(dir_fd, 0);
    fail_fsync_at = fail_rename_at = n_fsyncs = n_renames = 0;
    memset(&err, 0, sizeof(err));
}

static void teardown(void)
{
    (void)close(dir_fd);
    test_dir_remove(dir);
}

static int n_entries(int fd)
{
    int n = 0;
    DIR *list = fdopendir(openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    ck_assert_ptr_nonnull(list);
    for (struct dirent *entry = readdir(list); entry; entry = readdir(list)) {
        n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    }
    (void)closedir(list);
    return n;
}

static void expect_content(int fd, const char *name, const char *want)
{
    struct buf out = {0};
    ck_assert_int_eq(file_read(fd, name, 1 << 20, &out, &err), 0);
    ck_assert_str_eq(out.data, want);
    buf_fini(&out);
}

START_TEST(test_write_and_replace)
{
    ck_assert_int_eq(file_write_atomic(dir_fd, "x", "one", 3, &err), 0);
    expect_content(dir_fd, "x", "one");
    ck_assert_int_eq(n_fsyncs, 2); /* the file, then the folder */
    ck_assert_int_eq(file_write_atomic(dir_fd, "x", "", 0, &err), 0);
    expect_content(dir_fd, "x", "");
    ck_assert_int_eq(n_entries(dir_fd), 1);
}
END_TEST

/* Each of the calls fails once: the old file stays and nothing is left beside it. */
static const struct {
    int fsync_at, rename_at, code;
    bool is_replaced;
} faults[] = {
    {1, 0, ERR_IO, false},
    {0, 1, ERR_NO_SPACE, false},
    {2, 0, ERR_IO, true}, /* the rename is done; only its durability is not known */
};

START_TEST(test_faults)
{
    ck_assert_int_eq(file_write_atomic(dir_fd, "x", "old", 3, &err), 0);
    n_fsyncs = n_renames = 0;
    fail_fsync_at = faults[_i].fsync_at;
    fail_rename_at = faults[_i].rename_at;
    ck_assert_int_eq(file_write_atomic(dir_fd, "x", "new", 3, &err), faults[_i].code);
    ck_assert_int_le(n_fsyncs, 2); /* never retried */
    expect_content(dir_fd, "x", faults[_i].is_replaced ? "new" : "old");
    ck_assert_int_eq(n_entries(dir_fd), 1);
}
END_TEST

static void write_beyond_limit(void *arg)
{
    struct rlimit limit = {.rlim_cur = 1000, .rlim_max = 1000};
    static char data[4000];
    (void)arg;
    (void)signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) < 0) {
        _exit(10);
    }
    if (file_write_atomic(dir_fd, "x", data, sizeof(data), &err) != ERR_NO_SPACE) {
        _exit(11);
    }
    struct file_atomic file;
    if (file_atomic_open(&file, dir_fd, "y", sizeof(data), &err) != ERR_NO_SPACE || file.fd != -1) {
        _exit(12);
    }
    file_atomic_abort(&file);
    if (file_write_atomic(dir_fd, "z", data, 1000, &err) != 0) {
        _exit(13);
    }
}

START_TEST(test_file_limit)
{
    ck_assert_int_eq(file_write_atomic(dir_fd, "x", "old", 3, &err), 0);
    ck_assert_int_eq(test_in_child(write_beyond_limit, NULL), 0);
    expect_content(dir_fd, "x", "old");
    ck_assert_int_eq(n_entries(dir_fd), 2);
}
END_TEST

enum { NO_MOUNT = 77 };

static void write_to_full_disk(void *arg)
{
    const char *path = arg;
    static char data[300000];
    memset(data, 'x', sizeof(data));
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", path, "tmpfs", 0, "size=256k") < 0) {
        _exit(NO_MOUNT);
    }
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file_write_atomic(fd, "x", "old", 3, &err) != 0) {
        _exit(10);
    }
    if (file_write_atomic(fd, "x", data, sizeof(data), &err) != ERR_NO_SPACE ||
        n_entries(fd) != 1) {
        _exit(11);
    }
    struct file_atomic file;
    if (file_atomic_open(&file, fd, "y", sizeof(data), &err) != ERR_NO_SPACE ||
        n_entries(fd) != 1) {
        _exit(12);
    }
    struct buf out = {0};
    if (file_read(fd, "x", 100, &out, &err) != 0 || strcmp(out.data, "old") != 0) {
        _exit(13);
    }
    buf_fini(&out);
    if (file_write_atomic(fd, "x", data, 100000, &err) != 0) {
        _exit(14);
    }
}

START_TEST(test_full_disk)
{
    int r = test_in_child(write_to_full_disk, dir);
    if (r == NO_MOUNT) {
        test_skip("no right to mount a small tmpfs");
        return;
    }
    ck_assert_int_eq(r, 0);
}
END_TEST

START_TEST(test_abort)
{
    struct file_atomic file;
    ck_assert_int_eq(file_atomic_open(&file, dir_fd, "x", 5000, &err), 0);
    struct stat st;
    ck_assert_int_eq(fstat(file.fd, &st), 0);
    ck_assert_int_ge(st.st_blocks * 512, 5000);
    ck_assert_int_eq(n_entries(dir_fd), 1);
    file_atomic_abort(&file);
    file_atomic_abort(&file);
    file_atomic_abort(NULL);
    ck_assert_int_eq(n_entries(dir_fd), 0);
}
END_TEST

START_TEST(test_bad_names)
{
    char name[300];
    memset(name, 'x', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    ck_assert_int_eq(file_write_atomic(dir_fd, "", "x", 1, &err), ERR_INVALID);
    ck_assert_int_eq(file_write_atomic(dir_fd, "a/b", "x", 1, &err), ERR_INVALID);
    ck_assert_int_eq(file_write_atomic(dir_fd, name, "x", 1, &err), ERR_INVALID);
    ck_assert_int_eq(file_write_atomic(-1, "x", "x", 1, &err), ERR_IO);
}
END_TEST

START_TEST(test_read)
{
    struct buf out = {0};
    ck_assert_int_eq(file_write_atomic(dir_fd, "x", "0123456789", 10, &err), 0);
    ck_assert_int_eq(file_read(dir_fd, "x", 10, &out, &err), 0);
    ck_assert_str_eq(out.data, "0123456789");
    buf_clear(&out);
    ck_assert_int_eq(file_read(dir_fd, "x", 9, &out, &err), ERR_LIMIT);
    ck_assert_ptr_nonnull(strstr(err.text, "'x': more than 9 bytes"));
    ck_assert_int_eq(file_read(dir_fd, "none", 9, &out, &err), ERR_NOT_FOUND);
    ck_assert_int_eq(file_read(dir_fd, ".", 9, &out, &err), ERR_IO);
    buf_fini(&out);
    int fd = openat(dir_fd, "x", O_RDWR | O_CLOEXEC);
    char data[20] = "";
    ck_assert_int_eq(file_pread(fd, data, 4, 3, &err), 4);
    ck_assert_str_eq(data, "3456");
    ck_assert_int_eq(file_pread(fd, data, 20, 8, &err), 2);
    ck_assert_int_eq(file_pread(fd, data, 20, 50, &err), 0);
    ck_assert_int_eq(file_pwrite_all(fd, "ab", 2, 4, &err), 0);
    expect_content(dir_fd, "x", "0123ab6789");
    (void)close(fd);
    ck_assert_int_eq(file_pread(fd, data, 4, 0, &err), ERR_IO);
    ck_assert_int_eq(file_write_all(fd, "x", 1, &err), ERR_IO);
    ck_assert_int_eq(file_pwrite_all(fd, "x", 1, 0, &err), ERR_IO);
}
END_TEST

START_TEST(test_make_dirs)
{
    char path[TEST_PATH];
    struct stat st;
    test_path(path, "%s/a/b//c/", dir);
    ck_assert_int_eq(file_make_dirs(path, &err), 0);
    ck_assert_int_eq(file_make_dirs(path, &err), 0);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_mode & 0777, 0700);
    ck_assert_int_eq(file_write_atomic(dir_fd, "file", "x", 1, &err), 0);
    test_path(path, "%s/file/b", dir);
    ck_assert_int_lt(file_make_dirs(path, &err), 0);
    test_path(path, "%s/file", dir);
    ck_assert_int_lt(file_make_dirs(path, &err), 0);
}
END_TEST

START_TEST(test_sweep)
{
    pid_t pid = fork();
    if (pid == 0) {
        _exit(0);
    }
    (void)waitpid(pid, NULL, 0);
    struct file_atomic file;
    char name[64];
    (void)snprintf(name, sizeof(name), ".x.%ld.0.tmp", (long)pid);
    static const char *const kept[] = {"x",          ".x.tmp",    ".x.0.tmp",
                                       ".x.y.0.tmp", ".1.1.tmp2", ".tmp"};
    ck_assert_int_eq(file_write_atomic(dir_fd, name, "x", 1, &err), 0);
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        ck_assert_int_eq(file_write_atomic(dir_fd, kept[i], "x", 1, &err), 0);
    }
    ck_assert_int_eq(file_atomic_open(&file, dir_fd, "mine", 0, &err), 0);
    ck_assert_int_eq(n_entries(dir_fd), 8);
    ck_assert_int_eq(file_sweep(dir_fd, &err), 0);
    ck_assert_int_eq(n_entries(dir_fd), 7);
    ck_assert_int_lt(faccessat(dir_fd, name, F_OK, 0), 0);
    file_atomic_abort(&file);
    ck_assert_int_lt(file_sweep(-1, &err), 0);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("file");
    TCase *cases = tcase_create("file");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, test_write_and_replace);
    tcase_add_loop_test(cases, test_faults, 0, sizeof(faults) / sizeof(faults[0]));
    tcase_add_test(cases, test_file_limit);
    tcase_add_test(cases, test_full_disk);
    tcase_add_test(cases, test_abort);
    tcase_add_test(cases, test_bad_names);
    tcase_add_test(cases, test_read);
    tcase_add_test(cases, test_make_dirs);
    tcase_add_test(cases, test_sweep);
    suite_add_tcase(suite, cases);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
