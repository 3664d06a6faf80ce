#include "client/program.h"

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

enum { ANSWER_MAX = 1 << 30, PIECE = 65536, TIME_MS = 60000 };

struct child {
    pid_t pid;
    int in, out, error;
    struct buf text, complaint;
};

/* Beside this program: installed, or in the build folder (build/client/millrace,
 * build/trainer/millrace-trainer). */
static int find_program(const struct program *program, const char *beside, char path[PATH_MAX],
                        struct err *err)
{
    const char *const folders[] = {"", "../", "../libexec/", "../libexec/millrace/"};
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (program->path != NULL) {
        (void)snprintf(path, PATH_MAX, "%s", program->path);
        return access(path, X_OK) == 0 ? 0 : err_errno(err, errno, "run '%s'", path);
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
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        const bool is_built = i == 1;
        int size = snprintf(path, PATH_MAX, "%s/%s%s%s%s", slash != NULL ? self : ".", folders[i],
                            is_built ? program->folder : "", is_built ? "/" : "", program->name);
        if (size > 0 && size < PATH_MAX && access(path, X_OK) == 0) {
            return 0;
        }
    }
    return err_set(err, ERR_NOT_FOUND, "%s is not beside this program; say where with --%s",
                   program->name, program->option);
}

static void in_child(const struct program *program, const char *path, const int in[2],
                     const int out[2], const int error[2])
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (dup2(in[0], STDIN_FILENO) >= 0 && dup2(out[1], STDOUT_FILENO) >= 0 &&
        dup2(error[1], STDERR_FILENO) >= 0) {
        execl(path, program->name, program->argument, (char *)NULL);
    }
    _exit(127);
}

static int start(struct child *child, const struct program *program, const char *path,
                 struct err *err)
{
    int in[2] = {-1, -1};
    int out[2] = {-1, -1};
    int error[2] = {-1, -1};
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0 || pipe2(error, O_CLOEXEC) != 0) {
        return err_errno(err, errno, "make a pipe");
    }
    child->pid = fork();
    if (child->pid == 0) {
        in_child(program, path, in, out, error);
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

static int talk(struct child *child, const struct program *program, const struct buf *job,
                struct err *err)
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
            return err_set(err, ERR_TIMEOUT, "%s did not answer in %d s", program->name,
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
static int refused(const struct child *child, const struct program *program, int status,
                   struct err *err)
{
    char line[1000], name[64];
    const size_t n = (size_t)snprintf(name, sizeof name, "%s: ", program->name);
    (void)snprintf(line, sizeof(line), "%s",
                   child->complaint.data != NULL ? child->complaint.data : "");
    line[strcspn(line, "\n")] = '\0';
    char *text = strncmp(line, name, n) == 0 ? line + n : line;
    if (!WIFEXITED(status)) {
        return err_set(err, ERR_INTERNAL, "%s was killed by signal %d", program->name,
                       WTERMSIG(status));
    }
    int code = WEXITSTATUS(status) == 2 ? ERR_INVALID : ERR_INTERNAL;
    char *colon = strstr(text, ": ");
    if (colon != NULL && memchr(text, ' ', (size_t)(colon - text)) == NULL) {
        *colon = '\0';
        return err_set_at(err, code, text, "%s", colon + 2);
    }
    return text[0] != '\0' ? err_set(err, code, "%s", text)
                           : err_set(err, code, "%s said nothing", program->name);
}

int program_ask(const struct program *program, const char *beside, const struct buf *text,
                struct buf *ret, struct err *err)
{
    char path[PATH_MAX];
    struct child child = {.in = -1, .out = -1, .error = -1};
    int status = 0;
    int rc = find_program(program, beside, path, err);
    rc = rc < 0 ? rc : start(&child, program, path, err);
    if (rc < 0) {
        return rc;
    }
    rc = talk(&child, program, text, err);
    int fds[] = {child.in, child.out, child.error};
    for (int i = 0; i < 3; i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
    while (waitpid(child.pid, &status, 0) < 0 && errno == EINTR) {
    }
    rc = rc >= 0 && status != 0 ? refused(&child, program, status, err) : rc;
    *ret = child.text;
    buf_fini(&child.complaint);
    return rc < 0 ? rc : 0;
}
