#include "proto/sock.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "base/clock.h"

enum {
    DEFAULT_BYTES = 64 << 20,
    DEFAULT_HIGH_WATER = 1000,
    HEARTBEAT_MS = 1000,
    HEARTBEAT_TIMEOUT_MS = 10000,
    HANDSHAKE_MS = 5000,
    CONNECT_MS = 5000,
    MONITORED = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED | ZMQ_EVENT_CONNECT_RETRIED,
    MAX_SOCKETS = 1023,
    EXTRA_MAX = 15,
};

struct sock_context {
    void *zmq;
    atomic_uint n_monitors;
};

struct sock {
    void *zmq;
    void *monitor; /* DEALER only: a lost connection shows here */
    bool router;
    bool lost;
    /* Nothing was there and nothing was done since: whatever comes makes its descriptor readable. */
    bool is_drained, is_monitor_drained;
    int n_parts; /* received frames that are held */
    zmq_msg_t parts[SOCK_FRAMES_MAX];
    uint64_t bytes_sent, bytes_received;
    struct buf envelope; /* reused: no allocation a message once it has grown */
};

struct sock_context *sock_context_create(void)
{
    struct sock_context *context = calloc(1, sizeof *context);
    BUG_ON(context == NULL);
    context->zmq = zmq_ctx_new();
    BUG_ON(context->zmq == NULL);
    zmq_ctx_set(context->zmq, ZMQ_MAX_SOCKETS, MAX_SOCKETS);
    return context;
}

void sock_context_destroy(struct sock_context *context)
{
    if (context != NULL) {
        zmq_ctx_term(context->zmq);
        free(context);
    }
}

static void set_int(void *zmq, int option, int value)
{
    BUG_ON(zmq_setsockopt(zmq, option, &value, sizeof value) != 0);
}

static int failed(struct err *err, const char *what, const char *address)
{
    int e = zmq_errno();
    if (e == ECONNREFUSED || e == ENOENT) {
        return err_set(err, ERR_UNREACHABLE, "%s '%s': %s", what, address, zmq_strerror(e));
    }
    return err_set(err, e == EADDRINUSE ? ERR_BUSY : ERR_IO, "%s '%s': %s", what, address, zmq_strerror(e));
}

static struct sock *create(struct sock_context *context, int type, const struct sock_options *options)
{
    static const struct sock_options defaults = {0};
    const struct sock_options *o = options != NULL ? options : &defaults;
    struct sock *sock = calloc(1, sizeof *sock);
    BUG_ON(sock == NULL);
    sock->router = type == ZMQ_ROUTER;
    sock->zmq = zmq_socket(context->zmq, type);
    BUG_ON(sock->zmq == NULL);
    int64_t max_bytes = o->max_bytes > 0 ? (int64_t)o->max_bytes : DEFAULT_BYTES;
    BUG_ON(zmq_setsockopt(sock->zmq, ZMQ_MAXMSGSIZE, &max_bytes, sizeof max_bytes) != 0);
    int high_water = o->high_water > 0 ? o->high_water : DEFAULT_HIGH_WATER;
    set_int(sock->zmq, ZMQ_SNDHWM, high_water);
    set_int(sock->zmq, ZMQ_RCVHWM, high_water);
    set_int(sock->zmq, ZMQ_LINGER, o->linger_ms);
    set_int(sock->zmq, ZMQ_IMMEDIATE, 1);
    set_int(sock->zmq, ZMQ_HEARTBEAT_IVL, HEARTBEAT_MS);
    set_int(sock->zmq, ZMQ_HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS);
    set_int(sock->zmq, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS);
    if (o->no_reconnect) {
        set_int(sock->zmq, ZMQ_RECONNECT_IVL, -1);
    }
    return sock;
}

int sock_open_router(struct sock_context *context, const char *address, const struct sock_options *options,
                     struct sock **ret, struct err *err)
{
    struct sock *sock = create(context, ZMQ_ROUTER, options);
    set_int(sock->zmq, ZMQ_ROUTER_MANDATORY, 1);
    if (zmq_bind(sock->zmq, address) != 0) {
        int r = failed(err, "bind", address);
        sock_close(sock);
        return r;
    }
    *ret = sock;
    return 0;
}

