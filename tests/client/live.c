#include "tests/client/live.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "client/millrace.h"

enum { ARGS_MAX = 32, START_MS = 30000 };

void live_start(struct live *live)
{
    memset(live, 0, sizeof(*live));
    test_dir_make(live->folder);
    test_path(live->run_dir, "%s/run", live->folder);
    ck_assert_int_eq(mkdir(live->run_dir, 0700), 0);
}

void live_stop(struct live *live)
{
    if (live->pid > 0) {
        live_kill(live, SIGTERM);
    }
    test_dir_remove(live->folder);
}

bool live_has(const char *path_in_build)
{
    char path[TEST_PATH];
    test_path(path, "%s/%s", test_build_root(), path_in_build);
    return access(path, X_OK) == 0;
}

static bool answers(void *arg)
{
    const struct live *live = arg;
    const struct millrace_options options = {.socket = live->run_dir};
    struct millrace *m = NULL;
    bool good = millrace_open(&options, &m, NULL) == 0;
    millrace_close(good ? m : NULL);
    return good;
}

void live_daemon(struct live *live, const char *const *extra)
{
    char program[TEST_PATH], run_dir[TEST_PATH], state_dir[TEST_PATH], log[TEST_PATH];
    const char *argv[ARGS_MAX] = {program, run_dir, state_dir};
    int n = 3;
    test_path(program, "%s/daemon/millraced", test_build_root());
    test_path(run_dir, "--run-dir=%s/run", live->folder);
    test_path(state_dir, "--state-dir=%s/state", live->folder);
    test_path(log, "%s/daemon.log", live->folder);
    for (; extra != NULL && *extra != NULL && n < ARGS_MAX - 1; extra++) {
        argv[n++] = *extra;
    }
    live->pid = fork();
    ck_assert_int_ge(live->pid, 0);
    if (live->pid == 0) {
        int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
        execv(program, (char *const *)(const void *)argv);
        _exit(127);
    }
    ck_assert_msg(test_wait(answers, live, START_MS), "the daemon does not answer; see %s", log);
}

void live_kill(struct live *live, int signal)
{
    int status = 0;
    kill(live->pid, signal);
    while (waitpid(live->pid, &status, 0) < 0 && errno == EINTR) {
    }
    live->pid = 0;
}

static void read_both(int out, int error, struct live_result *ret)
{
    struct pollfd items[] = {{.fd = out, .events = POLLIN}, {.fd = error, .events = POLLIN}};
    struct buf *bufs[] = {&ret->out, &ret->err};
    while (items[0].fd >= 0 || items[1].fd >= 0) {
        ck_assert_int_ge(poll(items, 2, -1), 0);
        for (int i = 0; i < 2; i++) {
            char piece[4096];
            ssize_t n = items[i].revents != 0 ? read(items[i].fd, piece, sizeof(piece)) : -1;
            if (n > 0) {
                buf_put(bufs[i], piece, (size_t)n);
            } else if (items[i].revents != 0) {
                close(items[i].fd);
                items[i].fd = -1;
            }
        }
    }
}

void live_run(const struct live *live, struct live_result *ret, const char *first, ...)
{
    char program[TEST_PATH];
    const char *argv[ARGS_MAX] = {program, first};
    int n = 2, out[2], error[2], status = 0;
    va_list ap;
    va_start(ap, first);
    for (const char *arg = va_arg(ap, const char *); arg != NULL && n < ARGS_MAX - 1;
         arg = va_arg(ap, const char *)) {
        argv[n++] = arg;
    }
    va_end(ap);
    memset(ret, 0, sizeof(*ret));
    test_path(program, "%s/client/millrace", test_build_root());
    ck_assert(pipe2(out, O_CLOEXEC) == 0 && pipe2(error, O_CLOEXEC) == 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setenv("MILLRACE_SOCKET", live->run_dir, 1);
        setenv("LC_ALL", "C.UTF-8", 1);
        unsetenv("NO_COLOR");
        dup2(out[1], STDOUT_FILENO);
        dup2(error[1], STDERR_FILENO);
        execv(program, (char *const *)(const void *)argv);
        _exit(127);
    }
    close(out[1]);
    close(error[1]);
    read_both(out[0], error[0], ret);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ret->status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    buf_puts(&ret->out, "");
    buf_puts(&ret->err, "");
}

void live_free(struct live_result *result)
{
    buf_fini(&result->out);
    buf_fini(&result->err);
}

void live_file(const struct live *live, const char *name, const void *data, size_t size,
               char path[TEST_PATH])
{
    char folder[TEST_PATH];
    const char *slash = strrchr(name, '/');
    test_path(path, "%s/%s", live->folder, name);
    test_path(folder, "%s/%.*s", live->folder, slash != NULL ? (int)(slash - name) : 0, name);
    ck_assert_int_eq(file_make_dirs(folder, NULL), 0);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(file_write_all(fd, data, size, NULL), 0);
    close(fd);
}

void live_text(const struct live *live, const char *name, const char *text, char path[TEST_PATH])
{
    live_file(live, name, text, strlen(text), path);
}
