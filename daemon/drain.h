/* drain - a pipeline that runs alone: workers as a job has them, and a trainer that takes their batches and has no
 * model.
 *
 * Owns:     a drain frees itself after `done` was called, when all its children are reaped.
 * Threads:  the loop's.
 * Errors:   `done` gets the trainer's or a worker's error, ERR_INTERNAL for one that died, ERR_TIMEOUT.
 * Lifetime: drain_start .. done. What is in the input lives till then.
 */
#ifndef DAEMON_DRAIN_H
#define DAEMON_DRAIN_H

#include "daemon/check.h"

struct drain_input {
    const struct check_input *job; /* text and pins */
    const struct doc *plan;        /* of its pipeline */
    int64_t workers, steps;
    double seconds;
};

struct drain;
/* result: NULL with an error; lives till the callback returns. */
typedef void drain_fn(void *context, const struct doc *result, const struct err *err);

/* How many workers: what is wished, else what the job says, else one a processor. */
int64_t drain_workers(const struct doc *job, int64_t wished);
int drain_start(struct daemon *daemon, const struct drain_input *input, drain_fn *done,
                void *context, struct drain **ret, struct err *err);
void drain_stop(struct drain *drain);

#endif