/* The monitor's endpoint must be unique in the context; that of a closed socket lives on for a while. */
static void open_monitor(struct sock_context *context, struct sock *sock)
{
    char endpoint[64];
    (void)snprintf(endpoint, sizeof endpoint, "inproc://monitor-%u", atomic_fetch_add(&context->n_monitors, 1));
    if (zmq_socket_monitor(sock->zmq, endpoint, MONITORED) == 0) {
        sock->monitor = zmq_socket(context->zmq, ZMQ_PAIR);
        if (sock->monitor != NULL && zmq_connect(sock->monitor, endpoint) != 0) {
            zmq_close(sock->monitor);
            sock->monitor = NULL;
        }
    }
}

/* The next event of the monitor, 0 if there is none. */
static int next_event(struct sock *sock)
{
    zmq_msg_t part;
    uint16_t event = 0;
    zmq_msg_init(&part);
    if (zmq_msg_recv(&part, sock->monitor, ZMQ_DONTWAIT) >= (int)sizeof event) {
        memcpy(&event, zmq_msg_data(&part), sizeof event);
    }
    bool more = zmq_msg_more(&part) != 0;
    zmq_msg_close(&part);
    if (more) { /* the address */
        zmq_msg_init(&part);
        zmq_msg_recv(&part, sock->monitor, ZMQ_DONTWAIT);
        zmq_msg_close(&part);
    }
    return event;
}

/* With ZMQ_IMMEDIATE nothing can be sent before the handshake: wait for it, so that the first send cannot be refused. */
static int wait_connected(struct sock *sock, const char *address, struct err *err)
{
    int64_t deadline = clock_us() + (int64_t)CONNECT_MS * 1000;
    for (;;) {
        int64_t left_ms = (deadline - clock_us()) / 1000;
        zmq_pollitem_t item = {.socket = sock->monitor, .events = ZMQ_POLLIN};
        int event = 0;
        if (left_ms > 0 && zmq_poll(&item, 1, (long)left_ms) > 0) {
            event = next_event(sock);
        } else if (left_ms <= 0) {
            return err_set(err, ERR_TIMEOUT, "connect '%s': no answer in %d ms", address, CONNECT_MS);
        }
        if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
            return 0;
        }
        if (event != 0) {
            return err_set(err, ERR_UNREACHABLE, "connect '%s': nobody answers there", address);
        }
    }
}

int sock_open_dealer(struct sock_context *context, const char *address, const struct sock_options *options,
                     struct sock **ret, struct err *err)
{
    struct sock *sock = create(context, ZMQ_DEALER, options);
    open_monitor(context, sock);
    int r = sock->monitor == NULL                     ? failed(err, "monitor", address)
            : zmq_connect(sock->zmq, address) != 0 ? failed(err, "connect", address)
                                                   : wait_connected(sock, address, err);
    if (r < 0) {
        sock_close(sock);
        return r;
    }
    *ret = sock;
    return 0;
}

static void drop_parts(struct sock *sock)
{
    for (int i = 0; i < sock->n_parts; i++) {
        zmq_msg_close(&sock->parts[i]);
    }
    sock->n_parts = 0;
}

void sock_close(struct sock *sock)
{
    if (sock == NULL) {
        return;
    }
    drop_parts(sock);
    if (sock->monitor != NULL) {
        zmq_socket_monitor(sock->zmq, NULL, 0);
        set_int(sock->monitor, ZMQ_LINGER, 0);
        zmq_close(sock->monitor);
    }
    zmq_close(sock->zmq);
    buf_fini(&sock->envelope);
    free(sock);
}

static int fd_of(void *zmq)
{
    int fd = -1;
    size_t size = sizeof fd;
    BUG_ON(zmq_getsockopt(zmq, ZMQ_FD, &fd, &size) != 0);
    return fd;
}

static bool has_input(void *zmq)
{
    int events = 0;
    size_t size = sizeof events;
    return zmq_getsockopt(zmq, ZMQ_EVENTS, &events, &size) == 0 && (events & ZMQ_POLLIN) != 0;
}

int sock_fd(const struct sock *sock)
{
    return fd_of(sock->zmq);
}

bool sock_pending(struct sock *sock)
{
    sock->is_drained = false;
    return has_input(sock->zmq);
}

