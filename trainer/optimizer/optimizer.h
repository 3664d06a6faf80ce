/* optimizer - steps over parameters with Keras's formulas, and its variables in Keras's order.
 *
 * Owns:     options, slots and scratch live in the arena given to optimizer_create; parameters are
 * the caller's. Threads:  one. Errors:   optimizer_create: as opt_read, with the path below the
 * document. Steps cannot fail. Lifetime: the arena's.
 *
 * A step is Keras's apply(): unscale, accumulate, clip, decay, update, moving average. Nothing is
 * allocated in it. Adding one: trainer/optimizer/NAME.c with `const struct optimizer_desc
 * optimizer_NAME`, and NAME in meson.build; its options begin with OPTIMIZER_FIELDS and
 * OPTIMIZER_ROWS.
 */
#ifndef TRAINER_OPTIMIZER_OPTIMIZER_H
#define TRAINER_OPTIMIZER_OPTIMIZER_H

#include "base/arena.h"
#include "base/doc.h"
#include "base/opt.h"
#include "base/tensor.h"
#include "trainer/kernel/kernel.h"

/* One trainable variable. The step overwrites the gradient. */
struct optimizer_param {
    const char *path; /* Keras's variable path, "conv2d/kernel" */
    struct shape shape;
    size_t count;
    float *w;
    float *g;
};

/* What a checkpoint holds of the optimizer. */
struct optimizer_var {
    const char *path; /* "adam/conv2d_kernel_momentum" */
    enum dtype dtype; /* float32, iteration int64 */
    struct shape shape;
    void *data;
};

struct optimizer;

int optimizer_create(const struct doc *doc, const struct optimizer_param *params, int n_params,
                     const struct kernel_backend *backend, struct arena *arena,
                     struct optimizer **ret, struct err *err);
void optimizer_step(struct optimizer *optimizer);
/* With use_ema the parameters become their moving averages: at the end of training. */
void optimizer_finalize(struct optimizer *optimizer);
int64_t optimizer_iterations(const struct optimizer *optimizer);
/* The rate that the next step uses. */
double optimizer_rate(const struct optimizer *optimizer);
/* Whether the rate is a number that optimizer_set_rate can change, and no schedule. */
bool optimizer_rate_is_set(const struct optimizer *optimizer);
void optimizer_set_rate(struct optimizer *optimizer, double rate);
/* What Keras divides the gradients by again, 1 if nothing: the caller multiplies the loss's
 * gradient with it. */
double optimizer_loss_scale(const struct optimizer *optimizer);
const struct optimizer_var *optimizer_vars(const struct optimizer *optimizer, int *ret_n);
/* {module, class_name, config}. */
void optimizer_config(const struct optimizer *optimizer, struct doc *map, struct arena *arena);

/* -- for the files of the family ------------------------------------------------------------- */

/* The options of every optimizer; 0 stands for None. */
#define OPTIMIZER_FIELDS                                                                        \
    const struct doc *learning_rate;                                                            \
    double weight_decay, clipnorm, clipvalue, global_clipnorm, ema_momentum, loss_scale_factor, \
        decay;                                                                                  \
    int64_t ema_overwrite_frequency, gradient_accumulation_steps;                               \
    bool use_ema, jit_compile;                                                                  \
    const char *name;
struct optimizer_common {
    OPTIMIZER_FIELDS
};

