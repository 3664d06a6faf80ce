#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/system/harness_impl.h"

enum { ANSWER_MS = 60000 };

pid_t harness_child_spawn(const char *program, const struct msg_child_start *start,
                          const struct child_fds *fds, int *ret_fd, int *ret_pid_fd)
{
    int pair[2];
    char path[TEST_PATH];
    test_path(path, "%s/%s", test_build_root(), program);
    ck_assert_int_eq(child_pair(pair, NULL), 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        int null_fd =
            getenv("HARNESS_VERBOSE") == NULL ? open("/dev/null", O_WRONLY | O_CLOEXEC) : -1;
        if (null_fd >= 0) {
            dup2(null_fd, STDERR_FILENO);
        }
        if (pair[1] == CHILD_FD || dup2(pair[1], CHILD_FD) == CHILD_FD) {
            execl(path, path, (char *)NULL);
        }
        _exit(127);
    }
    close(pair[1]);
    *ret_fd = pair[0];
    *ret_pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
    ck_assert_int_ge(*ret_pid_fd, 0);
    struct err err = {0};
    int rc = child_send(pair[0], MSG_CHILD_START, start, fds, &err);
    ck_assert_msg(rc == 0 || rc == ERR_GONE, "child.start: %s", err.text);
    return pid;
}

void harness_child_end(pid_t pid, int signal, int *fd, int *pid_fd, int *ret_status)
{
    int status = 0;
    if (signal != 0) {
        kill(pid, signal);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    close(*fd);
    close(*pid_fd);
    *fd = *pid_fd = -1;
    if (ret_status != NULL) {
        *ret_status = status;
    }
}

int harness_ask(struct harness *harness, const char *program, const struct msg_child_start *start,
                const struct child_fds *fds, const struct doc **ret, struct err *err)
{
    int fd = -1, pid_fd = -1;
    pid_t pid = harness_child_spawn(program, start, fds, &fd, &pid_fd);
    struct msg msg;
    int rc;
    do {
        rc = child_recv(fd, ANSWER_MS, &harness->arena, &msg, NULL, err);
    } while (rc == 0 && msg.type != MSG_CHILD_RESULT && msg.type != MSG_CHILD_FAILED);
    if (rc == 0 && msg.type == MSG_CHILD_RESULT) {
        *ret = ((const struct msg_child_result *)msg.body)->result;
    } else if (rc == 0) {
        const struct msg_error *failure = msg.body;
        rc = err_set_at(err, (int)failure->code, failure->path, "%s", failure->text);
    }
    harness_child_end(pid, 0, &fd, &pid_fd, NULL);
    return rc;
}
