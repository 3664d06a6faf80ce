#include "daemon/process.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "daemon/feed.h"

enum { READ_BUDGET = 64, ENVIRONMENT_MAX = 80, TEXTS_MAX = 16, TEXT_MAX = 64 };

struct process_queued {
    struct process_queued *next;
    enum msg_id type;
    struct arena arena;
    void *body;
};

/* Beside this program, installed, or in a build tree. */
static const char *const process_places[] = {"", "/../libexec/millrace", "/../workers",
                                             "/../trainer"};
static const char *const process_passed[] = {"PATH=",
                                             "HOME=",
                                             "TZ=",
                                             "LANG=",
                                             "TMPDIR=",
                                             "LD_LIBRARY_PATH=",
                                             "ASAN_OPTIONS=",
                                             "UBSAN_OPTIONS=",
                                             "LSAN_OPTIONS=",
                                             "TSAN_OPTIONS=",
                                             "MILLRACE_",
                                             "DNNL_",
                                             "OPENBLAS_CORETYPE="};
static const char *const process_end_names[] = {
    [PROCESS_RUNS] = "runs",         [PROCESS_EXIT] = "exit",       [PROCESS_SIGNAL] = "signal",
    [PROCESS_WATCHDOG] = "watchdog", [PROCESS_LEASE] = "lease",     [PROCESS_TIMEOUT] = "timeout",
    [PROCESS_MEMORY] = "memory",     [PROCESS_STOPPED] = "stopped",
};

const char *process_end_name(enum process_end end)
{
    return process_end_names[end];
}

static int find_program(const struct daemon *daemon, enum role role, char path[PATH_MAX],
                        struct err *err)
{
    for (size_t i = 0; i < sizeof(process_places) / sizeof(process_places[0]); i++) {
        snprintf(path, PATH_MAX, "%s%s/%s", daemon->settings->libexec_dir, process_places[i],
                 role_table[role].program);
        if (access(path, X_OK) == 0) {
            return 0;
        }
    }
    return err_set_at(err, ERR_NOT_FOUND, "libexec_dir", "no program '%s' in or beside '%s'",
                      role_table[role].program, daemon->settings->libexec_dir);
}

/* A small environment: what libraries need, and quiet thread pools (one that spins starves the
 * workers). */
static void make_environment(char *env[ENVIRONMENT_MAX], char texts[TEXTS_MAX][TEXT_MAX],
                             int64_t n_threads)
{
    int n = 0;
    for (char **e = environ; *e != NULL && n < ENVIRONMENT_MAX - TEXTS_MAX - 1; e++) {
        for (size_t i = 0; i < sizeof(process_passed) / sizeof(process_passed[0]); i++) {
            if (!strncmp(*e, process_passed[i], strlen(process_passed[i]))) {
                env[n++] = *e;
                break;
            }
        }
    }
    int n_texts = 0;
    for (; role_environment[n_texts] != NULL && n_texts < TEXTS_MAX - 2; n_texts++) {
        snprintf(texts[n_texts], TEXT_MAX, "%s", role_environment[n_texts]);
    }
    if (n_threads > 0) {
        snprintf(texts[n_texts++], TEXT_MAX, "OMP_NUM_THREADS=%lld", (long long)n_threads);
        snprintf(texts[n_texts++], TEXT_MAX, "OPENBLAS_NUM_THREADS=%lld", (long long)n_threads);
    }
    for (int i = 0; i < n_texts; i++) {
        env[n++] = texts[i];
    }
    env[n] = NULL;
}

/* ---- the end
 * ------------------------------------------------------------------------------------------------
 */

static void on_closed(uv_handle_t *handle)
{
    struct process *process = handle->data;
    if (--process->n_open > 0) {
        return;
    }
    close(process->fd);
    while (process->queue != NULL) {
        struct process_queued *queued = process->queue;
        process->queue = queued->next;
        arena_fini(&queued->arena);
        free(queued);
    }
    arena_fini(&process->arena);
    free(process);
}

