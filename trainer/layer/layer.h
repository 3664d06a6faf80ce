/* layer - one layer of a model: options, shapes, variables, forward and backward.
 *
 * Owns:     options, variables' descriptions and kernel objects live in the arena given; the data
 * that variables and calls point to is the model's. layer_destroy gives back what kernels hold
 * beside it. Threads:  one a model. Errors:   read, infer and prepare return codes, with the path
 * below the layer's options; calls cannot fail. Lifetime: read, infer (shapes, variables), prepare
 * (kernels, sizes of memory), then calls; destroyed before the arena.
 *
 * Shapes are without the batch axis. Data is float32, channels last.
 * Adding one: trainer/layer/NAME.c with `const struct layer_desc layer_NAME`, and NAME in
 * meson.build; its options begin with LAYER_FIELDS and LAYER_ROWS (LAYER_NAME_ROWS where
 * Keras takes no `trainable`).
 */
#ifndef TRAINER_LAYER_LAYER_H
#define TRAINER_LAYER_LAYER_H

#include "base/arena.h"
#include "base/doc.h"
#include "base/opt.h"
#include "base/tensor.h"
#include "trainer/init/init.h"
#include "trainer/kernel/kernel.h"
#include "trainer/layer/layer_act.h"

enum { LAYER_VARS_MAX = 6 };

/* A variable, in Keras's order within the layer. */
struct layer_var {
    const char *name;   /* "kernel" */
    const char *option; /* that says its first values; NULL: NAME_initializer */
    struct shape shape;
    enum dtype dtype; /* float32, but Normalization's count int64 */
    bool trainable;   /* of itself; a layer that is not trainable trains none */
    struct init init;
    size_t count;
    void *data;
    float *grad; /* NULL: not wanted */
};

/* The options of every layer. */
#define LAYER_FIELDS         \
    const char *name;        \
    const struct doc *dtype; \
    bool trainable;
struct layer_common {
    LAYER_FIELDS
};
// clang-format off
#define LAYER_NAME_ROWS(S) \
    OPT_STR_ROW(S, name, NULL, "The layer's name; made from its class if none is given.", .flags = OPT_NULLABLE), \
    OPT_DOC_ROW(S, dtype, "Of Keras; float32 is what there is.", .flags = OPT_NULLABLE)
#define LAYER_ROWS(S) \
    LAYER_NAME_ROWS(S), \
    OPT_BOOL_ROW(S, trainable, true, "Whether its variables are trained.")
#define LAYER_FORMAT_ROW(S) \
    OPT_ENUM_ROW(S, data_format, 0, layer_formats, "The order of the axes; channels stand last.", .flags = OPT_NULLABLE)
// clang-format on
extern const struct opt_name layer_formats[];

struct layer {
    const struct layer_desc *desc;
    const char *name;
    void *options;
    struct layer_common common;
    int n_inputs;
    const struct shape *inputs;
    /* infer says from here on. */
    struct shape output;
    int n_vars;
    struct layer_var vars[LAYER_VARS_MAX];
    double flops;    /* of one sample, forward; a multiply-add is two */
    bool is_view;    /* the output is the input's memory: no calls */
    bool is_same;    /* a view that a loss sees through, as Keras's passes its input on */
    bool is_idle;    /* outside of training likewise */
    bool needs_x;    /* backward reads x */
    bool needs_y;    /* backward reads y */
    bool wants_tail; /* set by the model before infer: no activation is fused, for the loss to see
                        its input */
    struct layer_act tail; /* what the model computes behind the layer; linear: nothing */
    struct kernel_act act; /* what the layer fuses */
    /* prepare says from here on. */
    size_t scratch_bytes; /* for each call */
    size_t state_bytes;   /* kept from forward to backward */
    const char *impl;
    void *kernel; /* the layer's own */
};

struct layer_setup {
    const struct kernel_backend *backend;
    int64_t rows;  /* the greatest batch */
    bool training; /* backward will be called */
    bool needs_dx; /* with dx */
    struct arena *arena;
};

