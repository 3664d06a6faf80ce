#include "client/millrace.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

enum { TIMEOUT_MS = 180000, REOPEN_FIRST_MS = 50, REOPEN_MAX_MS = 1000 };

/* An event that came while a reply was waited for. */
struct pending {
    struct pending *next;
    struct arena arena;
    struct msg_event event;
};

struct millrace {
    struct sock_context *context;
    struct sock *sock;
    char path[MILLRACE_PATH_MAX];
    char program[64];
    int timeout_ms, wake_fd;
    int64_t last_id;
    struct arena arena; /* of hello */
    const struct doc *hello;
    struct pending *first, **last;
};

/* ---- where the daemon is ------------------------------------------------------------------------
 */

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

void millrace_socket_path(const char *given, char path[MILLRACE_PATH_MAX])
{
    const char *name = given != NULL ? given : getenv("MILLRACE_SOCKET");
    const char *run = getenv("XDG_RUNTIME_DIR");
    if (name != NULL && name[0] != '\0') {
        name += strncmp(name, "ipc://", 6) == 0 ? 6 : 0;
        (void)snprintf(path, MILLRACE_PATH_MAX, "%s%s", name,
                       is_folder(name) ? "/control.sock" : "");
        return;
    }
    if (run != NULL && run[0] != '\0') {
        (void)snprintf(path, MILLRACE_PATH_MAX, "%s/millrace/control.sock", run);
        if (access(path, F_OK) == 0) {
            return;
        }
    }
    (void)snprintf(path, MILLRACE_PATH_MAX,
                   "/run/millraced/control.sock"); /* a daemon that root started by hand */
    if (access(path, F_OK) != 0) {
        (void)snprintf(path, MILLRACE_PATH_MAX, "/run/millrace/control.sock");
    }
}

/* ---- life ---------------------------------------------------------------------------------------
 */

static int say_hello(struct millrace *m, struct err *err)
{
    const struct msg_hello body = {
        .protocol_min = MSG_VERSION_MIN, .protocol_max = MSG_VERSION, .program = m->program};
    const struct doc *hello = NULL;
    arena_reset(&m->arena);
    int rc = millrace_request(m, MSG_HELLO, &body, NULL, 0, &m->arena, &hello, err);
    m->hello = rc < 0 ? NULL : hello;
    return rc;
}

static int connect_daemon(struct millrace *m, struct err *err)
{
    const struct sock_options options = {.no_reconnect = true, .linger_ms = 200};
    char address[MILLRACE_PATH_MAX + 8];
    if (access(m->path, F_OK) != 0) {
        return err_set(
            err, ERR_UNREACHABLE,
            "no daemon at %s; start millraced, or say where it is with --socket or MILLRACE_SOCKET",
            m->path);
    }
    if (access(m->path, W_OK) != 0) {
        return err_set(err, ERR_DENIED, "you may not use the socket %s", m->path);
    }
    (void)snprintf(address, sizeof(address), "ipc://%s", m->path);
    int rc = sock_open_dealer(m->context, address, &options, &m->sock, err);
    if (rc == ERR_UNREACHABLE) {
        err_set(err, ERR_UNREACHABLE,
                "no daemon answers at %s; it may have been killed: start millraced again", m->path);
    }
    if (rc == 0) {
        rc = say_hello(m, err);
    }
    if (rc < 0) {
        sock_close(m->sock);
        m->sock = NULL;
    }
    return rc;
}

int millrace_open(const struct millrace_options *options, struct millrace **ret, struct err *err)
{
    static const struct millrace_options defaults = {0};
    const struct millrace_options *o = options != NULL ? options : &defaults;
    struct millrace *m = calloc(1, sizeof(*m));
    BUG_ON(m == NULL);
    arena_init(&m->arena);
    m->last = &m->first;
    m->timeout_ms = o->timeout_ms > 0 ? o->timeout_ms : TIMEOUT_MS;
    m->wake_fd = o->wake_fd > 0 ? o->wake_fd : -1;
    (void)snprintf(m->program, sizeof(m->program), "%s",
                   o->program != NULL ? o->program : "libmillrace " MILLRACE_VERSION);
    millrace_socket_path(o->socket, m->path);
    m->context = sock_context_create();
    int rc = connect_daemon(m, err);
    if (rc < 0) {
        millrace_close(m);
        return rc;
    }
    *ret = m;
    return 0;
}

static void drop_pending(struct millrace *m)
{
    while (m->first != NULL) {
        struct pending *next = m->first->next;
        arena_fini(&m->first->arena);
        free(m->first);
        m->first = next;
    }
    m->last = &m->first;
}

