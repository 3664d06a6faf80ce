/* control - the trainer's end of the socket pair to the daemon.
 *
 * Owns:     nothing; the descriptor is the process's (CHILD_FD).
 * Threads:  any thread sends; one thread (the feeder, or main before it starts) receives.
 * Errors:   ERR_GONE when the daemon is dead: the caller ends.
 * Lifetime: the process's.
 */
#ifndef TRAINER_CONTROL_H
#define TRAINER_CONTROL_H

#include <pthread.h>

#include "base/log.h"
#include "proto/child.h"

struct control {
    int fd;
    pthread_mutex_t lock;
};

void control_init(struct control *control, int fd);
int control_send(struct control *control, enum msg_id type, const void *body, struct err *err);
/* The same, but gives the message up when the daemon does not read: it must not slow a step.
 * Returns 1 if sent, else 0. */
int control_try(struct control *control, enum msg_id type, const void *body);
void control_log(struct control *control, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void control_failed(struct control *control, const struct err *failure);
void control_paused(struct control *control, const struct err *reason);

#endif