static void read_messages(struct process *process, int budget)
{
    for (int n = 0; n < budget && !process->reading_ended; n++) {
        struct child_fds fds = {.n = 0};
        struct msg msg = {.id = 0};
        struct err err = {0};
        int rc = child_recv(process->fd, 0, &process->arena, &msg, &fds, &err);
        for (int i = 0; i < fds.n; i++) {
            close(fds.fd[i]); /* a child has nothing to give */
        }
        if (rc == ERR_TIMEOUT) {
            break;
        }
        if (rc == ERR_GONE || rc == ERR_IO) {
            process->reading_ended = true;
            uv_poll_stop(&process->poll);
        } else if (rc < 0) {
            log_err(process->daemon->log, LOG_LEVEL_WARNING, "a child's message cannot be read",
                    &err);
        } else {
            process->heard_us = clock_us();
            if (msg.type == MSG_CHILD_READY) {
                process->ready = true;
            } else if (msg.type == MSG_CHILD_FAILED) {
                const struct msg_error *error = msg.body;
                err_set_at(&process->failure,
                           error->code < 0 && error->code > -1000 ? (int)error->code : ERR_INTERNAL,
                           error->path != NULL ? error->path : "", "%s",
                           error->text != NULL ? error->text : "");
                process->failure.line = (int)error->line;
            }
            if (msg.type == MSG_CHILD_WANT) {
                feed_child_wants(process, msg.body);
            } else {
                process->on_message(process, &msg, process->context);
            }
        }
        arena_reset(&process->arena);
    }
}

static void on_end(uv_process_t *handle, int64_t status, int term_signal)
{
    struct process *process = handle->data;
    read_messages(process, INT_MAX); /* its last words are still in the socket */
    process->exit_status = status;
    process->term_signal = term_signal;
    if (process->end == PROCESS_RUNS) {
        process->end = term_signal != 0 ? PROCESS_SIGNAL : PROCESS_EXIT;
        if (process->failure.code == ERR_NO_MEMORY) {
            process->end = PROCESS_MEMORY;
        }
    }
    feed_child_gone(process);
    process->on_end(process, process->context);
    process->poll.data = process;
    uv_close((uv_handle_t *)&process->poll, on_closed);
    uv_close((uv_handle_t *)&process->handle, on_closed);
}

void process_kill(struct process *process, enum process_end why)
{
    if (process->end == PROCESS_RUNS) {
        process->end = why;
    }
    uv_process_kill(&process->handle, SIGKILL);
}

void process_end_text(const struct process *process, char *buf, size_t size)
{
    const char *name = process_end_names[process->end];
    if (process->failure.code != 0) {
        snprintf(buf, size, "%s: %s", err_find(process->failure.code)->name, process->failure.text);
    } else if (process->end == PROCESS_SIGNAL && process->term_signal == SIGKILL) {
        snprintf(buf, size, "killed by signal 9: by a person, or by the kernel for want of memory");
    } else if (process->end == PROCESS_SIGNAL && process->term_signal == SIGSYS) {
        snprintf(buf, size, "killed by its sandbox: a forbidden system call");
    } else if (process->end == PROCESS_SIGNAL) {
        snprintf(buf, size, "killed by signal %d (%s)", process->term_signal,
                 strsignal(process->term_signal));
    } else if (process->end == PROCESS_EXIT) {
        snprintf(buf, size, "ended with status %lld", (long long)process->exit_status);
    } else {
        snprintf(buf, size, "%s", name);
    }
}

int64_t process_ticks(const struct process *process)
{
    char path[64];
    struct buf text;
    long long user = 0;
    long long system = 0;
    int64_t ticks = -1;
    buf_init(&text);
    snprintf(path, sizeof(path), "/proc/%d/stat", process->pid);
    if (file_read(-100, path, 4096, &text, NULL) >= 0) {
        const char *end = strrchr(text.data, ')');
        if (end != NULL && sscanf(end + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lld %lld",
                                  &user, &system) == 2) {
            ticks = user + system;
        }
    }
    buf_fini(&text);
    return ticks;
}

/* ---- speaking
 * -----------------------------------------------------------------------------------------------
 */

static void on_poll(uv_poll_t *poll, int status, int events);

static void poll_again(struct process *process)
{
    if (!process->reading_ended) {
        uv_poll_start(&process->poll, UV_READABLE | (process->queue != NULL ? UV_WRITABLE : 0),
                      on_poll);
    }
}

static void flush_queue(struct process *process)
{
    while (process->queue != NULL) {
        struct process_queued *queued = process->queue;
        if (child_send(process->fd, queued->type, queued->body, NULL, NULL) == ERR_BUSY) {
            return;
        }
        process->queue = queued->next;
        arena_fini(&queued->arena);
        free(queued);
    }
    poll_again(process);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct process *process = poll->data;
    if (events & UV_WRITABLE) {
        flush_queue(process);
    }
    if (status < 0 || (events & (UV_READABLE | UV_DISCONNECT))) {
        read_messages(process, READ_BUDGET);
    }
}