/* One look at the descriptors; -1: what woke it was no input. */
static int poll_once(struct sock *sock, struct pollfd *fds, int n, int timeout_ms)
{
    const bool has_monitor = sock->monitor != NULL;
    bool is_ready = !sock->is_drained && has_input(sock->zmq);
    bool is_told = has_monitor && !sock->is_monitor_drained && has_input(sock->monitor);
    if (poll(fds, (nfds_t)n + 1 + has_monitor, is_ready || is_told ? 0 : timeout_ms) <= 0 &&
        !is_ready && !is_told) {
        return 0;
    }
    is_ready = is_ready || (fds[0].revents != 0 && has_input(sock->zmq));
    sock->is_drained = !is_ready;
    is_told = is_told || (has_monitor && fds[n + 1].revents != 0);
    sock->is_monitor_drained = sock->is_monitor_drained && !is_told;
    int bits = is_ready || (is_told && sock_lost(sock)); /* the caller's receive then says so */
    for (int i = 1; i <= n; i++) {
        bits |= fds[i].revents != 0 ? 1 << i : 0;
    }
    return bits != 0 ? bits : -1;
}

/* libzmq's own zmq_poll looks at everything twice, with several calls of the system each: as long as a small chunk takes. */
int sock_poll(struct sock *sock, const int *extra_fds, int n, int timeout_ms)
{
    struct pollfd fds[2 + EXTRA_MAX] = {{.fd = fd_of(sock->zmq), .events = POLLIN}};
    BUG_ON(n < 0 || n > EXTRA_MAX);
    for (int i = 0; i < n; i++) {
        fds[1 + i] = (struct pollfd){.fd = extra_fds[i], .events = POLLIN};
    }
    if (sock->monitor != NULL) {
        fds[1 + n] = (struct pollfd){.fd = fd_of(sock->monitor), .events = POLLIN};
    }
    const int64_t deadline_us = timeout_ms > 0 ? clock_us() + (int64_t)timeout_ms * 1000 : 0;
    for (;;) {
        const int bits = poll_once(sock, fds, n, timeout_ms);
        const int64_t left_us = timeout_ms > 0 ? deadline_us - clock_us() : 0;
        if (bits >= 0 || (timeout_ms >= 0 && left_us <= 0)) {
            return bits > 0 ? bits : 0;
        }
        timeout_ms = timeout_ms > 0 ? (int)((left_us + 999) / 1000) : timeout_ms;
    }
}

static int send_error(struct err *err)
{
    int e = zmq_errno();
    if (e == EAGAIN) {
        return err_set(err, ERR_BUSY, "the peer's queue is full or it is not connected");
    }
    if (e == EHOSTUNREACH) {
        return err_set(err, ERR_GONE, "the peer is gone");
    }
    return err_set(err, ERR_IO, "send: %s", zmq_strerror(e));
}

static int send_part(struct sock *sock, const void *data, size_t size, bool more, struct err *err)
{
    int n;
    sock->is_drained = false; /* sending takes in what was signalled */
    do {
        n = zmq_send(sock->zmq, data, size, ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0));
    } while (n < 0 && zmq_errno() == EINTR);
    if (n < 0) {
        return send_error(err);
    }
    sock->bytes_sent += size;
    return 0;
}

int sock_send(struct sock *sock, const struct sock_peer *peer, enum msg_id type, int64_t id, const void *body,
              const struct sock_frame *frames, int n_frames, struct err *err)
{
    BUG_ON(sock->router != (peer != NULL) || n_frames > SOCK_FRAMES_MAX - 2);
    buf_clear(&sock->envelope);
    msg_encode(type, id, body, &sock->envelope);
    int r = peer != NULL ? send_part(sock, peer->id, peer->size, true, err) : 0;
    /* The first part decides whether the message goes out; libzmq queues the rest of it whole. */
    r = r < 0 ? r : send_part(sock, sock->envelope.data, sock->envelope.size, n_frames > 0, err);
    for (int i = 0; i < n_frames && r == 0; i++) {
        r = send_part(sock, frames[i].data, frames[i].size, i + 1 < n_frames, err);
    }
    return r;
}

/* All parts of one message into sock->parts; parts over the limit are read and dropped. */
static int receive_parts(struct sock *sock, struct err *err)
{
    drop_parts(sock);
    bool more = true;
    bool over = false;
    while (more) {
        zmq_msg_t part;
        zmq_msg_init(&part);
        int n;
        do {
            n = zmq_msg_recv(&part, sock->zmq, ZMQ_DONTWAIT);
        } while (n < 0 && zmq_errno() == EINTR);
        if (n < 0) {
            int e = zmq_errno();
            zmq_msg_close(&part);
            sock->is_drained = e == EAGAIN;
            return e == EAGAIN ? err_set(err, ERR_TIMEOUT, "no message") : err_set(err, ERR_IO, "receive: %s", zmq_strerror(e));
        }
        sock->is_drained = false;
        sock->bytes_received += zmq_msg_size(&part);
        more = zmq_msg_more(&part) != 0;
        if (sock->n_parts < SOCK_FRAMES_MAX) {
            sock->parts[sock->n_parts++] = part;
        } else {
            zmq_msg_close(&part);
            over = true;
        }
    }
    return over ? err_set(err, ERR_LIMIT, "more than %d frames", SOCK_FRAMES_MAX) : 0;
}

