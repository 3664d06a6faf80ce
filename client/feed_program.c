#include "client/feed_program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "proto/msg.h"

enum { ANSWER_MAX = 1 << 20, HEAD = 4, CLOSE_MS = 2000, TERM_MS = 1000 };

static const struct doc_limits limits = {.depth = 8, .nodes = 100000, .bytes = ANSWER_MAX};

/* ---- life ---- */

static void in_child(const char *command, pid_t parent, const int in[2], const int out[2])
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() == parent && dup2(in[0], STDIN_FILENO) >= 0 && dup2(out[1], STDOUT_FILENO) >= 0) {
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    }
    _exit(127);
}

int feed_program_start(struct program *program, struct err *err)
{
    int in[2] = {-1, -1};
    int out[2] = {-1, -1};
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) {
        int rc = err_errno(err, errno, "make a pipe");
        if (in[0] >= 0) {
            close(in[0]);
            close(in[1]);
        }
        return rc;
    }
    pid_t self = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        in_child(program->command, self, in, out);
    }
    close(in[0]);
    close(out[1]);
    program->in = in[1];
    program->out = out[0];
    program->pid = pid > 0 ? pid : 0;
    program->pid_fd = pid > 0 ? pidfd_open(pid, 0) : -1;
    if (pid < 0 || program->pid_fd < 0) {
        int rc = err_errno(err, errno, "start the program");
        if (pid > 0) {
            feed_program_stop(program, false);
        } else {
            close(program->in);
            close(program->out);
        }
        return rc;
    }
    setpgid(pid, pid); /* here too: whoever comes first */
    (void)fcntl(program->in, F_SETFL, O_NONBLOCK);
    (void)fcntl(program->out, F_SETFL, O_NONBLOCK);
    return 0;
}

static bool has_ended(const struct program *program, int timeout_ms)
{
    struct pollfd item = {.fd = program->pid_fd, .events = POLLIN};
    return poll(&item, 1, timeout_ms) > 0;
}

static void write_frame(struct buf *out, const struct doc *map)
{
    const unsigned char none[HEAD] = {0};
    buf_clear(out);
    buf_put(out, none, HEAD);
    msg_write_doc(map, out);
    size_t size = out->size - HEAD;
    for (int i = 0; i < HEAD; i++) {
        out->data[i] = (char)(size >> (8 * i) & 0xff);
    }
}

static void say_close(struct program *program)
{
    struct arena arena;
    arena_init(&arena);
    struct doc *map = doc_new(&arena);
    doc_set_map(map);
    doc_put_int(map, &arena, "close", 1);
    write_frame(&program->frame, map);
    /* Whatever of it goes; the end of the input says the same. */
    ssize_t n = write(program->in, program->frame.data, program->frame.size);
    (void)n;
    arena_fini(&arena);
}

void feed_program_stop(struct program *program, bool is_well)
{
    if (program->pid > 0) {
        if (is_well) {
            say_close(program);
        }
        close(program->in);
        if (program->pid_fd >= 0 && !has_ended(program, is_well ? CLOSE_MS : 0)) {
            kill(-program->pid, SIGTERM);
            (void)has_ended(program, TERM_MS);
        }
        kill(-program->pid, SIGKILL); /* what it started too */
        waitpid(program->pid, NULL, 0);
        close(program->out);
        if (program->pid_fd >= 0) {
            close(program->pid_fd);
        }
    }
    buf_fini(&program->frame);
    program->pid = 0;
}

/* ---- speaking ---- */