struct layer_call {
    const struct kernel_backend *backend;
    int64_t rows;
    bool training;
    const void *const *x; /* n_inputs; float32 but an InputLayer's */
    float *y;
    float *dy;        /* backward: may be overwritten */
    float *const *dx; /* backward: n_inputs, NULL where not wanted */
    void *scratch;
    void *state;
    /* Random layers draw with rng_init(seed, rng_id(layer->name), 0, step). */
    uint64_t seed;
    int64_t step;
    enum dtype x_dtype; /* of an InputLayer's x */
};

struct layer_desc {
    const char *name; /* Keras's class */
    const char *aliases;
    const char *summary;
    const struct opt *options;
    size_t size;                /* of the options' struct, which begins with LAYER_FIELDS */
    int min_inputs, max_inputs; /* 0: one */
    bool random;
    bool is_ours; /* Keras has none such: trainer/keras/millrace_keras.py registers it there */
    int (*infer)(struct layer *layer, struct arena *arena, struct err *err);
    int (*prepare)(struct layer *layer, const struct layer_setup *setup,
                   struct err *err); /* or NULL */
    /* Of values that the layer cannot take: before forward; or NULL. ERR_RANGE, no path. */
    int (*check)(const struct layer *layer, const struct layer_call *call, struct err *err);
    void (*forward)(struct layer *layer, const struct layer_call *call); /* NULL: a view */
    void (*backward)(struct layer *layer, const struct layer_call *call);
    void (*destroy)(struct layer *layer); /* or NULL */
    /* Computes an activation that stands behind it from now on too (layer->act), with the numbers
     * of the two apart; false: not this one. Between infer and prepare; or NULL. */
    bool (*takes)(struct layer *layer, const struct kernel_act *act);
    /* Rows that class_name_write cannot write for Keras, put over what it wrote; or NULL. */
    void (*config)(const struct layer *layer, struct doc *config, struct arena *arena);
};

/* The n-th layer, or NULL. */
const struct layer_desc *layer_at(size_t n);
/* By Keras's name; ERR_UNKNOWN with the nearest. */
int layer_find(const char *name, const struct layer_desc **ret, struct err *err);
/* Reads the options. `name`: if the options give none. */
int layer_read(const struct layer_desc *desc, const struct doc *options, const char *name,
               struct arena *arena, struct layer **ret, struct err *err);
/* A layer of our own making: the activation that another one does not fuse. */
struct layer *layer_make_tail(const struct layer *of, struct arena *arena);
/* The activation of such a one, if it is elementwise; else NULL. */
const struct kernel_act *layer_tail_act(const struct layer *layer);
int layer_infer(struct layer *layer, const struct shape *inputs, int n_inputs, struct arena *arena,
                struct err *err);
int layer_prepare(struct layer *layer, const struct layer_setup *setup, struct err *err);
void layer_destroy(struct layer *layer); /* takes NULL */
/* Whether variable v is trained. */
bool layer_trains(const struct layer *layer, int v);
int64_t layer_parameters(const struct layer *layer);
/* {module, class_name, registered_name, config}. */
void layer_config(const struct layer *layer, struct doc *map, struct arena *arena);

/* -- for the files of the family ------------------------------------------------------------- */

/* Adds a variable; initializer NULL: the one named `fallback`. */
int layer_add_var(struct layer *layer, const struct layer_var *var, const struct doc *initializer,
                  const char *fallback, struct arena *arena, struct err *err);
/* Reads an activation and decides where it is computed: fused (layer->act) or behind (layer->tail).
 */
int layer_take_activation(struct layer *layer, const struct doc *doc, struct err *err);
/* ERR_SHAPE unless the first input has that rank, without the batch. */
int layer_want_rank(const struct layer *layer, int rank, struct err *err);
/* ERR_UNSUPPORTED if a document is given (regularizers, constraints). */
int layer_refuse(const struct doc *doc, const char *option, struct err *err);
/* Values of `rows` samples of a shape that infer has counted. */
size_t layer_count(const struct shape *shape, int64_t rows);
/* A checked dimension as int. */
int layer_int(int64_t value, const char *option, int *ret, struct err *err);

#endif