void millrace_close(struct millrace *m)
{
    if (m == NULL) {
        return;
    }
    drop_pending(m);
    sock_close(m->sock);
    sock_context_destroy(m->context);
    arena_fini(&m->arena);
    free(m);
}

/* False when woken. */
static bool rest(const struct millrace *m, int ms)
{
    struct pollfd item = {.fd = m->wake_fd, .events = POLLIN};
    return poll(&item, 1, ms) <= 0;
}

bool millrace_woken(const struct millrace *m)
{
    return m->wake_fd >= 0 && !rest(m, 0);
}

int millrace_reopen(struct millrace *m, int patience_ms, struct err *err)
{
    int64_t deadline_us = clock_us() + (int64_t)patience_ms * 1000;
    int wait_ms = REOPEN_FIRST_MS;
    drop_pending(m);
    sock_close(m->sock);
    m->sock = NULL;
    int rc = connect_daemon(m, err);
    while ((rc == ERR_UNREACHABLE || rc == ERR_GONE || rc == ERR_TIMEOUT) &&
           clock_us() < deadline_us) {
        if (!rest(m, wait_ms)) {
            return err_set(err, ERR_INTERRUPTED, "interrupted");
        }
        wait_ms = wait_ms * 2 < REOPEN_MAX_MS ? wait_ms * 2 : REOPEN_MAX_MS;
        rc = connect_daemon(m, err);
    }
    return rc;
}

const struct doc *millrace_daemon(const struct millrace *m)
{
    return m->hello;
}

/* ---- requests -----------------------------------------------------------------------------------
 */

int millrace_send(struct millrace *m, enum msg_id type, const void *body,
                  const struct sock_frame *frames, int n_frames, int64_t *ret_id, struct err *err)
{
    if (m->sock == NULL) {
        return err_set(err, ERR_GONE, "the connection to the daemon was lost");
    }
    int64_t id = ++m->last_id;
    int rc = sock_send(m->sock, NULL, type, id, body, frames, n_frames, err);
    if (rc == ERR_BUSY && sock_lost(m->sock)) {
        rc = err_set(err, ERR_GONE, "the connection to the daemon was lost");
    }
    if (ret_id != NULL) {
        *ret_id = id;
    }
    return rc;
}

static void take_error(const struct msg_error *body, struct err *ret)
{
    int code = body->code < 0 && body->code > -1000 ? (int)body->code : ERR_INTERNAL;
    const char *text = body->text != NULL ? body->text : err_find(code)->sentence;
    err_set_at(ret, code, body->path != NULL ? body->path : "", "%s", text);
    ret->line = 0; /* the daemon's line is one of a text that nobody wrote: job_file_line finds the
                      person's */
}

static int understand(const struct msg *msg, struct millrace_answer *ret, struct err *err)
{
    static const struct doc nothing = {.type = DOC_MAP};
    *ret = (struct millrace_answer){.id = msg->id};
    if (msg->type == MSG_REPLY) {
        const struct msg_reply *reply = msg->body;
        ret->result = reply->result != NULL ? reply->result : &nothing;
    } else if (msg->type == MSG_ERROR) {
        take_error(msg->body, &ret->error);
    } else if (msg->type == MSG_EVENT) {
        ret->id = 0;
        ret->event = msg->body;
    } else if (msg->type == MSG_FEED_WANT) {
        ret->id = -1;
        ret->want = msg->body;
    } else if (msg->type == MSG_FEED_STATUS) {
        ret->id = -1;
        ret->feed_status = msg->body;
    } else {
        return err_set(err, ERR_SYNTAX, "the daemon sent '%s', which is for no client",
                       msg_table[msg->type].name);
    }
    return 0;
}

/* The next message of the socket. */
static int receive(struct millrace *m, int timeout_ms, struct arena *arena,
                   struct millrace_answer *ret, struct err *err)
{
    int64_t deadline_us = clock_us() + (int64_t)timeout_ms * 1000;
    for (;;) {
        struct msg msg;
        if (m->sock == NULL) {
            return err_set(err, ERR_GONE, "the connection to the daemon was lost");
        }
        struct sock_frame frames[SOCK_FRAMES_MAX];
        int n_frames = 0;
        int rc = sock_recv(m->sock, NULL, arena, &msg, frames, &n_frames, NULL, err);
        if (rc != ERR_TIMEOUT) {
            rc = rc < 0 ? rc : understand(&msg, ret, err);
            ret->n_frames = rc < 0 ? 0 : n_frames;
            memcpy(ret->frames, frames, (size_t)ret->n_frames * sizeof frames[0]);
            return rc;
        }
        int64_t left_us = deadline_us - clock_us();
        if (left_us <= 0) {
            return rc;
        }
        int n_wake = m->wake_fd >= 0 ? 1 : 0;
        int bits = sock_poll(m->sock, &m->wake_fd, n_wake, (int)(left_us / 1000 + 1));
        if ((bits & 2) != 0) {
            return err_set(err, ERR_INTERRUPTED, "interrupted");
        }
    }
}

