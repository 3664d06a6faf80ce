/* stage - what stands between source and trainer: order, batches, maps. tf.data's names and
 * meaning, as arithmetic on places.
 *
 * Owns:     a stage read from a document lives in the arena given.
 * Threads:  const after reading.
 * Errors:   ERR_UNKNOWN, ERR_INVALID, ERR_RANGE, path below the stage.
 * Lifetime: the arena's.
 *
 * An order stage says which place of its input stands at a place of its output. A place is
 * (iteration, position): the iteration counts passes over the stage's input, of all epochs, and is
 * what a reshuffle is keyed with. A stage that changes elements or takes them from several streams
 * derives: it makes a source, and the stream goes on behind it.
 */
#ifndef PIPELINE_STAGE_H
#define PIPELINE_STAGE_H

#include "base/opt.h"

enum stage_kind { STAGE_ORDER, STAGE_MAP, STAGE_BATCH, STAGE_PREFETCH, STAGE_HINT, STAGE_DERIVE };
enum stage_flag {
    STAGE_TRAIN_ONLY = 1 << 0,  /* left out of a validation stream that is made from the pipeline */
    STAGE_KEEPS_ORDER = 1 << 1, /* the last element stays the last */
    STAGE_REORDERS = 1 << 2,    /* another order in each iteration */
    STAGE_IGNORES_ERRORS = 1 << 3,
    STAGE_IN_WINDOW = 1 << 4, /* STAGE_BATCH: may end group_by_window's reduce_func */
};
#define STAGE_ENDLESS INT64_MAX

struct stage_place {
    int64_t iteration;
    int64_t position;
};

struct stage;
struct stream;
struct source;
struct derive;
struct stage_desc {
    const char *name;
    const char *summary;
    const struct opt *options;
    size_t ctx_size;
    const char *shorthand; /* the option that a bare value is: batch: 64 */
    enum stage_kind kind;
    unsigned flags;
    /* STAGE_ORDER: elements out of n in (n may be STAGE_ENDLESS). */
    int (*count)(const void *ctx, int64_t n, int64_t *ret, struct err *err);
    /* STAGE_ORDER: from a place of the output to one of the input; n elements come in. */
    void (*place)(const struct stage *stage, int64_t n, struct stage_place *place);
    /* The same for many places; may be NULL. */
    void (*places)(const struct stage *stage, int64_t n, struct stage_place *places, int64_t count);
    /* Bytes at stage->state in which `place` keeps what it computed, never what it gives; may be
     * NULL. */
    size_t (*state_bytes)(int64_t n);
    /* STAGE_DERIVE: makes a source of the stream before it (derive.h). STAGE_BATCH, may be NULL:
     * the same, before elements become batches. */
    int (*derive)(const struct stage *stage, struct derive *derive, struct source *ret,
                  struct err *err);
};
extern const struct stage_desc *const stage_table[]; /* ends with NULL */

struct stage {
    const struct stage_desc *desc;
    const void *ctx;
    uint64_t id;   /* of its name and how many of that name came before */
    uint64_t seed; /* the job's */
    void *state;   /* zeros at first */
};
/* Replaces each place by the one that stands there in the stage's input of n elements. */
void stage_places(const struct stage *stage, int64_t n, struct stage_place *places, int64_t count);

/* The options of the stages that the compiler acts on itself. */
struct stage_map {
    const struct doc *ops; /* a list */
    bool exact;
    int64_t num_parallel_calls;
    bool deterministic;
    struct opt_strs fields; /* none: chosen by kind */
    const char *into;       /* name of the field that is made, or NULL */
    bool keep;              /* joined fields stay */
};
struct stage_batch {
    int64_t batch_size;
    bool drop_remainder;
    int64_t num_parallel_calls;
    bool deterministic;
};
struct stage_prefetch {
    int64_t buffer_size;  /* 0 = AUTOTUNE */
    int64_t buffer_bytes; /* instead of it; 0 = not given */
};

const struct stage_desc *stage_find(const char *name);
struct stage_names {
    int n[32]; /* by row of stage_table */
};
/* One item of the list of a pipeline: `name`, {name: value} or {name: {options}}. */
int stage_read(const struct doc *doc, uint64_t seed, struct stage_names *names, struct arena *arena,
               struct stage *ret, struct err *err);
void stage_reference(struct buf *out);

#endif
