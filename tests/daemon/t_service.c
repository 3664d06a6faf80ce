/* The program as a service: settings, one daemon a folder, versions, the notify protocol, the
 * units. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "tests/daemon/fixture.h"

/* Runs a command line; its exit status, and what it printed. */
static int run(struct buf *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int run(struct buf *out, const char *format, ...)
{
    char command[4 * TEST_PATH];
    char piece[4096];
    va_list ap;
    va_start(ap, format);
    vsnprintf(command, sizeof(command), format, ap);
    va_end(ap);
    FILE *pipe = popen(command, "r");
    ck_assert_ptr_nonnull(pipe);
    buf_clear(out);
    buf_puts(out, "");
    size_t n = 0;
    while ((n = fread(piece, 1, sizeof(piece), pipe)) > 0) {
        buf_put(out, piece, n);
    }
    int status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

START_TEST(settings)
{
    const char *program = test_build_root();
    char dir[TEST_PATH];
    struct buf out;
    buf_init(&out);
    test_dir_make(dir);
    ck_assert_int_eq(run(&out, "%s/daemon/millraced --version", program), 0);
    ck_assert_ptr_nonnull(strstr(out.data, "millraced 0."));
    ck_assert_int_eq(run(&out, "%s/daemon/millraced --help", program), 0);
    ck_assert_ptr_nonnull(strstr(out.data, "--max-jobs"));
    ck_assert_int_eq(run(&out, "%s/daemon/millraced --reference", program), 0);
    ck_assert_ptr_nonnull(strstr(out.data, "| `max_jobs`"));
    /* file < environment < flag */
    ck_assert_int_eq(
        run(&out, "printf '# c\\n\\nmax_jobs = 3\\nhttp_port=99\\nlog_level = debug\\n' > %s/c",
            dir),
        0);
    ck_assert_int_eq(run(&out,
                         "MILLRACED_HTTP_PORT=98 MILLRACED_MAX_JOBS=4 %s/daemon/millraced "
                         "--config=%s/c --max-jobs 5 --print-config",
                         program, dir),
                     0);
    ck_assert_ptr_nonnull(strstr(out.data, "max_jobs = 5\n"));
    ck_assert_ptr_nonnull(strstr(out.data, "http_port = 98\n"));
    ck_assert_ptr_nonnull(strstr(out.data, "log_level = debug\n"));
    /* what is printed is a file that is read */
    ck_assert_int_eq(
        run(&out, "%s/daemon/millraced --config=%s/c --print-config > %s/d", program, dir, dir), 0);
    ck_assert_int_eq(run(&out,
                         "%s/daemon/millraced --config=%s/d --print-config | grep -v ^config > "
                         "%s/e; grep -v ^config %s/d | cmp - %s/e",
                         program, dir, dir, dir, dir),
                     0);
    ck_assert_int_eq(run(&out, "%s/daemon/millraced --max-job=1 2>&1", program), 2);
    ck_assert_ptr_nonnull(strstr(out.data, "max_jobs"));
    ck_assert_int_eq(run(&out, "%s/daemon/millraced --max-jobs=0 2>&1", program), 2);
    ck_assert_int_eq(run(&out, "printf 'a\\n' > %s/c; %s/daemon/millraced --config=%s/c 2>&1", dir,
                         program, dir),
                     2);
    ck_assert_ptr_nonnull(strstr(out.data, "c:1"));
    test_dir_remove(dir);
    buf_fini(&out);
}
END_TEST

START_TEST(second_daemon)
{
    struct fixture f;
    struct buf text;
    char log[TEST_PATH];
    int status = 0;
    fixture_init(&f);
    fixture_start(&f);
    pid_t pid = fixture_spawn(&f);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    buf_init(&text);
    test_path(log, "%s/log", f.dir);
    ck_assert_int_ge(file_read(-100, log, 1 << 20, &text, NULL), 0);
    ck_assert_ptr_nonnull(strstr(text.data, "another millraced (pid "));
    const struct msg_none none = {.unused = 0};
    ck_assert_ptr_nonnull(fixture_ask(&f, MSG_PING, &none, NULL, 0));
    buf_fini(&text);
    fixture_fini(&f);
}
END_TEST

START_TEST(other_protocol)
{
    struct fixture f;
    fixture_init(&f);
    fixture_start(&f);
    struct msg_hello hello = {
        .protocol_min = MSG_VERSION + 1, .protocol_max = MSG_VERSION + 3, .program = "next"};
    ck_assert_ptr_null(fixture_ask(&f, MSG_HELLO, &hello, NULL, 0));
    ck_assert_int_eq(f.err.code, ERR_VERSION);
    ck_assert_ptr_nonnull(strstr(f.err.text, "speaks protocol"));
    hello.protocol_min = MSG_VERSION;
    const struct doc *reply = fixture_ask(&f, MSG_HELLO, &hello, NULL, 0);
    ck_assert_int_eq(doc_int(reply, "protocol", 0), MSG_VERSION);
    const struct msg_child_seq seq = {.seq = 1};
    ck_assert_ptr_null(fixture_ask(&f, MSG_CHILD_QUARANTINED, &seq, NULL, 0));
    ck_assert_int_eq(f.err.code, ERR_UNKNOWN);
    fixture_fini(&f);
}
END_TEST

/* Waits for a datagram that holds `text`. */
static bool heard(int fd, const char *text, char *buf, size_t size)
{
    int64_t end_us = clock_us() + 10 * 1000000;
    while (clock_us() < end_us) {
        ssize_t n = recv(fd, buf, size - 1, 0);
        if (n > 0) {
            buf[n] = '\0';
            if (strstr(buf, text) != NULL) {
                return true;
            }
        }
    }
    return false;
}

START_TEST(notify)
{
    struct fixture f;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct timeval limit = {.tv_sec = 1};
    char text[512];
    fixture_init(&f);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%.90s/notify", f.dir);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setenv("NOTIFY_SOCKET", address.sun_path, 1);
    setenv("WATCHDOG_USEC", "3000000", 1);
    fixture_start(&f);
    ck_assert(heard(fd, "READY=1", text, sizeof(text)));
    ck_assert_ptr_nonnull(strstr(text, "STATUS="));
    snprintf(address.sun_path, sizeof(address.sun_path), "MAINPID=%d", (int)f.pid);
    ck_assert_ptr_nonnull(strstr(text, address.sun_path));
    ck_assert(heard(fd, "WATCHDOG=1", text, sizeof(text)));
    ck_assert(heard(fd, "WATCHDOG=1", text, sizeof(text)));
    ck_assert_int_eq(fixture_put(&f, "d", 2, 100, 1), 2);
    ck_assert_ptr_nonnull(fixture_submit(&f, NULL, "{\"steps\": 10000}"));
    ck_assert(heard(fd, "STATUS=1 training", text, sizeof(text)));
    ck_assert_int_eq(fixture_end(&f, SIGTERM), 0);
    ck_assert(heard(fd, "STOPPING=1", text, sizeof(text)));
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    close(fd);
    fixture_fini(&f);
}
END_TEST

/* A private folder of an ordinary user is enough. */
START_TEST(without_root)
{
    struct fixture f;
    struct buf out;
    if (geteuid() != 0) {
        test_skip("every other test of this run is without root already");
        return;
    }
    buf_init(&out);
    fixture_init(&f);
    ck_assert_int_eq(chmod(f.dir, 0777), 0);
    int status = run(&out,
                     "setpriv --reuid=65534 --regid=65534 --clear-groups timeout -s TERM 2 "
                     "%s/daemon/millraced --state-dir=%s/n --log-form=text 2>&1",
                     test_build_root(), f.dir);
    if (strstr(out.data, "setpriv") != NULL || strstr(out.data, "ermission") != NULL) {
        test_skip("no setpriv, or the build folder is closed to others");
    } else {
        ck_assert_msg(status == 124 && strstr(out.data, "ready") != NULL, "%d: %s", status,
                      out.data);
    }
    buf_fini(&out);
    fixture_fini(&f);
}
END_TEST

START_TEST(units)
{
    char dir[TEST_PATH];
    struct buf out;
    const char *root = test_source_root();
    buf_init(&out);
    if (run(&out, "command -v systemd-analyze") != 0) {
        test_skip("no systemd-analyze");
        buf_fini(&out);
        return;
    }
    test_dir_make(dir);
    /* The program is not installed where the unit looks for it. */
    ck_assert_int_eq(run(&out,
                         "sed 's|^ExecStart=[^ ]*|ExecStart=%s/daemon/millraced|' "
                         "%s/systemd/millraced.service > %s/millraced.service",
                         test_build_root(), root, dir),
                     0);
    /* systemd-analyze looks for pages of man only, not whether a file is there: that it is
     * installed. */
    ck_assert_msg(run(&out,
                      "page=$(sed -n 's|^Documentation=file:///usr/||p' %s/millraced.service) && "
                      "meson introspect --installed %s 2>&1 | grep -F \"/${page:?}\\\"\"",
                      dir, test_build_root()) == 0,
                  "%s", out.data);
    ck_assert_msg(run(&out, "systemd-analyze verify %s/millraced.service 2>&1", dir) == 0, "%s",
                  out.data);
    ck_assert_str_eq(out.data, "");
    ck_assert_msg(run(&out,
                      "systemd-analyze security --no-pager --offline=true --threshold=15 "
                      "%s/millraced.service 2>&1",
                      dir) == 0,
                  "%s", out.data);
    ck_assert_msg(run(&out,
                      "mkdir -p %s/r/etc && systemd-sysusers --root=%s/r "
                      "%s/systemd/millraced.sysusers.conf 2>&1 && "
                      "grep -q ^millraced: %s/r/etc/passwd",
                      dir, dir, root, dir) == 0,
                  "%s", out.data);
    if (geteuid() == 0) {
        ck_assert_msg(run(&out,
                          "systemd-tmpfiles --create --root=%s/r "
                          "%s/systemd/millraced.tmpfiles.conf 2>&1 && test -d %s/r/run/millrace",
                          dir, root, dir) == 0,
                      "%s", out.data);
    }
    ck_assert_msg(run(&out,
                      "%s/daemon/millraced --config=%s/systemd/millraced.conf --print-config 2>&1",
                      test_build_root(), root) == 0,
                  "%s", out.data);
    test_dir_remove(dir);
    buf_fini(&out);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("service");
    TCase *tcase = tcase_create("service");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, settings);
    tcase_add_test(tcase, second_daemon);
    tcase_add_test(tcase, other_protocol);
    tcase_add_test(tcase, notify);
    tcase_add_test(tcase, without_root);
    tcase_add_test(tcase, units);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