static int ended(const struct program *program, struct err *err)
{
    siginfo_t info = {0};
    (void)has_ended(program, TERM_MS); /* its output ends a little before it does */
    if (waitid(P_PID, (id_t)program->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
        info.si_pid == 0) {
        return err_set(err, ERR_GONE, "the program closed its output");
    }
    if (info.si_code == CLD_EXITED && (info.si_status == 126 || info.si_status == 127)) {
        return err_set(err, ERR_NOT_FOUND, "the shell cannot start the program (status %d): %s",
                       info.si_status, program->command);
    }
    /* A shell says 128 and the signal of what it ran. */
    int number = info.si_code == CLD_EXITED ? info.si_status - 128 : info.si_status;
    return number <= 0 ? err_set(err, ERR_GONE, "the program ended with status %d", info.si_status)
                       : err_set(err, ERR_GONE, "the program was killed by signal %d (%s)", number,
                                 strsignal(number));
}

/* Waits for an end of a pipe. */
static int wait_for(const struct program *program, int fd, short events, int64_t deadline_us,
                    struct err *err)
{
    struct pollfd items[] = {{.fd = fd, .events = events},
                             {.fd = program->wake_fd, .events = POLLIN}};
    int64_t left_us = deadline_us - clock_us();
    int n = left_us > 0 ? poll(items, 2, (int)(left_us / 1000 + 1)) : 0;
    if (items[1].revents != 0) {
        return err_set(err, ERR_INTERRUPTED, "interrupted");
    }
    return n == 0 ? err_set(err, ERR_TIMEOUT, "the program gave no answer in %d s (--patience)",
                            program->patience_ms / 1000)
                  : 0;
}

static int64_t deadline(const struct program *program)
{
    return clock_us() + (int64_t)program->patience_ms * 1000;
}

static int send_frame(struct program *program, struct err *err)
{
    const struct buf *frame = &program->frame;
    const int64_t until_us = deadline(program);
    int rc = 0;
    for (size_t at = 0; at < frame->size && rc == 0;) {
        ssize_t n = write(program->in, frame->data + at, frame->size - at);
        if (n >= 0) {
            at += (size_t)n;
        } else if (errno == EAGAIN) {
            rc = wait_for(program, program->in, POLLOUT, until_us, err);
        } else if (errno != EINTR) {
            rc = ended(program, err);
        }
    }
    return rc;
}

int feed_program_read(struct program *program, void *data, size_t size, struct err *err)
{
    int64_t until_us = deadline(program);
    int rc = 0;
    for (size_t at = 0; at < size && rc == 0;) {
        ssize_t n = read(program->out, (char *)data + at, size - at);
        if (n > 0) {
            at += (size_t)n;
            until_us = deadline(program);
        } else if (n == 0) {
            rc = ended(program, err);
        } else if (errno == EAGAIN) {
            rc = wait_for(program, program->out, POLLIN, until_us, err);
        } else if (errno != EINTR) {
            rc = err_errno(err, errno, "read from the program");
        }
    }
    return rc;
}

static int read_answer(struct program *program, struct arena *arena, const struct doc **ret,
                       struct err *err)
{
    unsigned char head[HEAD];
    struct doc *map = NULL;
    size_t size = 0;
    int rc = feed_program_read(program, head, HEAD, err);
    for (int i = 0; i < HEAD; i++) {
        size |= (size_t)head[i] << (8 * i);
    }
    if (rc == 0 && (size == 0 || size > ANSWER_MAX)) {
        return err_set(
            err, ERR_DATA,
            "the program's answer begins with a length of %zu bytes; a frame has 1 to %d. "
            "Does it print to its standard output? That is for answers; print to "
            "standard error",
            size, ANSWER_MAX);
    }
    void *bytes = rc == 0 ? arena_alloc(arena, size) : NULL;
    rc = rc < 0 ? rc : feed_program_read(program, bytes, size, err);
    if (rc < 0) {
        return rc;
    }
    struct err found = {0};
    if (msg_read_doc(bytes, size, &limits, arena, &map, &found) < 0 || map->type != DOC_MAP) {
        return err_set(err, ERR_DATA, "the program's answer is no msgpack map: %s",
                       found.code != 0 ? found.text : "it is something else");
    }
    *ret = map;
    return 0;
}

int feed_program_ask(struct program *program, const struct doc *request, struct arena *arena,
                     const struct doc **ret, struct err *err)
{
    int left = 0;
    if (ioctl(program->out, FIONREAD, &left) == 0 && left > 0) {
        return err_set(
            err, ERR_DATA,
            "the program sent %d bytes more than its answers have: more rows than `n` says, "
            "or something printed to its standard output",
            left);
    }
    write_frame(&program->frame, request);
    int rc = send_frame(program, err);
    return rc < 0 ? rc : read_answer(program, arena, ret, err);
}