/* "localhost:uid:gid:pid" on ipc. */
static int64_t uid_of(zmq_msg_t *part)
{
    const char *address = zmq_msg_gets(part, "Peer-Address");
    const char *colon = address != NULL ? strchr(address, ':') : NULL;
    char number[16] = "";
    int64_t uid = -1;
    if (colon == NULL || strncmp(address, "localhost", (size_t)(colon - address)) != 0) {
        return -1;
    }
    size_t n = strcspn(colon + 1, ":");
    if (n == 0 || n >= sizeof number || colon[1 + n] != ':') {
        return -1;
    }
    memcpy(number, colon + 1, n);
    return doc_parse_int(number, &uid) ? uid : -1;
}

int sock_recv(struct sock *sock, struct sock_peer *ret_peer, struct arena *arena, struct msg *ret,
              struct sock_frame *frames, int *ret_n_frames, int64_t *ret_uid, struct err *err)
{
    *ret = (struct msg){0};
    if (ret_peer != NULL) {
        ret_peer->size = 0;
    }
    int first = sock->router ? 1 : 0;
    int r = receive_parts(sock, err);
    if (r == ERR_TIMEOUT && sock_lost(sock)) {
        return err_set(err, ERR_GONE, "the connection is lost");
    }
    if (r < 0 && sock->n_parts == 0) {
        return r;
    }
    if (sock->router && ret_peer != NULL && zmq_msg_size(&sock->parts[0]) <= SOCK_PEER_MAX) {
        ret_peer->size = zmq_msg_size(&sock->parts[0]);
        memcpy(ret_peer->id, zmq_msg_data(&sock->parts[0]), ret_peer->size);
    }
    if (r < 0) {
        return r;
    }
    if (sock->n_parts <= first) {
        return err_set(err, ERR_SYNTAX, "a message without an envelope");
    }
    if (ret_uid != NULL) {
        *ret_uid = uid_of(&sock->parts[first]);
    }
    int n = sock->n_parts - first - 1;
    for (int i = 0; i < n && frames != NULL; i++) {
        zmq_msg_t *part = &sock->parts[first + 1 + i];
        frames[i] = (struct sock_frame){.data = zmq_msg_data(part), .size = zmq_msg_size(part)};
    }
    if (ret_n_frames != NULL) {
        *ret_n_frames = n;
    }
    zmq_msg_t *envelope = &sock->parts[first];
    return msg_decode(zmq_msg_data(envelope), zmq_msg_size(envelope), arena, ret, err);
}

struct sock_kept {
    zmq_msg_t part;
};

struct sock_kept *sock_keep(struct sock *sock, const struct sock_frame *frame)
{
    int i = 0;
    while (i < sock->n_parts && zmq_msg_data(&sock->parts[i]) != frame->data) {
        i++;
    }
    BUG_ON(i == sock->n_parts);
    struct sock_kept *kept = malloc(sizeof *kept);
    BUG_ON(kept == NULL);
    zmq_msg_init(&kept->part);
    BUG_ON(zmq_msg_move(&kept->part, &sock->parts[i]) != 0);
    return kept;
}

const void *sock_kept_data(const struct sock_kept *kept)
{
    return zmq_msg_data((zmq_msg_t *)(uintptr_t)&kept->part);
}

void sock_kept_free(struct sock_kept *kept)
{
    if (kept != NULL) {
        zmq_msg_close(&kept->part);
        free(kept);
    }
}

bool sock_lost(struct sock *sock)
{
    int event = sock->monitor != NULL ? next_event(sock) : 0;
    for (; event != 0; event = next_event(sock)) {
        sock->lost = event != ZMQ_EVENT_HANDSHAKE_SUCCEEDED;
    }
    sock->is_monitor_drained = true;
    return sock->lost;
}

uint64_t sock_bytes_sent(const struct sock *sock)
{
    return sock->bytes_sent;
}

uint64_t sock_bytes_received(const struct sock *sock)
{
    return sock->bytes_received;
}
