/* derive - for stages that make a source of the streams before them: zip, window, flat_map, ...
 *
 * Owns:     inner streams belong to the pool; a derived source's memory for fields is its own.
 * Threads:  one.
 * Errors:   derive_open: those of pool_open and stream_compile, path below the document given.
 * Lifetime: the pipeline's.
 *
 * A derived source keeps the law of places: its element at (iteration, position) is a function of
 * nothing else, so that order stages, resume and sharding behind it are arithmetic again.
 */
#ifndef PIPELINE_DERIVE_H
#define PIPELINE_DERIVE_H

#include "pipeline/column.h"
#include "pipeline/expr.h"
#include "pipeline/stream.h"

struct derive_pads;
/* How rows become batches, of a stage that makes them (STAGE_BATCH). */
struct derive_batch {
    struct stage_batch options;     /* batch_size 0: elements come out, no batches */
    bool has_holes;                 /* batches may have fewer rows (source_desc.is_hole) */
    const struct derive_pads *pads; /* what rows are filled up to in their batch; NULL: all alike */
};
struct derive {
    struct stream *in;              /* what stands before the stage */
    const struct stream_want *want; /* of the stream that the stage stands in */
    struct pool *pool;
    const char *path;          /* of the stage: "pipeline[2].zip" */
    struct derive_batch batch; /* of STAGE_BATCH: as its options say, for the stage to change */
};

/* Opens {dataset, split, pipeline} of the options; `at`: its path below the stage. */
int derive_open(struct derive *derive, const struct doc *doc, const char *at, struct stream **ret,
                struct err *err);
/* The list of an option of these; *n streams are in `streams` already, at most `max` fit. */
int derive_open_list(struct derive *derive, const struct doc *list, struct stream **streams, int *n,
                     int max, struct err *err);
/* ERR_LIMIT, ERR_EXISTS. */
int derive_add_field(struct element_spec *spec, const struct element_field *field, struct err *err);
/* Bits of the fields named by an option `fields`; all without names. ERR_UNKNOWN, the nearest. */
int derive_fields(const struct element_spec *spec, const struct opt_strs *names, uint32_t *ret,
                  struct err *err);
int derive_unknown_field(const struct element_spec *spec, const char *name, struct err *err);
/* Fields, classes and number of elements of a stream, for a source that hands its elements on. */
void derive_like(struct source *ret, const struct stream *in, const struct source_desc *desc,
                 void *ctx);
/* The stream must have an end, `what` needs it. */
int derive_check_end(const struct stream *in, const char *what, struct err *err);
/* The elements of another stream have to be like those of ret: fields, types, ranks, classes.
 * Dimensions that differ become unknown. */
int derive_merge(struct source *ret, const struct stream *other, struct err *err);
int64_t derive_trace(const struct stream *in, const struct stage_place *place);

/* Elements side by side: fields of shape (rows, ...). */
struct derive_stack {
    struct op_scratch fields[ELEMENT_FIELDS_MAX];
    size_t bytes[ELEMENT_FIELDS_MAX]; /* of a row */
    struct shape shape[ELEMENT_FIELDS_MAX];
    enum dtype dtype[ELEMENT_FIELDS_MAX];
    int64_t rows, max; /* so far, at most */
};
/* spec of `rows` elements (-1 = unknown). */
int derive_stack_spec(const struct element_spec *in, int64_t rows, struct element_spec *ret,
                      struct err *err);
void derive_stack_begin(struct derive_stack *stack, int64_t max);
int derive_stack_add(struct derive_stack *stack, const struct element_spec *spec,
                     const struct element *element, struct err *err);
void derive_stack_end(const struct derive_stack *stack, const struct element_spec *spec,
                      struct element *ret);
void derive_stack_fini(struct derive_stack *stack);

/* Sets of elements of a stream: `size` of them, `stride` apart, a set every `shift`. */
struct derive_window {
    int64_t size, shift, stride;
    bool drop_remainder;
};
int derive_window(struct derive *derive, const struct derive_window *window, struct source *ret,
                  struct err *err);

enum { DERIVE_PICKS_MAX = 32 };
struct derive_picks {
    struct stream *in[DERIVE_PICKS_MAX];
    int n;
    bool stop_on_empty; /* end when a stream is chosen that has nothing left; else choose again */
    /* Which stream the draw-th choice is; -1 = no more. used: elements taken of each. */
    int (*choose)(const struct derive_picks *picks, int64_t draw, const int64_t *used);
    const void *context;
};
int derive_pick(struct derive *derive, const struct derive_picks *picks, struct source *ret,
                struct err *err);

/* Several fields to one by an op, or a copy of one field. */
struct derive_join {
    const struct op *op; /* OP_JOIN; NULL: a copy */
    struct opt_strs fields;
    const char *into; /* NULL: x */
    bool keep;
};
int derive_join(const struct derive *derive, const struct derive_join *join, struct source *ret,
                struct err *err);

struct derive_pads {
    struct shape shape[ELEMENT_FIELDS_MAX]; /* of each field; -1 = as the longest */
    double value[ELEMENT_FIELDS_MAX];
    const struct element_spec *at_least; /* what is to be found is no less than this, or NULL */
    int64_t longest; /* of every axis that is to be found, where that is known; else 0 */
    bool is_open[ELEMENT_FIELDS_MAX][SHAPE_RANK_MAX]; /* to be found; derive_pad's own */
};
int derive_pad(struct derive *derive, const struct derive_pads *pads, struct source *ret,
               struct err *err);

/* Some of the elements, by a number of each. */
#define DERIVE_KEY_BAD COLUMN_BAD /* of an element that cannot be read */
struct derive_select {
    int64_t low, high; /* what a key may be */
    int (*key)(const struct derive_select *how, const struct element_spec *spec,
               const struct element *element, int64_t *ret, struct err *err);
    /* keys and places in the source of n elements in their order; writes the positions of those
     * selected into list, which has room for n. Bad ones are to be kept. Returns how many. */
    int64_t (*select)(const struct derive_select *how, const int64_t *keys, const uint32_t *places,
                      int64_t n, uint32_t *list);
    void *context;
    bool is_ordered; /* how many are selected depends on their order */
};
int derive_select(struct derive *derive, const struct derive_select *how, struct source *ret,
                  struct err *err);
/* By a formula, the option `predicate`, that holds (key 1) or not (0). */
int derive_predicate(struct derive *derive, const char *predicate,
                     int64_t (*select)(const struct derive_select *how, const int64_t *keys,
                                       const uint32_t *places, int64_t n, uint32_t *list),
                     bool is_ordered, struct source *ret, struct err *err);
/* A formula over the fields that gives one number an element; row: the option that holds it. */
struct derive_expr {
    struct expr *expr;
    struct op_scratch scratch;
};
int derive_select_expr(struct arena *arena, const struct element_spec *spec, const char *text,
                       const char *row, struct derive_expr *ret, struct err *err);
/* Of what derive_select made: the key of an element of the stream before it. */
int64_t derive_select_key(const struct source *select, const struct stage_place *place);
int derive_expr_run(struct derive_expr *expr, const struct element *element, double *ret,
                    struct err *err);

/* Elements that are stored when they are first made; iteration i gives those of i modulo variants. */
int derive_keep(struct derive *derive, int64_t variants, struct source *ret, struct err *err);

/* Elements cut along their first axis; `cycle` of them in turns of `block` rows. */
int derive_rows(struct derive *derive, int64_t cycle, int64_t block, struct source *ret,
                struct err *err);

#endif
