/* sock - ZeroMQ sockets that carry messages: the only place that sees zmq.h.
 *
 * Owns:     struct sock is heap, made by sock_open_*, given back by sock_close. Received frames are valid till the next receive.
 * Threads:  a socket belongs to one thread; a context may be shared.
 * Errors:   ERR_TIMEOUT (nothing there), ERR_GONE (peer unknown or dead), ERR_BUSY (queue full), ERR_LIMIT (too large), ERR_IO.
 * Lifetime: sockets before their context.
 *
 * ROUTER: mandatory, no handover, MAXMSGSIZE, heartbeats, bounded high-water marks. ipc:// and inproc:// here; tcp:// only with CURVE.
 * sock_fd is edge-triggered: after any send or receive call sock_pending before sleeping.
 */
#ifndef PROTO_SOCK_H
#define PROTO_SOCK_H

#include <stdbool.h>

#include "proto/msg.h"

enum { SOCK_FRAMES_MAX = 64, SOCK_PEER_MAX = 64 };

struct sock_context;
struct sock;
struct sock_frame {
    const void *data;
    size_t size;
};
struct sock_peer {
    unsigned char id[SOCK_PEER_MAX];
    size_t size;
};
struct sock_options {
    size_t max_bytes;  /* of one frame; 0 = 64 MiB */
    int high_water;    /* messages; 0 = 1000 */
    bool no_reconnect; /* workers: a lost connection means exit */
    int linger_ms;
};

struct sock_context *sock_context_create(void);
void sock_context_destroy(struct sock_context *context);
int sock_open_router(struct sock_context *context, const char *address, const struct sock_options *options,
                     struct sock **ret, struct err *err);
int sock_open_dealer(struct sock_context *context, const char *address, const struct sock_options *options,
                     struct sock **ret, struct err *err);
void sock_close(struct sock *sock);
int sock_fd(const struct sock *sock);
bool sock_pending(struct sock *sock); /* something can be received now */
/* Waits for input on sock and on extra_fds (n of them, may be 0): bit 0 = sock, bit 1+i = extra_fds[i]; 0 = timeout. */
int sock_poll(struct sock *sock, const int *extra_fds, int n, int timeout_ms);
/* DEALER: peer NULL. Frames are copied. */
int sock_send(struct sock *sock, const struct sock_peer *peer, enum msg_id type, int64_t id, const void *body,
              const struct sock_frame *frames, int n_frames, struct err *err);
/* Never blocks. frames: payload frames behind the envelope, at most SOCK_FRAMES_MAX. uid: of the peer on ipc, or -1.
 * An undecodable message fills err and *ret_peer (answer it with error), and is consumed. */
int sock_recv(struct sock *sock, struct sock_peer *ret_peer, struct arena *arena, struct msg *ret,
              struct sock_frame *frames, int *ret_n_frames, int64_t *ret_uid, struct err *err);
/* Takes the bytes of a received frame without copying them; they live till sock_kept_free, on any thread. */
struct sock_kept;
struct sock_kept *sock_keep(struct sock *sock, const struct sock_frame *frame);
const void *sock_kept_data(const struct sock_kept *kept);
void sock_kept_free(struct sock_kept *kept); /* takes NULL */
/* True when the (DEALER's) connection was lost, from the socket's monitor. */
bool sock_lost(struct sock *sock);
uint64_t sock_bytes_sent(const struct sock *sock);
uint64_t sock_bytes_received(const struct sock *sock);

#endif
