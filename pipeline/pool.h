/* pool - the data sets that a stream reads and the streams inside of it (of zip, window, ...).
 *
 * Owns:     every source and stream made through it; pool_close closes them.
 * Threads:  one at a time.
 * Errors:   pool_open: ERR_NOT_FOUND (path "dataset") and those of source_open.
 * Lifetime: the pipeline's.
 *
 * Samples are numbered through all data sets of the pool, in the order in which they were opened,
 * so that one number names a bad sample.
 */
#ifndef PIPELINE_POOL_H
#define PIPELINE_POOL_H

#include "base/hash.h"
#include "pipeline/op.h"
#include "pipeline/pipeline.h"
#include "pipeline/source.h"
#include "pipeline/stage.h"

struct stream;
struct pool_item;
struct pool_step;
struct pool {
    struct arena *arena;
    const struct pipeline_store *store;
    struct pool_item *first;
    int64_t samples; /* of all data sets opened */
    bool takes_bad;  /* on_error: a malformed record is a bad sample */
    /* Of all stages and ops in the order in which they are written, inner streams included. */
    struct stage_names stage_names;
    struct op_names op_names;
    struct pool_step *first_step, *last_step; /* what was compiled so far */
    bool is_fed;          /* a client feeds one of the data sets: nothing is kept */
    bool is_drawn;        /* with the seed of the job */
    const char *batch_op; /* an op that draws once a batch; or NULL */
};

void pool_init(struct pool *pool, const struct pipeline_store *store, struct arena *arena);
void pool_close(struct pool *pool);
int pool_open(struct pool *pool, const struct job_stream *data, struct source **ret,
              struct err *err);
/* What was compiled so far, in its order: a text or a document each, which must last. */
void pool_note(struct pool *pool, const char *text, const struct doc *doc);
/* A name of all of it, data sets by their content: who compiles the same gets the same. */
void pool_trail(struct pool *pool, char ret[HASH_ID_TEXT]);
void pool_note_seed(struct pool *pool, uint64_t seed);
/* The same of what stands before the stage that is being compiled; without the seed where nothing
 * was drawn. */
void pool_trail_before(struct pool *pool, char ret[HASH_ID_TEXT]);
struct source *pool_source(struct pool *pool); /* empty */
struct stream *pool_stream(struct pool *pool); /* empty */
/* The i-th stream made, or NULL: the order in which elements pass through them. */
struct stream *pool_inner(const struct pool *pool, int i);
/* The file of a sample. */
const char *pool_path(const struct pool *pool, int64_t sample);
/* Where it begins in the file, unpacked; -1: not known. */
int64_t pool_offset(const struct pool *pool, int64_t sample);

#endif
