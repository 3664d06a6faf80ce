/* job - the job file: its top level as option tables. What stands inside `pipeline`, `model` and `compile` is read by the
 * parts that own it (pipeline/, trainer/); the daemon never looks in here.
 *
 * Owns:     nothing; everything lives in the arena given.
 * Threads:  a read spec is const.
 * Errors:   as opt_read, with the path from the root of the job.
 * Lifetime: the arena's.
 */
#ifndef PROTO_JOB_H
#define PROTO_JOB_H

#include "base/opt.h"

enum job_on_error { JOB_ON_ERROR_FAIL, JOB_ON_ERROR_SKIP, JOB_ON_ERROR_REPLACE };
enum job_ledger { JOB_LEDGER_NONE, JOB_LEDGER_STEPS, JOB_LEDGER_SAMPLES };
enum job_transport { JOB_TRANSPORT_SLAB, JOB_TRANSPORT_INLINE };
enum job_on_fingerprint { JOB_ON_FINGERPRINT_PAUSE, JOB_ON_FINGERPRINT_CONTINUE };

struct job_stream {      /* data.train, data.validation */
    const char *dataset; /* a name in the store; NULL = stream not given */
    const char *split;   /* "train", "test", "val", ...; NULL = the whole set */
    const struct doc *source; /* how it is read: `images` or {images: {options}}; NULL = by the data set's kind */
};
struct job_data {
    struct job_stream train;
    struct job_stream validation;
    int on_error;      /* enum job_on_error */
    double max_bad;    /* largest share of bad samples before the job fails with too_many_bad */
};
struct job_checkpoint {
    int64_t every_epochs;
    int64_t every_steps;   /* 0 = off */
    double every_seconds;  /* 0 = off */
    int64_t keep;
};
struct job_fit {
    int64_t epochs;
    int64_t seed;
    int64_t steps_per_epoch;  /* 0 = all */
    int64_t validation_freq;
    struct job_checkpoint checkpoint;
    const struct doc *callbacks; /* one or a list, by name; NULL = none */
    int ledger;         /* enum job_ledger */
    int on_fingerprint; /* enum job_on_fingerprint */
};
struct job_resources {
    int64_t workers;     /* 0 = AUTOTUNE */
    int64_t max_workers; /* 0 = as many as the affinity mask has processors */
    int64_t threads;     /* of the trainer; 0 = chosen by FLOPs a step and processors */
    const char *backend; /* "auto", "ref", "blas", "dnnl" */
    int transport;       /* enum job_transport */
};
struct job_spec {
    const char *name;
    struct job_data data;
    const struct doc *pipeline;            /* a list of stages; NULL = batch only */
    const struct doc *validation_pipeline; /* NULL = pipeline without shuffle, repeat and random ops */
    const struct doc *model;               /* a list of layers, a graph, or {from: PATH or JOB} */
    const struct doc *compile;             /* {optimizer, loss, metrics} */
    struct job_fit fit;
    struct job_resources resources;
};

extern const struct opt job_options[];

int job_read(const struct doc *doc, struct arena *arena, struct job_spec *ret, struct err *err);
/* The unique data set names that a job needs, in order. */
void job_datasets(const struct job_spec *job, struct arena *arena, struct opt_strs *ret);
/* The name of a job that `model: {from: ...}` starts from, or NULL. */
const char *job_model_from(const struct job_spec *job);

#endif
