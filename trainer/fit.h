/* fit - the fit loop: training steps, validation, metrics, and when to save.
 *
 * Owns:     its history and scratch memory.
 * Threads:  main. It alone touches the model.
 * Errors:   ERR_INTERRUPTED (stopped, saved), ERR_CANCELLED, ERR_NOT_FINITE, ERR_RANGE (a label),
 * ERR_NO_SPACE (a checkpoint), those of feeder_next. Lifetime: the run's.
 *
 * Law 3: what a step does depends on nothing but the model, its batch and the global step.
 */
#ifndef TRAINER_FIT_H
#define TRAINER_FIT_H

#include "trainer/callback/callback.h"
#include "trainer/checkpoint.h"
#include "trainer/feeder.h"
#include "trainer/ledger.h"

struct fit {
    const struct job_spec *job;
    const struct feed_plan *plan;
    struct model *model;
    struct feeder *feeder;
    struct control *control;
    struct checkpoint *checkpoint;
    struct ledger *ledger;
    struct callbacks *callbacks;
    struct state state;
    struct arena arena;   /* history, the job's lifetime */
    struct arena epoch;   /* what waits for the end of a validation */
    struct arena scratch; /* of a message */
    struct doc *history;
    struct doc *metrics; /* of the epoch, while its validation runs */
    bool stopped;        /* a callback has ended the training */
    const char *restore; /* the file whose weights the model ends with, or NULL */
    const char *due;     /* why a checkpoint is due, or NULL */
    int64_t begun_step;  /* global step of the last save begun, or where the run began */
    int64_t kept_step;   /* of the newest checkpoint on the disk */
    int64_t write_steps; /* so many are trained while one is written, at most a half interval */
    int64_t shown_us, shown_rows, shown_wait_us, shown_step; /* at the last progress message */
    int64_t rows, steps_done;
    int64_t validation_step, shown_validation; /* finished steps of the epoch's validation */
    int64_t epoch_us;                          /* when the epoch began */
    double step_us;                            /* recent mean, waiting included */
};

/* state: where to go on from (zeroed = from the start). */
void fit_init(struct fit *fit, const struct state *state);
int fit_run(struct fit *fit, struct err *err);
/* {file, epochs, global_step, metrics} for child.result. */
void fit_result(const struct fit *fit, struct doc *map, struct arena *arena);
void fit_fini(struct fit *fit);

/* fit_show.c: at most ten times a second; at the end of an epoch if there is news; or in any case.
 */
enum fit_show { FIT_SHOW_SELDOM, FIT_SHOW_AT_ONCE, FIT_SHOW_ALIVE };
void fit_show_progress(struct fit *fit, int64_t step, enum fit_show when);
void fit_show_epoch(struct fit *fit, const struct doc *metrics);

#endif
