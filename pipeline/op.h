/* op - what is done to a sample: a descriptor a file, a row a descriptor; the same code in a worker
 * and in a model's layer.
 *
 * Owns:     an op read from a document lives in the arena given; a scratch is its user's.
 * Threads:  a checked op is const; a scratch belongs to one thread.
 * Errors:   op_read and op_check: ERR_UNKNOWN, ERR_INVALID, ERR_RANGE, ERR_SHAPE, path below the
 * op. op_run: ERR_DATA, ERR_SHAPE. Lifetime: the arena's.
 *
 * Law 1: what op_run gives is a function of (seed, op id, epoch, position) and the input. Random
 * ops draw all their parameters first (`draw`) and then are a pure function of them, so that given
 * parameters can be applied too.
 */
#ifndef PIPELINE_OP_H
#define PIPELINE_OP_H

#include "base/opt.h"
#include "base/rng.h"
#include "pipeline/element.h"
#include "pipeline/image/affine.h"
#include "pipeline/op_learn.h"

enum { OP_PARAMS_MAX = 12 };

enum op_flag {
    OP_RANDOM = 1 << 0,       /* draws; absent in validation and predictions */
    OP_BATCH = 1 << 1,        /* draws once for all samples of a batch */
    OP_CHANNELS = 1 << 2,     /* linear, a factor and a term a channel: has `linear` */
    OP_GEOMETRIC = 1 << 3,    /* one map of the plane: has `affine` instead of `run` */
    OP_EXACT_PLACES = 1 << 4, /* geometric, pixels to pixels: fill and interpolation are of no
                                 account */
    OP_PLANES = 1 << 5,       /* an image to one of the same type, each channel by itself: takes
                                 channels_first too */
    OP_TEST = 1 << 6,         /* in builds with tests alone, and not in the reference */
    OP_JOIN = 1 << 7,         /* takes several fields and makes one */
    OP_TEXTS = 1 << 8,        /* may take texts; no other op is given any */
};
/* The sum of nine powers of two is this only if no two are the same. */
_Static_assert(OP_RANDOM + OP_BATCH + OP_CHANNELS + OP_GEOMETRIC + OP_EXACT_PLACES + OP_PLANES +
                       OP_TEST + OP_JOIN + OP_TEXTS ==
                   (1 << 9) - 1,
               "two flags of ops share a bit");

/* Memory that grows to what was needed and stays. */
struct op_scratch {
    void *data;
    size_t bytes;
};
void *op_scratch_need(struct op_scratch *scratch,
                      size_t bytes); /* 64-byte aligned, contents lost on growth */
void op_scratch_fini(struct op_scratch *scratch);

struct op_key {
    uint64_t seed;
    uint32_t epoch;
    uint64_t position;    /* in the stream */
    int64_t sample;       /* in the data set, -1 unknown */
    uint32_t batch_epoch; /* epoch and step of the batch: what ops of batch scope draw with */
    uint64_t step;
    uint64_t op; /* for `run`, which gets the op's id and its own seed if it has one */
};

struct op_param { /* a drawn number or several; the names of Keras's get_random_transformation */
    const char *name;
    int n;
};

struct op_desc {
    const char *name;
    const char *summary;
    const struct opt *options;
    size_t ctx_size;
    unsigned flags;
    const struct op_param *params; /* ends with a NULL name; NULL if none */
    /* What rows of options cannot say; derives what run needs. May be NULL. */
    int (*init)(void *ctx, struct arena *arena, struct err *err);
    /* Spec in, spec out. Pure: asked with unknown dimensions at compile, with real ones at run.
     * NULL: unchanged float32. */
    int (*check)(const void *ctx, const struct op_spec *in, struct op_spec *out, struct err *err);
    /* More flags, for an op whose options decide. May be NULL. */
    unsigned (*flags_of)(const void *ctx);
    void (*draw)(const void *ctx, const struct op_spec *in, struct rng *rng, float *params);
    /* For an op that draws some numbers once a sample and some once a batch: the latter, before
     * `draw`. */
    void (*draw_batch)(const void *ctx, struct rng *rng, float *params);
    int (*run)(const void *ctx, const float *params, const struct op_key *key,
               const struct tensor *in, struct tensor *out, struct op_scratch *scratch,
               struct err *err);
    /* In the place of `run`, for an op that reads a part of a picture only: which one, known from
     * the draws and the size; and the work, on the whole picture or on that part. */
    void (*look)(const void *ctx, const float *params, const struct op_spec *in,
                 struct look_area *ret);
    int (*run_part)(const void *ctx, const float *params, const struct look_part *part,
                    const struct tensor *in, struct tensor *out, struct op_scratch *scratch,
                    struct err *err);
    /* For a random op that is not left out in validation and predictions: what stands there in the
     * place of draws. */
    void (*still)(const void *ctx, const struct op_spec *in, float *params);
    /* OP_GEOMETRIC: the map from output to input. */
    void (*affine)(const void *ctx, const float *params, int64_t height, int64_t width,
                   struct affine *ret);
    /* OP_CHANNELS: out = in * factor[i] + term[i], i = channel; n = channels. */
    void (*linear)(const void *ctx, int64_t n, float *factor, float *term);
    /* For an op whose result's size is the data's affair: bytes that are enough. May be NULL. */
    int (*room)(const void *ctx, const struct tensor *in, size_t *ret, struct err *err);
    /* OP_JOIN: several fields to one, instead of check and run. */
    int (*check_all)(const void *ctx, const struct op_spec *in, int n, struct op_spec *out,
                     struct err *err);
    int (*run_all)(const void *ctx, const struct tensor *in, int n, struct tensor *out,
                   struct op_scratch *scratch, struct err *err);
    const struct op_learn *learn; /* NULL: learns nothing */
};

