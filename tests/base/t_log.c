#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/doc.h"
#include "base/file.h"
#include "base/log.h"
#include "tests/test.h"

static struct buf out;
static int pipe_fds[2];

static void setup(void)
{
    buf_init(&out);
    ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK), 0);
}

static void teardown(void)
{
    buf_fini(&out);
    (void)close(pipe_fds[0]);
    (void)close(pipe_fds[1]);
}

static const char *written(void)
{
    char data[65536];
    ssize_t n = read(pipe_fds[0], data, sizeof(data));
    buf_clear(&out);
    buf_put(&out, data, n > 0 ? (size_t)n : 0);
    return out.data;
}

START_TEST(test_text)
{
    struct log log;
    log_init(&log, "millraced", pipe_fds[1], LOG_LEVEL_INFO, LOG_FORM_TEXT);
    log_put(&log, LOG_LEVEL_INFO, "worker started", LOG_NUMBER("pid", 12), LOG_TEXT("job", "a b"),
            LOG_TEXT("path", "/x-1"));
    ck_assert_str_eq(written() + 8,
                     " info    millraced: worker started pid=12 job=\"a b\" path=/x-1\n");
    log_put(&log, LOG_LEVEL_DEBUG, "not shown");
    ck_assert_str_eq(written(), "");
    log_put(&log, LOG_LEVEL_ERROR, "no fields");
    ck_assert_str_eq(written() + 8, " error   millraced: no fields\n");
}
END_TEST

START_TEST(test_journal)
{
    struct log log;
    log_init(&log, "millraced", pipe_fds[1], LOG_LEVEL_DEBUG, LOG_FORM_JOURNAL);
    log_put(&log, LOG_LEVEL_WARNING, "slow", LOG_NUMBER("ms", -5));
    ck_assert_str_eq(written(), "<4>slow ms=-5\n");
}
END_TEST

/* What a hostile name could hold; the line must stay one line of JSON and of text. */
static const char *const hostile[] = {
    "a\nb",
    "\x1b[31mred\x1b[0m",
    "quote\" and back\\slash",
    "\r\b\a\x7f",
    ("\xC2\x9B"
     "31m"),
    "\xFF\xFE",
    "\xE2\x82",
    "caf\xC3\xA9 \xE2\x82\xAC",
    "\xED\xA0\x80",
    "\xF0\x9F\x98\x80",
    "\xF5\x80\x80\x80",
    "\xC0\xAF",
    "",
    "=",
    "\",\"level\":\"error",
};

START_TEST(test_hostile)
{
    static const enum log_form forms[] = {LOG_FORM_TEXT, LOG_FORM_JSON, LOG_FORM_JOURNAL};
    for (size_t i = 0; i < 3; i++) {
        struct log log;
        log_init(&log, "p", pipe_fds[1], LOG_LEVEL_DEBUG, forms[i]);
        log_put(&log, LOG_LEVEL_INFO, hostile[_i], LOG_TEXT("name", hostile[_i]),
                LOG_NUMBER("after", 1));
        const char *line = written();
        size_t n = strlen(line);
        ck_assert_ptr_eq(strchr(line, '\n'), line + n - 1);
        for (size_t k = 0; k + 1 < n; k++) {
            ck_assert_int_ge((unsigned char)line[k], 0x20);
            ck_assert_int_ne(line[k], 0x7F);
        }
        if (forms[i] == LOG_FORM_JSON) {
            struct arena arena = {0};
            struct doc *doc = NULL;
            struct err err;
            ck_assert_msg(doc_read_json(line, n, NULL, &arena, &doc, &err) == 0, "%s: %s", line,
                          err.text);
            ck_assert_str_eq(doc_str(doc, "level", ""), "info");
            ck_assert_int_eq(doc_int(doc, "after", 0), 1);
            ck_assert_ptr_nonnull(doc_get(doc, "name"));
            arena_fini(&arena);
        }
    }
}
END_TEST

