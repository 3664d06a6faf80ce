/* test - what every test program needs: a main, the shared material, temporary folders, waiting.
 *
 * Owns:     nothing but the folders it makes.
 * Threads:  one at a time.
 * Errors:   a helper that cannot do its work fails the test.
 * Lifetime: the test program's.
 *
 * A file ends with `int main(void) { return test_main(make_suite()); }`.
 */
#ifndef TESTS_TEST_H
#define TESTS_TEST_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Runs the suite and prints check's summary, which ./dev counts. Exit status for main. */
int test_main(Suite *suite);

/* The repository and the build folder ($TEST_BUILD_ROOT). */
const char *test_source_root(void);
const char *test_build_root(void);
/* The folder `shared` beside the repository, or $MILLRACE_SHARED; NULL without it. */
const char *test_shared(void);

/* Says that this one case is skipped and why; the caller returns. ./dev counts the line. */
void test_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Leaves the test function when there is no shared folder. */
#define TEST_NEED_SHARED(var)                            \
    const char *var = test_shared();                     \
    if (!var) {                                          \
        test_skip("no ../shared beside the repository"); \
        return;                                          \
    }
/* A whole program that cannot run here: prints why and exits with 77. */
_Noreturn void test_skip_all(const char *format, ...) __attribute__((format(printf, 1, 2)));

enum { TEST_PATH = 512 };
/* A new folder under $TMPDIR; remove takes all that is in it. */
void test_dir_make(char path[TEST_PATH]);
void test_dir_remove(const char *path);
/* snprintf into a path that must fit. */
void test_path(char path[TEST_PATH], const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Patience with another process: stretched by $CK_TIMEOUT_MULTIPLIER, as check's own limits are. */
int64_t test_patience_us(int ms);
/* The processor time that this process has had: for bounds on work, which other load does not
 * touch. */
int64_t test_cpu_us(void);
/* Asks `ready` until it says yes or that patience ends; false then. */
bool test_wait(bool (*ready)(void *arg), void *arg, int timeout_ms);

/* Runs `action(arg)` in a child; its signal (negative) or exit status. Standard error of the child
 * is dropped. */
int test_in_child(void (*action)(void *arg), void *arg);

#endif
