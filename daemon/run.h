/* run - a job that trains: its trainer, its workers, the memory they share, and what to do when one
 * of them ends.
 *
 * Owns:     a run frees itself when its job leaves it (finished, failed, paused, cancelled) and all
 * children are reaped. Threads:  the loop's. Errors:   end in the job's state and reason. Lifetime:
 * run_start .. the last reap.
 */
#ifndef DAEMON_RUN_H
#define DAEMON_RUN_H

#include "daemon/jobs.h"

enum run_intent { RUN_GO_ON, RUN_PAUSE, RUN_CANCEL, RUN_SHUTDOWN };

/* Moves the job to `adapting` and starts its children; on failure the job fails. */
void run_start(struct job *job);
/* Asks the trainer to save and end (or only to end); the job moves when everything is reaped. */
void run_stop(struct run *run, enum run_intent intent);
/* A worker waits for what no client feeds: saves, and pauses the job with that reason. */
void run_starve(struct run *run, const struct err *why);
/* A list of {worker, pid, state, restarts, reason, ready}; the trainer is worker 0. run may be
 * NULL. */
void run_write(const struct run *run, struct doc *list, struct arena *arena);
/* Looks for a trainer that hangs; called once a second. */
void run_watch(struct run *run);
/* Batches in a job's shared memory for a depth of prefetch (0 = AUTOTUNE); 0 if none fits. */
int64_t run_slabs(const struct daemon *daemon, int64_t slab_bytes, int64_t prefetch);

#endif
