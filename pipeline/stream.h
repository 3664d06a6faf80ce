/* stream - one compiled stream: which sample stands in which row of which step, and what is done to
 * its fields.
 *
 * Owns:     what stream_compile allocates lives in the arena; the source is borrowed; stream_fini
 *           gives back the memory of fields.
 * Threads:  one (nodes count their time).
 * Errors:   of compile: path into the job document. stream_make: those of source_read and op_run.
 * Lifetime: the arena's.
 */
#ifndef PIPELINE_STREAM_H
#define PIPELINE_STREAM_H

#include "pipeline/op.h"
#include "pipeline/pool.h"
#include "pipeline/source.h"
#include "pipeline/stage.h"

struct explain_mark;
enum { STREAM_STAGES_MAX = 32, STREAM_OPS_MAX = 64 };

struct stream_order { /* an order stage and how many elements it gets */
    struct stage stage;
    int64_t n;
};
struct stream_op {
    struct op op;
    int level;  /* so many order stages stand before it: whose place its draws are keyed with */
    bool exact; /* not to be fused */
    const char *path; /* in the job: "pipeline[1].map[0]" */
    int line;
    uint32_t fields; /* bit i: works on field i */
};
struct stream_node { /* one pass over the sample: an op, or several fused */
    const struct stream_op *ops;
    int n_ops;
    const char *name;
    struct op_spec in, out;
    size_t out_bytes;     /* 0 = depends on the sample */
    bool is_geometric;    /* one resampling, then factor and term */
    float *factor, *term; /* fused linear ops, one a channel; NULL without */
    struct affine fill;   /* of a resampling: all but its map */
    const char *apart;    /* why the next op is a pass of its own; NULL: there is none */
    int64_t us;
};
/* What is done to one field. An op on several fields draws the same numbers for each of them. */
struct stream_chain {
    int field;
    const char *name;
    struct stream_op *ops;
    int n_ops;
    struct stream_node *nodes;
    int n_nodes;
    struct op_scratch made; /* of stream_get */
    bool is_to_floats;      /* what comes out is turned into float32 */
    size_t row_bytes;       /* 0 = depends on the sample */
    size_t in_bytes;        /* of a row as it is read, where the stream takes blocks */
};

struct stream_want {
    const struct doc *stages; /* or NULL */
    const char *path;         /* of them: "pipeline" */
    bool is_training;         /* else order and random parts are left out, and no row is */
    bool is_ops_only;         /* for predictions: only what stands in maps, a sample at a time */
    bool is_inner;            /* stands inside another one: no batches of the trainer's */
    bool is_unbatched;        /* is_inner: its elements are those that the last batch is made of */
    uint64_t seed;
    int64_t epochs, steps_per_epoch;
    /* Or NULL: fields become float32 where these are, as random ops left out would have made them.
     */
    const struct element_spec *like;
};

/* Scratch of whoever runs samples. */
struct stream_buffers {
    struct op_scratch side[2], op;
};

struct stream {
    struct source *source;
    uint64_t seed;
    int64_t n; /* elements of an iteration, before batches; STAGE_ENDLESS */
    struct stream_buffers buffers;
    struct stream_order orders[STREAM_STAGES_MAX];
    int n_orders, batch_at; /* orders[batch_at..] count batches */
    struct stream_op ops[STREAM_OPS_MAX];
    int n_ops;
    struct stream_chain *chains; /* one a field */
    struct element_spec spec;    /* of what comes out */
    int64_t batch, steps, rows;  /* rows: of an epoch */
    bool drop_remainder, is_endless, is_inner;
    bool is_fixed;     /* an element of the source has the same fields in each iteration */
    bool is_reordered; /* and stands at another place */
    bool ignores_errors;
    int64_t prefetch, prefetch_bytes; /* 0 = AUTOTUNE; 0 = not given */
    int64_t source_us;
    int64_t block_rows; /* so many at once (block.h); 0: one by one */
    struct stage_place *block_places;
    const struct explain_mark *marks; /* what came out of each stage (explain.h) */
};

int stream_compile(struct stream *ret, struct source *source, const struct stream_want *want,
                   struct pool *pool, struct err *err);
int64_t stream_rows(const struct stream *stream, int64_t step);

/* Places of a row: [0] in the source, [k] behind k order stages. */
struct stream_places {
    struct stage_place at[STREAM_STAGES_MAX + 1];
    int64_t epoch, step; /* of the row, for what is drawn once a batch */
};
void stream_place(const struct stream *stream, int64_t epoch, int64_t step, int64_t row,
                  struct stream_places *ret);
/* Places in the source of n rows from `row` on. */
void stream_block(const struct stream *stream, int64_t epoch, int64_t step, int64_t row, int64_t n,
                  struct stage_place *ret);
/* The same for the n-th row behind the given one, over the end of the epoch from its beginning
 * (replacements). */
void stream_place_next(const struct stream *stream, int64_t epoch, int64_t step, int64_t row,
                       int64_t ahead, struct stream_places *ret);

/* How an element is asked for. */
struct stream_call {
    struct source_call source;
    int64_t weight; /* so many times the time taken is added to source and nodes; 0 = not timed */
    void *const *rows; /* where field i goes, of row_bytes; NULL: memory that lasts until the next
                          call */
};
/* Reads the element and runs the ops on its fields. On an error ret->sample is the bad one. */
int stream_read(struct stream *stream, const struct stream_places *places,
                const struct stream_call *call, struct element *ret, struct err *err);
/* Places of an element of an inner stream. */
void stream_places_of(const struct stream *stream, const struct stage_place *place,
                      struct stream_places *ret);
/* Is there no element: a row that a batch does not have? */
bool stream_is_hole(const struct stream *stream, const struct stage_place *place);
bool stream_is_empty(const struct stream *stream, const struct stream_places *places);
/* An element of an inner stream. */
int stream_get(struct stream *stream, const struct stage_place *place,
               const struct source_call *call, struct element *ret, struct err *err);
/* The ops of one field on a tensor from elsewhere. */
int stream_apply_field(struct stream *stream, struct stream_chain *chain, const struct tensor *in,
                       const struct stream_places *places, const struct stream_call *call,
                       struct tensor *ret, struct err *err);
void stream_fini(struct stream *stream);

#endif