/* Keeps a copy by way of the bytes, so that the texts of the body may go. */
static void put_queue(struct process *process, enum msg_id type, const void *body)
{
    struct process_queued *queued = calloc(1, sizeof(*queued));
    struct buf bytes;
    struct msg msg = {.id = 0};
    BUG_ON(queued == NULL);
    arena_init(&queued->arena);
    buf_init(&bytes);
    msg_encode(type, 0, body, &bytes);
    char *kept = arena_alloc(&queued->arena, bytes.size);
    memcpy(kept, bytes.data, bytes.size);
    BUG_ON(msg_decode(kept, bytes.size, &queued->arena, &msg, NULL) < 0);
    buf_fini(&bytes);
    queued->type = type;
    queued->body = msg.body;
    struct process_queued **link = &process->queue;
    while (*link != NULL) {
        link = &(*link)->next;
    }
    *link = queued;
    poll_again(process);
}

int process_send(struct process *process, enum msg_id type, const void *body,
                 const struct child_fds *fds, struct err *err)
{
    int rc = process->queue != NULL ? ERR_BUSY : child_send(process->fd, type, body, fds, err);
    if (rc == ERR_BUSY && (fds == NULL || fds->n == 0)) {
        put_queue(process, type, body);
        rc = 0;
    }
    return rc;
}

/* ---- the start
 * ---------------------------------------------------------------------------------------------- */

static int spawn(struct process *process, const char *path, int child_end, int64_t threads,
                 struct err *err)
{
    char *env[ENVIRONMENT_MAX];
    char texts[TEXTS_MAX][TEXT_MAX];
    char program[PATH_MAX];
    snprintf(program, sizeof(program), "%s", path);
    char *args[] = {program, NULL};
    uv_stdio_container_t stdio[4] = {
        {.flags = UV_IGNORE},
        {.flags = UV_INHERIT_FD, .data.fd = 2},
        {.flags = UV_INHERIT_FD, .data.fd = 2},
        {.flags = UV_INHERIT_FD, .data.fd = child_end},
    };
    make_environment(env, texts, threads);
    uv_process_options_t options = {
        .exit_cb = on_end,
        .file = path,
        .args = args,
        .env = env,
        .cwd = "/",
        .stdio = stdio,
        .stdio_count = 4,
    };
    int rc = uv_spawn(process->daemon->loop, &process->handle, &options);
    return rc < 0 ? err_set(err, rc == UV_ENOMEM ? ERR_NO_MEMORY : ERR_IO, "start %s: %s", path,
                            uv_strerror(rc))
                  : 0;
}

static void free_closed(uv_handle_t *handle)
{
    free(handle->data);
}

int process_start(struct daemon *daemon, enum role role, int64_t threads,
                  process_message_fn *on_message, process_exit_fn *exited, void *context,
                  struct process **ret, struct err *err)
{
    char path[PATH_MAX];
    int fds[2];
    int rc = find_program(daemon, role, path, err);
    if (rc >= 0) {
        rc = child_pair(fds, err);
    }
    if (rc < 0) {
        return rc;
    }
    struct process *process = calloc(1, sizeof(*process));
    BUG_ON(process == NULL);
    process->daemon = daemon;
    process->role = role;
    process->on_message = on_message;
    process->on_end = exited;
    process->context = context;
    process->handle.data = process;
    process->started_us = clock_us();
    process->heard_us = process->started_us;
    rc = spawn(process, path, fds[1], threads, err);
    close(fds[1]);
    if (rc < 0) {
        close(fds[0]);
        uv_close((uv_handle_t *)&process->handle, free_closed);
        return rc;
    }
    arena_init(&process->arena);
    process->pid = process->handle.pid;
    /* May be forbidden; then it runs as we do. */
    (void)setpriority(PRIO_PROCESS, (id_t)process->pid, role_table[role].nice);
    process->fd = fds[0];
    process->n_open = 2;
    uv_poll_init(daemon->loop, &process->poll, process->fd);
    process->poll.data = process;
    uv_poll_start(&process->poll, UV_READABLE, on_poll);
    *ret = process;
    return 0;
}
