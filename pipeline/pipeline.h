/* pipeline - from a job's `data` and `pipeline` to the rows of a batch: compile once, then a pure
 * function.
 *
 * Owns:     pipeline_compile allocates from the arena; pipeline_destroy closes what the sources
 * opened. Threads:  a compiled pipeline is used by one thread (it has scratch memory); processes
 * compile their own, equal ones. Errors:   of compile: point into the document. Of run: ERR_DATA
 * only for what `on_error: fail` refuses (path = file, text = reason). Lifetime: the process's.
 *
 * Law 2: pipeline_run(epoch, step, begin, end) depends on nothing but its arguments and the
 * compiled pipeline.
 */
#ifndef PIPELINE_PIPELINE_H
#define PIPELINE_PIPELINE_H

#include "base/doc.h"
#include "pipeline/asks.h"
#include "proto/job.h"
#include "proto/msg.h"
#include "proto/slab.h"

enum pipeline_stream { PIPELINE_TRAIN, PIPELINE_VALIDATION, PIPELINE_STREAM_MAX_ };

/* Where a source reads: manifests by data set name and folders (all read-only). */
struct pipeline_manifest {
    const char *dataset;
    const struct doc *files; /* {kind, files: [{path, bytes, id}]} sorted by path; with `place` if
                              * they lie in a folder of a user's */
    int place_fd;            /* that folder; only looked at with `place` */
};
struct kept;
struct pipeline_store {
    int blobs_fd; /* folder; blob of id "abcd..." is the file "ab/abcd..." */
    const struct pipeline_manifest *manifests;
    int n_manifests;
    struct kept *kept; /* what was computed once of these data sets; NULL: all is made in memory */
    struct asks *asks; /* for what a client feeds; NULL: only what is stored can be read */
};

struct pipeline;
int pipeline_compile(const struct job_spec *job, const struct pipeline_store *store,
                     struct arena *arena, struct pipeline **ret, struct err *err);
void pipeline_destroy(struct pipeline *pipeline);

/* The data half of the plan:
 * {pipeline: id, streams: {train: {dataset, split, samples, batch, steps (an epoch), repeat,
 * fields: [{name, kind, dtype, shape}], prefetch: n or 0 = AUTOTUNE}, validation: {...} or absent},
 * classes: [names], n_classes, top_class, slab_bytes}. Fields: "x" (and more) then "y". */
void pipeline_plan(const struct pipeline *pipeline, struct doc *map, struct arena *arena);
const char *pipeline_id(const struct pipeline *pipeline);
bool pipeline_has(const struct pipeline *pipeline, enum pipeline_stream stream);
int64_t pipeline_steps(const struct pipeline *pipeline, enum pipeline_stream stream);
/* Rows of the batch of a step (the last may be shorter). */
int64_t pipeline_rows(const struct pipeline *pipeline, enum pipeline_stream stream, int64_t step);

/* Progress into shared memory, so that a death names its sample; NULL in checkers and tests. */
struct pipeline_progress {
    struct slab_in_flight *in_flight;
};
/* Writes rows begin..end of a batch into `slab` (laid out as slab_layout says). Rows of `skip` are
 * only marked. Bad rows get __ok = 0 and a record in ret_bad (arena). stages: per-op microseconds
 * are added when not NULL (pipeline_stage_name gives names). */
int pipeline_run(struct pipeline *pipeline, const struct msg_chunk_make *chunk,
                 const struct slab_layout *layout, unsigned char *slab,
                 struct pipeline_progress *progress, struct arena *arena,
                 struct opt_groups *ret_bad, struct err *err);
/* {op name: us} since the last call; resets. */
void pipeline_stage_times(struct pipeline *pipeline, struct doc *map, struct arena *arena);
/* Deterministic part applied to one input file (PNG, JPEG, .npy bytes) or to a sample of a stream,
 * for predictions: writes one row of field x. */
int pipeline_predict_file(struct pipeline *pipeline, const void *data, size_t size, void *ret_row,
                          struct err *err);
int pipeline_predict_sample(struct pipeline *pipeline, enum pipeline_stream stream, int64_t sample,
                            void *ret_row, int64_t *ret_label, struct err *err);

#endif