START_TEST(test_long)
{
    char *text = malloc(100001);
    struct log log;
    memset(text, _i == 0 ? 'x' : '\x01', 100000);
    text[100000] = '\0';
    log_init(&log, "p", pipe_fds[1], LOG_LEVEL_DEBUG, LOG_FORM_JSON);
    log_put(&log, LOG_LEVEL_INFO, text, LOG_TEXT("a", text), LOG_TEXT("b", text),
            LOG_TEXT("c", text), LOG_TEXT("d", text));
    struct arena arena = {0};
    struct doc *doc = NULL;
    const char *line = written();
    ck_assert_int_eq(doc_read_json(line, strlen(line), NULL, &arena, &doc, NULL), 0);
    ck_assert_ptr_nonnull(strstr(doc_str(doc, "message", ""), "..."));
    ck_assert_uint_lt(strlen(line), 16385);
    arena_fini(&arena);
    log.form = LOG_FORM_TEXT;
    log_put(&log, LOG_LEVEL_INFO, text, LOG_TEXT("a", text), LOG_TEXT("b", text),
            LOG_TEXT("c", text), LOG_TEXT("d", text), LOG_TEXT("e", text), LOG_TEXT("f", text),
            LOG_TEXT("g", text));
    line = written();
    ck_assert_uint_lt(strlen(line), 16385);
    ck_assert_int_eq(line[strlen(line) - 1], '\n');
    free(text);
}
END_TEST

START_TEST(test_full_pipe)
{
    struct log log;
    log_init(&log, "p", pipe_fds[1], LOG_LEVEL_DEBUG, LOG_FORM_JSON);
    for (int i = 0; i < 10000 && log.n_dropped == 0; i++) {
        log_put(&log, LOG_LEVEL_INFO, "filling");
    }
    ck_assert_uint_gt(log.n_dropped, 0);
}
END_TEST

START_TEST(test_auto)
{
    struct log log;
    struct stat st;
    char stream[64];
    (void)unsetenv("JOURNAL_STREAM");
    log_init(&log, "p", pipe_fds[1], LOG_LEVEL_INFO, LOG_FORM_AUTO);
    ck_assert_int_eq(log.form, LOG_FORM_JSON);
    ck_assert_int_eq(fstat(pipe_fds[1], &st), 0);
    (void)snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
                   (unsigned long long)st.st_ino);
    (void)setenv("JOURNAL_STREAM", stream, 1);
    log_init(&log, "p", pipe_fds[1], LOG_LEVEL_INFO, LOG_FORM_AUTO);
    ck_assert_int_eq(log.form, LOG_FORM_JOURNAL);
    (void)setenv("JOURNAL_STREAM", "1:1", 1);
    log_init(&log, "p", pipe_fds[1], LOG_LEVEL_INFO, LOG_FORM_AUTO);
    ck_assert_int_eq(log.form, LOG_FORM_JSON);
}
END_TEST

START_TEST(test_err)
{
    struct log log;
    struct err err;
    log_init(&log, "p", pipe_fds[1], LOG_LEVEL_INFO, LOG_FORM_JOURNAL);
    err_set_at(&err, ERR_RANGE, "a.b", "7 is too much");
    log_err(&log, LOG_LEVEL_ERROR, "refused", &err);
    ck_assert_str_eq(written(), "<3>refused error=range path=a.b reason=\"7 is too much\"\n");
}
END_TEST

enum { THREADS = 4, LINES = 500 };

static void *write_lines(void *arg)
{
    for (int i = 0; i < LINES; i++) {
        log_put(arg, LOG_LEVEL_INFO, "a line that must stay whole", LOG_NUMBER("i", i));
    }
    return NULL;
}

START_TEST(test_threads)
{
    char dir[TEST_PATH], path[TEST_PATH];
    pthread_t threads[THREADS];
    struct log log;
    struct err err;
    test_dir_make(dir);
    test_path(path, "%s/log", dir);
    int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    log_init(&log, "p", fd, LOG_LEVEL_INFO, LOG_FORM_JOURNAL);
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, write_lines, &log), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
    ck_assert_int_eq(file_read(AT_FDCWD, path, 1 << 20, &out, &err), 0);
    int n = 0;
    for (const char *line = out.data; *line; line = strchr(line, '\n') + 1, n++) {
        ck_assert_ptr_eq(strstr(line, "<6>a line that must stay whole i="), line);
    }
    ck_assert_int_eq(n, THREADS * LINES);
    (void)close(fd);
    test_dir_remove(dir);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("log");
    TCase *cases = tcase_create("log");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, test_text);
    tcase_add_test(cases, test_journal);
    tcase_add_loop_test(cases, test_hostile, 0, sizeof(hostile) / sizeof(hostile[0]));
    tcase_add_loop_test(cases, test_long, 0, 2);
    tcase_add_test(cases, test_full_pipe);
    tcase_add_test(cases, test_auto);
    tcase_add_test(cases, test_err);
    tcase_add_test(cases, test_threads);
    suite_add_tcase(suite, cases);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
