#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

int test_main(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

const char *test_source_root(void)
{
    return TEST_SOURCE_ROOT;
}

const char *test_build_root(void)
{
    const char *root = getenv("TEST_BUILD_ROOT");
    return root ? root : TEST_SOURCE_ROOT "/build";
}

const char *test_shared(void)
{
    const char *given = getenv("MILLRACE_SHARED");
    const char *path = given ? given : TEST_SOURCE_ROOT "/../shared";
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? path : NULL;
}

__attribute__((format(printf, 1, 0))) static void say_skip(const char *format, va_list args)
{
    char why[256];
    (void)vsnprintf(why, sizeof(why), format, args);
    printf("SKIP: %s\n", why);
    (void)fflush(stdout);
}

void test_skip(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say_skip(format, args);
    va_end(args);
}

void test_skip_all(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say_skip(format, args);
    va_end(args);
    exit(77);
}

void test_path(char path[TEST_PATH], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(path, TEST_PATH, format, args);
    va_end(args);
    ck_assert_int_ge(n, 0);
    ck_assert_int_lt(n, TEST_PATH);
}

void test_dir_make(char path[TEST_PATH])
{
    const char *base = getenv("TMPDIR");
    test_path(path, "%s/millrace-test-XXXXXX", base ? base : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(path));
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

void test_dir_remove(const char *path)
{
    (void)nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

int64_t test_patience_us(int ms)
{
    const char *given = getenv("CK_TIMEOUT_MULTIPLIER");
    double times = given != NULL ? strtod(given, NULL) : 1.0;
    return (int64_t)((double)ms * 1000.0 * (times > 1.0 ? times : 1.0));
}

int64_t test_cpu_us(void)
{
    struct timespec now;
    ck_assert_int_eq(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now), 0);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

bool test_wait(bool (*ready)(void *arg), void *arg, int timeout_ms)
{
    int64_t deadline = clock_us() + test_patience_us(timeout_ms);
    const struct timespec pause = {.tv_nsec = 1000000};
    while (!ready(arg)) {
        if (clock_us() >= deadline) {
            return false;
        }
        (void)nanosleep(&pause, NULL);
    }
    return true;
}

int test_in_child(void (*action)(void *arg), void *arg)
{
    (void)fflush(NULL);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        (void)dup2(null, STDERR_FILENO);
        action(arg);
        _exit(0);
    }
    int status = 0;
    while (waitpid(pid, &status, 0) < 0) {
        ck_assert_int_eq(errno, EINTR);
    }
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}
