/* explain - what a compiled pipeline does, for people: the elements after every stage, the passes and
 * why they are not fewer, bytes.
 *
 * Owns:     marks live in the arena of the compile.
 * Threads:  const after the compile.
 * Errors:   none.
 * Lifetime: the pipeline's.
 */
#ifndef PIPELINE_EXPLAIN_H
#define PIPELINE_EXPLAIN_H

#include "pipeline/pipeline.h"
#include "pipeline/stream.h"

/* What comes out of a stage; the first one is the source. */
struct explain_mark {
    struct explain_mark *next;
    const char *stage, *path; /* path: of the list of stages */
    int64_t at;               /* in the list; -1: not written there */
    int64_t elements;         /* batches if batch > 0; STAGE_ENDLESS */
    int64_t batch;            /* rows */
    bool has_fewer;           /* some batches have fewer rows */
    bool is_left_out;         /* of this stream */
    struct element_spec spec; /* of a row; -1: differs from sample to sample */
    struct element_spec like; /* if all samples have to be as large as the first */
};
struct explain_marks {
    struct explain_mark *first, *last;
};
/* Of the stages read so far; `what` without its spec. */
void explain_add(struct explain_marks *marks, const struct stream *stream,
                 const struct explain_mark *what, struct arena *arena);

/* {pipeline, slab_bytes, n_classes, streams: {train: {dataset, split, stages: [{stage, path, elements
 * (-1 = endless), batch, left_out, fields}], passes: [{field, name, ops: [{name, path}], in, out, apart}],
 * steps, rows, batch, prefetch, row_bytes, batch_bytes}}, scratch_bytes}. */
void pipeline_explain(const struct pipeline *pipeline, struct doc *map, struct arena *arena);

#endif