extern const struct op_desc *const op_table[]; /* ends with NULL */
const struct op_desc *op_find(const char *name);
const char *op_nearest(const char *name);

struct op {
    const struct op_desc *desc;
    const void *ctx;
    unsigned flags;   /* of the descriptor and of the options */
    const char *name; /* given, or Keras's way: random_flip, random_flip_1 */
    uint64_t id;      /* of its name: the same in the pipeline and in a model */
    bool is_channels_first;
    bool is_still; /* takes `still` for `draw` */
    bool has_seed; /* the op's own seed takes the job's place */
    uint64_t seed;
    struct op_spec in, out; /* after op_check */
};

/* Counts names so that ops without one get theirs. */
struct op_names {
    int n[64]; /* by row of op_table */
};
/* Reads `Name`, {Name: {options}} or Keras's {class_name, config}. */
int op_read(const struct doc *doc, struct op_names *names, struct arena *arena, struct op *ret,
            struct err *err);
/* The same with the name and the options apart (a layer of a model). */
int op_make(const struct op_desc *desc, const struct doc *options, struct op_names *names,
            struct arena *arena, struct op *ret, struct err *err);
int op_check(struct op *op, const struct op_spec *in, struct err *err);
/* OP_JOIN: n fields to one. */
int op_check_all(struct op *op, const struct op_spec *in, int n, struct err *err);
int op_run_all(const struct op *op, const struct tensor *in, int n, struct tensor *out,
               struct op_scratch *scratch, struct err *err);
/* Bytes that are enough for what the op makes of this. */
int op_room(const struct op *op, const struct tensor *in, size_t *ret, struct err *err);
/* Number of drawn parameters of one sample. */
int op_params(const struct op_desc *desc);
void op_draw(const struct op *op, const struct op_spec *in, const struct op_key *key,
             float params[OP_PARAMS_MAX]);
/* One sample. out->data holds the bytes of the op's output; dtype and shape of out are set. in and
 * out do not overlap. */
int op_run(const struct op *op, const struct op_key *key, const struct tensor *in,
           struct tensor *out, struct op_scratch *scratch, struct err *err);
/* The same where only a part of `in` is there; part->height 0: all of it. */
int op_run_part(const struct op *op, const struct op_key *key, const struct look_part *part,
                const struct tensor *in, struct tensor *out, struct op_scratch *scratch,
                struct err *err);
/* What op_run_part will read. False: all. */
bool op_look(const struct op *op, const struct op_spec *in, const struct op_key *key,
             struct look_area *ret);
/* Of a picture: the size of the whole. */
struct op_spec op_whole(const struct tensor *in, const struct look_part *part);
/* For validation and predictions. False: it is left out there. */
bool op_make_still(struct op *op);
int op_run_given(const struct op *op, const float *params, const struct op_key *key,
                 const struct tensor *in, struct tensor *out, struct op_scratch *scratch,
                 struct err *err);

/* Parts for the files of ops. A factor of Keras with bounds: a number f, inside them, is -f..f with
 * its lower end cut at `low`; a pair is sorted and refused when it is all outside, or with
 * is_strict when any end is. */
struct op_bounds {
    double low, high;
    bool is_strict, is_low_open; /* low itself is not allowed */
};
int op_factor(const struct opt_floats *given, const char *row, const struct op_bounds *bounds,
              float ret[2], struct err *err);
int op_check_image(const struct op_spec *in,
                   struct err *err); /* (height, width, channels) of uint8 or float32 */
void op_shape_text(const struct op_spec *spec, char *buf, size_t size); /* "float32 (28, 28, 1)" */
/* For `run`: numbers beside the drawn parameters, such as one a pixel; `stream` tells several
 * apart. */
void op_noise(const struct op_key *key, uint64_t stream, struct rng *ret);
/* Any element type as float. */
void op_to_floats(const struct tensor *in, int64_t n, float *out);
/* The i-th of whole numbers of any type; of others the whole part, within 64 bits. */
int64_t op_integer(const struct tensor *in, int64_t i);

/* Markdown of all rows. */
void op_reference(struct buf *out);

#endif
