/* A worker that does not tell the trainer that it waits: the negative control of chunk.wait. */
#include "proto/sock.h"

int __real_sock_send(struct sock *sock, const struct sock_peer *peer, enum msg_id type, int64_t id,
                     const void *body, const struct sock_frame *frames, int n_frames,
                     struct err *err);
int __wrap_sock_send(struct sock *sock, const struct sock_peer *peer, enum msg_id type, int64_t id,
                     const void *body, const struct sock_frame *frames, int n_frames,
                     struct err *err);

int __wrap_sock_send(struct sock *sock, const struct sock_peer *peer, enum msg_id type, int64_t id,
                     const void *body, const struct sock_frame *frames, int n_frames,
                     struct err *err)
{
    return type == MSG_CHUNK_WAIT
               ? 0
               : __real_sock_send(sock, peer, type, id, body, frames, n_frames, err);
}