int millrace_receive(struct millrace *m, int timeout_ms, struct arena *arena,
                     struct millrace_answer *ret, struct err *err)
{
    struct pending *kept = m->first;
    if (kept == NULL) {
        return receive(m, timeout_ms, arena, ret, err);
    }
    struct msg_event *event = ARENA_NEW(arena, struct msg_event);
    *event = (struct msg_event){.seq = kept->event.seq};
    event->job = arena_strdup(arena, kept->event.job);
    event->kind = arena_strdup(arena, kept->event.kind);
    if (kept->event.data != NULL) {
        struct doc *data = doc_new(arena);
        doc_copy(data, arena, kept->event.data);
        event->data = data;
    }
    *ret = (struct millrace_answer){.event = event};
    m->first = kept->next;
    m->last = m->first == NULL ? &m->first : m->last;
    arena_fini(&kept->arena);
    free(kept);
    return 0;
}

static void keep_event(struct millrace *m, const struct msg_event *event)
{
    if (event->kind != NULL && strcmp(event->kind, "working") == 0) {
        return; /* the daemon looks whether we are there */
    }
    struct pending *kept = calloc(1, sizeof(*kept));
    BUG_ON(kept == NULL);
    arena_init(&kept->arena);
    kept->event.seq = event->seq;
    kept->event.job = arena_strdup(&kept->arena, event->job != NULL ? event->job : "");
    kept->event.kind = arena_strdup(&kept->arena, event->kind != NULL ? event->kind : "");
    if (event->data != NULL) {
        struct doc *data = doc_new(&kept->arena);
        doc_copy(data, &kept->arena, event->data);
        kept->event.data = data;
    }
    *m->last = kept;
    m->last = &kept->next;
}

static int request(struct millrace *m, enum msg_id type, const void *body,
                   const struct sock_frame *frames, int n_frames, struct arena *arena,
                   struct millrace_answer *ret, struct err *err)
{
    int64_t deadline_us = clock_us() + (int64_t)m->timeout_ms * 1000;
    int64_t id = 0;
    int rc = millrace_send(m, type, body, frames, n_frames, &id, err);
    while (rc == 0) {
        int64_t left_us = deadline_us - clock_us();
        rc = receive(m, left_us > 0 ? (int)(left_us / 1000 + 1) : 0, arena, ret, err);
        if (rc < 0) {
            break;
        }
        if (ret->event != NULL) {
            keep_event(m, ret->event);
        } else if (ret->error.code != 0 && (ret->id == id || ret->id == 0)) {
            if (err != NULL) {
                *err = ret->error;
            }
            return ret->error.code;
        } else if (ret->id == id) {
            return 0;
        }
    }
    if (rc == ERR_TIMEOUT) {
        return err_set(err, ERR_TIMEOUT, "the daemon did not answer '%s' in %d s",
                       msg_table[type].name, m->timeout_ms / 1000);
    }
    return rc;
}

int millrace_request(struct millrace *m, enum msg_id type, const void *body,
                     const struct sock_frame *frames, int n_frames, struct arena *arena,
                     const struct doc **ret, struct err *err)
{
    struct millrace_answer answer;
    int rc = request(m, type, body, frames, n_frames, arena, &answer, err);
    if (rc == 0 && ret != NULL) {
        *ret = answer.result;
    }
    return rc;
}

int millrace_request_frames(struct millrace *m, enum msg_id type, const void *body,
                            struct arena *arena, const struct doc **ret,
                            struct sock_frame *ret_frames, int *ret_n, struct err *err)
{
    struct millrace_answer answer;
    int rc = request(m, type, body, NULL, 0, arena, &answer, err);
    if (rc == 0) {
        *ret = answer.result;
        *ret_n = answer.n_frames < *ret_n ? answer.n_frames : *ret_n;
        memcpy(ret_frames, answer.frames, (size_t)*ret_n * sizeof *ret_frames);
    }
    return rc;
}
