#include "client/trainer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

enum { ANSWER_MAX = 64 << 20, PIECE = 65536, TIME_MS = 60000 };

struct child {
    pid_t pid;
    int in, out, error;
    struct buf text, complaint;
};

/* Beside this program: installed, or in the build folder (build/client/millrace,
 * build/trainer/millrace-trainer). */
static int find_program(const char *given, const char *beside, char path[PATH_MAX], struct err *err)
{
    static const char *const places[] = {"millrace-trainer", "../trainer/millrace-trainer",
                                         "../libexec/millrace-trainer",
                                         "../libexec/millrace/millrace-trainer"};
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (given != NULL) {
        (void)snprintf(path, PATH_MAX, "%s", given);
        return access(path, X_OK) == 0 ? 0 : err_errno(err, errno, "run '%s'", given);
    }
    if (n > 0) {
        self[n] = '\0';
    } else {
        (void)snprintf(self, sizeof(self), "%s", beside);
    }
    char *slash = strrchr(self, '/');
    if (slash != NULL) {
        *slash = '\0';
    }
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        int size = snprintf(path, PATH_MAX, "%s/%s", slash != NULL ? self : ".", places[i]);
        if (size > 0 && size < PATH_MAX && access(path, X_OK) == 0) {
            return 0;
        }
    }
    return err_set(err, ERR_NOT_FOUND,
                   "no daemon answers and millrace-trainer is not beside this program; say where "
                   "with --trainer");
}

static void in_child(const char *path, const int in[2], const int out[2], const int error[2])
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (dup2(in[0], STDIN_FILENO) >= 0 && dup2(out[1], STDOUT_FILENO) >= 0 &&
        dup2(error[1], STDERR_FILENO) >= 0) {
        execl(path, "millrace-trainer", "--summary", (char *)NULL);
    }
    _exit(127);
}

static int start(struct child *child, const char *path, struct err *err)
{
    int in[2] = {-1, -1};
    int out[2] = {-1, -1};
    int error[2] = {-1, -1};
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0 || pipe2(error, O_CLOEXEC) != 0) {
        return err_errno(err, errno, "make a pipe");
    }
    child->pid = fork();
    if (child->pid == 0) {
        in_child(path, in, out, error);
    }
    close(in[0]);
    close(out[1]);
    close(error[1]);
    child->in = in[1];
    child->out = out[0];
    child->error = error[0];
    return child->pid < 0 ? err_errno(err, errno, "start %s", path) : 0;
}

/* Reads what is there; closes at the end. */
static void drain(int *fd, struct buf *into)
{
    char piece[PIECE];
    ssize_t n = read(*fd, piece, sizeof(piece));
    if (n > 0 && into->size < ANSWER_MAX) {
        buf_put(into, piece, (size_t)n);
    } else if (n <= 0 && errno != EINTR) {
        close(*fd);
        *fd = -1;
    }
}

static void feed(struct child *child, const struct buf *job, size_t *sent)
{
    ssize_t n = write(child->in, job->data + *sent, job->size - *sent);
    *sent += n > 0 ? (size_t)n : 0;
    if (n < 0 || *sent == job->size) {
        close(child->in);
        child->in = -1;
    }
}

static int talk(struct child *child, const struct buf *job, struct err *err)
{
    int64_t deadline_us = clock_us() + (int64_t)TIME_MS * 1000;
    size_t sent = 0;
    (void)fcntl(child->in, F_SETFL, O_NONBLOCK);
    while (child->out >= 0 || child->error >= 0) {
        struct pollfd items[] = {{.fd = child->out, .events = POLLIN},
                                 {.fd = child->error, .events = POLLIN},
                                 {.fd = child->in, .events = POLLOUT}};
        int64_t left_us = deadline_us - clock_us();
        if (left_us <= 0 || poll(items, 3, (int)(left_us / 1000 + 1)) == 0) {
            kill(child->pid, SIGKILL);
            return err_set(err, ERR_TIMEOUT, "millrace-trainer did not answer in %d s",
                           TIME_MS / 1000);
        }
        if (items[2].revents != 0) {
            feed(child, job, &sent);
        }
        if (items[0].revents != 0) {
            drain(&child->out, &child->text);
        }
        if (items[1].revents != 0) {
            drain(&child->error, &child->complaint);
        }
    }
    return 0;
}

/* "millrace-trainer: model[2].Dense: text": the path is what a person looks for. */
static int refused(const struct child *child, int status, struct err *err)
{
    static const char name[] = "millrace-trainer: ";
    char line[1000];
    (void)snprintf(line, sizeof(line), "%s",
                   child->complaint.data != NULL ? child->complaint.data : "");
    line[strcspn(line, "\n")] = '\0';
    char *text = strncmp(line, name, sizeof(name) - 1) == 0 ? line + sizeof(name) - 1 : line;
    if (!WIFEXITED(status)) {
        return err_set(err, ERR_INTERNAL, "millrace-trainer was killed by signal %d",
                       WTERMSIG(status));
    }
    int code = WEXITSTATUS(status) == 2 ? ERR_INVALID : ERR_INTERNAL;
    char *colon = strstr(text, ": ");
    if (colon != NULL && memchr(text, ' ', (size_t)(colon - text)) == NULL) {
        *colon = '\0';
        return err_set_at(err, code, text, "%s", colon + 2);
    }
    return err_set(err, code, "%s", text[0] != '\0' ? text : "millrace-trainer said nothing");
}

int trainer_summary(const char *program, const char *beside, const struct doc *job,
                    struct arena *arena, const struct doc **ret, struct err *err)
{
    char path[PATH_MAX];
    struct child child = {.in = -1, .out = -1, .error = -1};
    struct buf text = {0};
    struct doc *doc = NULL;
    int status = 0;
    int rc = find_program(program, beside, path, err);
    rc = rc < 0 ? rc : start(&child, path, err);
    if (rc < 0) {
        return rc;
    }
    doc_write_json(job, 0, &text);
    rc = talk(&child, &text, err);
    int fds[] = {child.in, child.out, child.error};
    for (int i = 0; i < 3; i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
    while (waitpid(child.pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (rc >= 0 && status != 0) {
        rc = refused(&child, status, err);
    } else if (rc >= 0) {
        rc = doc_read_json(child.text.data != NULL ? child.text.data : "", child.text.size,
                           &doc_limits_default, arena, &doc, err);
    }
    *ret = doc;
    buf_fini(&text);
    buf_fini(&child.text);
    buf_fini(&child.complaint);
    return rc < 0 ? rc : 0;
}
