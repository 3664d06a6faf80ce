/* state - where a run is: what `millrace.json` in a checkpoint holds beside the tensors.
 *
 * Owns:     nothing; documents live in the arena given.
 * Threads:  the fit loop's; a written document is const and goes to the writer.
 * Errors:   ERR_CORRUPT when a document is not a state.
 * Lifetime: the arena's.
 *
 * Law 3: weights and optimizer state, this, and the batches that follow are all that the rest of a
 * run depends on.
 */
#ifndef TRAINER_STATE_H
#define TRAINER_STATE_H

#include "base/hash.h"
#include "proto/job.h"

enum { STATE_VERSION = 1 };

struct state {
    int64_t epoch, step, global_step; /* finished epochs; finished steps of the current one */
    int64_t seed;
    uint64_t chain; /* over the hashes of all consumed training batches */
    bool finished;
    const char *job;      /* id */
    const char *pipeline; /* content id */
    const char *tensors;  /* content id over the tensors beside it */
    const struct doc *fingerprint;
    const struct doc *metrics; /* accumulators of the epoch in progress, or NULL */
    const struct doc *history; /* a list, one map of metrics an epoch */
    const struct doc *bad;     /* quarantine: [{stream, sample, path, reason, convicted}] */
};

void state_write(const struct state *state, struct doc *map, struct arena *arena);
int state_read(const struct doc *map, struct state *ret, struct err *err);

#endif
