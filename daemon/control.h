/* control - the control socket: one request, one answer, by the message table.
 *
 * Owns:     the ROUTER socket and the list of watching clients.
 * Threads:  the loop's.
 * Errors:   every request is answered, with `error` if need be; a lost client is no error.
 * Lifetime: control_open .. control_close.
 */
#ifndef DAEMON_CONTROL_H
#define DAEMON_CONTROL_H

#include "daemon/daemon.h"
#include "proto/sock.h"

struct control;

/* Where an answer goes; a plain value that outlives the message. */
struct request {
    struct sock_peer peer;
    int64_t id;
    int64_t uid; /* of the client, -1 if unknown */
};

typedef void control_fn(struct daemon *daemon, const struct request *request, const void *body,
                        const struct sock_frame *frames, int n_frames);

int control_open(struct daemon *daemon, struct err *err);
void control_close(struct daemon *daemon);

void control_reply(struct daemon *daemon, const struct request *request, const struct doc *result);
/* Takes the bytes of a frame of the request that is being handled. */
struct sock_kept *control_keep(struct daemon *daemon, const struct sock_frame *frame);
/* With raw frames behind the answer; they are copied. */
void control_reply_frames(struct daemon *daemon, const struct request *request,
                          const struct doc *result, const struct sock_frame *frames, int n_frames);
void control_reply_empty(struct daemon *daemon, const struct request *request);
/* Without id, to one peer. ERR_GONE: it is not there any more. */
int control_send(struct daemon *daemon, const struct sock_peer *peer, enum msg_id type,
                 const void *body);
void control_error(struct daemon *daemon, const struct request *request, const struct err *err);

/* Sends an event to one peer or to all that watch the job. seq 0: not stored, carries the last
 * number. */
void control_watch(struct daemon *daemon, const struct request *request, const char *job);
bool control_may_watch(const struct daemon *daemon);
bool control_is_watched(const struct daemon *daemon, const char *job);
void control_event_to(struct daemon *daemon, const struct sock_peer *peer, const char *job,
                      int64_t seq, const char *kind, const struct doc *data);
/* Is a client that waits for an answer still connected? Asked by sending it the event "working". */
bool control_is_there(struct daemon *daemon, const struct sock_peer *peer);
void control_event(struct daemon *daemon, const char *job, int64_t seq, const char *kind,
                   const struct doc *data);

#endif