// clang-format off
#define OPTIMIZER_ROWS(S, class_name, default_decay, decay_flags) \
    OPT_DOC_ROW(S, learning_rate, "The learning rate, a number or a schedule.", .flags = OPT_NULLABLE), \
    OPT_F64_ROW(S, weight_decay, default_decay, 0.0, 1e9, "The part of a weight that each step takes away, times the rate.", .flags = (decay_flags)), \
    OPT_F64_ROW(S, clipnorm, 0.0, 0.0, 1e30, "The greatest norm of each variable's gradient.", .flags = OPT_NULLABLE), \
    OPT_F64_ROW(S, clipvalue, 0.0, 0.0, 1e30, "The greatest size of a gradient's element.", .flags = OPT_NULLABLE), \
    OPT_F64_ROW(S, global_clipnorm, 0.0, 0.0, 1e30, "The greatest norm of all gradients together.", .flags = OPT_NULLABLE), \
    OPT_BOOL_ROW(S, use_ema, false, "Whether moving averages of the weights are kept."), \
    OPT_F64_ROW(S, ema_momentum, 0.99, 0.0, 1.0, "The momentum of those averages."), \
    OPT_I64_ROW(S, ema_overwrite_frequency, 0, 1, OPT_I64_MAX, "Steps after which the averages become the weights.", .flags = OPT_NULLABLE), \
    OPT_F64_ROW(S, loss_scale_factor, 0.0, 0.0, 1e30, "What the loss is multiplied with and gradients are divided by.", .flags = OPT_NULLABLE), \
    OPT_I64_ROW(S, gradient_accumulation_steps, 0, 2, OPT_I64_MAX, "Steps whose gradients are averaged for one update.", .flags = OPT_NULLABLE), \
    OPT_F64_ROW(S, decay, 0.0, 0.0, 1e9, "Of old Keras.", .flags = OPT_NULLABLE | OPT_IGNORED), \
    OPT_BOOL_ROW(S, jit_compile, false, "Of Keras.", .flags = OPT_IGNORED), \
    OPT_STR_ROW(S, name, class_name, "A name, for Keras.", .flags = OPT_NULLABLE)
// clang-format on

enum optimizer_slot_shape {
    OPTIMIZER_SLOT_LIKE,   /* the parameter's */
    OPTIMIZER_SLOT_ROWS,   /* without the last axis; a scalar below rank 2 */
    OPTIMIZER_SLOT_COLS,   /* without the axis before the last; a scalar below rank 2 */
    OPTIMIZER_SLOT_SINGLE, /* one scalar for the whole optimizer */
};
struct optimizer_slot {
    const char *name; /* Keras's, "momentum"; NULL: no further suffix */
    enum optimizer_slot_shape shape;
    /* Keras makes the variables of one group parameter by parameter, groups one after the other. */
    int group;
    double initial;
};
enum { OPTIMIZER_SLOTS_MAX = 4 };

/* What one update sees. */
struct optimizer_update {
    const struct kernel_backend *backend;
    const struct optimizer_param *param;
    float *slots[OPTIMIZER_SLOTS_MAX]; /* of this parameter, in the order of desc->slots */
    float *scratch;                    /* as long as the greatest parameter */
    double rate;
    int64_t step; /* 1 for the first */
};

struct optimizer_desc {
    const char *name; /* Keras's class */
    const char *aliases;
    const char *summary;
    const struct opt *options;
    size_t size; /* of the options' struct, which begins with OPTIMIZER_FIELDS */
    double default_rate;
    int (*check)(const void *options, struct err *err); /* NULL: the rows say all */
    /* Returns how many slots; NULL: none. */
    int (*slots)(const void *options, struct optimizer_slot *slots);
    /* Once a step before the updates, for OPTIMIZER_SLOT_SINGLE; NULL: nothing. */
    void (*begin)(const void *options, struct optimizer_update *update);
    void (*update)(const void *options, struct optimizer_update *update);
    /* And once behind them. */
    void (*end)(const void *options, struct optimizer_update *update);
};

/* beta ^ step and Adam's corrected rate in float32, as Keras computes them: 1 - beta_2 ^ step keeps
 * few digits there. */
float optimizer_power(double beta, int64_t step);
float optimizer_adam_rate(const struct optimizer_update *update, double beta_1, double beta_2);

/* The n-th optimizer, or NULL. */
const struct optimizer_desc *optimizer_at(size_t n);

#endif
