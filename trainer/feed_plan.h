/* feed_plan - the sequence of batches of a fit: training steps of an epoch, its validation, the
 * next epoch.
 *
 * Owns:     nothing; texts of the layouts live in the arena given.
 * Threads:  a read plan is const and shared by the feeder and the fit loop.
 * Errors:   ERR_INVALID, ERR_MISSING, ERR_SHAPE for a data plan that does not hold together; path
 * into the plan. Lifetime: the arena's.
 *
 * Law 2: what stands at a position depends on nothing but the job and the position.
 */
#ifndef TRAINER_FEED_PLAN_H
#define TRAINER_FEED_PLAN_H

#include <stdbool.h>

#include "proto/job.h"
#include "proto/slab.h"

enum { FEED_TRAIN, FEED_VALIDATION, FEED_STREAM_MAX_ };
enum { FEED_SLABS_MAX = 256 };

struct feed_position {
    int64_t epoch;  /* 0.. */
    int64_t stream; /* FEED_TRAIN ... */
    int64_t step;   /* 0.. within the stream of that epoch */
};

struct feed_stream {
    bool given;
    int64_t steps;   /* an epoch */
    int64_t samples; /* rows an epoch */
    int64_t batch;
    int64_t prefetch; /* 0 = AUTOTUNE */
    bool whole_batch; /* an op of batch scope: one worker makes all rows */
    struct slab_layout layout;
    int label;   /* field index of "y", -1 if none */
    int sample;  /* field index of "__sample" */
    int ok;      /* field index of "__ok" */
    int n_input; /* fields 0..n_input-1 but for the label are inputs */
};

struct feed_plan {
    int64_t epochs;
    int64_t validation_freq;
    const char *pipeline; /* content id */
    struct feed_stream stream[FEED_STREAM_MAX_];
    size_t slab_bytes;
};

int feed_plan_read(const struct doc *plan, const struct job_spec *job, struct arena *arena,
                   struct feed_plan *ret, struct err *err);
/* Where a run stands that finished `step` training steps of `epoch` (step == steps: its validation
 * comes next). */
struct feed_position feed_plan_at(const struct feed_plan *plan, int64_t epoch, int64_t step);
bool feed_plan_validates(const struct feed_plan *plan, int64_t epoch);
bool feed_plan_is_end(const struct feed_plan *plan, const struct feed_position *at);
struct feed_position feed_plan_next(const struct feed_plan *plan, const struct feed_position *at);
int64_t feed_plan_rows(const struct feed_plan *plan, const struct feed_position *at);

#endif
