/* prepare - workers make what a job's pipeline computes once, in parts: ranges of elements, each a
 * kept file of its own.
 *
 * Owns:     a prepare frees itself after `done` was called, when all its workers are reaped.
 * Threads:  the loop's.
 * Errors:   `done` gets a worker's error; ERR_JOB_FAILED when workers die and no part gets made,
 * with the elements that they were at. Lifetime: prepare_start .. done. The descriptors live till
 * then.
 *
 * Workers share the work out among themselves: a part is claimed by a lock that goes with its
 * process. So it does not matter how many there are, which of them die, or whether the daemon does;
 * what is lost is the part that was being made. When all have ended the check is made again: it
 * puts the parts together in their order, and says what is missing next.
 */
#ifndef DAEMON_PREPARE_H
#define DAEMON_PREPARE_H

#include "daemon/fds.h"

struct prepare;
struct prepare_input {
    const char *job;       /* id */
    const struct fds *fds; /* of a worker's start */
    int64_t parts, made, part_elements;
    const char *what; /* "the keys of pipeline[1].filter" */
    int64_t workers;
    /* made: parts so far. */
    void (*tell)(void *context, int64_t made);
    /* err: code 0 = all ended well. */
    void (*done)(void *context, const struct err *err);
    void *context;
};
void prepare_start(struct daemon *daemon, const struct prepare_input *input, struct prepare **ret);
/* Kills the workers; done is called when they are reaped. */
void prepare_stop(struct prepare *prepare);
/* Kills those that are silent and use no processor for hang_seconds. */
void prepare_watch(struct prepare *prepare);

#endif
