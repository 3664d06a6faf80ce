/* loss - one number from labels and predictions, and its gradient, as Keras defines them.
 *
 * Owns:     options and scratch live in the arena given to loss_create.
 * Threads:  one a loss.
 * Errors:   loss_create: as opt_read, ERR_SHAPE; loss_run: ERR_RANGE for a label that is no class
 * (path "y"). Lifetime: the arena's.
 *
 * Predictions are (rows, cols): cols is the last axis, rows the product of all others. A loss gives
 * a value a row; the reduction makes one of them. Keras computes cross-entropies behind a softmax
 * or sigmoid from the logits: a model that ends so calls loss_fuse and passes logits. Nothing is
 * allocated in loss_run. Adding one: trainer/loss/NAME.c with `const struct loss_desc loss_NAME`,
 * and NAME in meson.build; its options begin with LOSS_FIELDS and LOSS_ROWS.
 */
#ifndef TRAINER_LOSS_LOSS_H
#define TRAINER_LOSS_LOSS_H

#include "base/arena.h"
#include "base/doc.h"
#include "base/opt.h"
#include "base/tensor.h"
#include "trainer/kernel/kernel.h"

/* What a loss fuses with: the activation in front of it. */
enum loss_head { LOSS_HEAD_NONE, LOSS_HEAD_SOFTMAX, LOSS_HEAD_SIGMOID };

struct loss_setup {
    const struct kernel_backend *backend;
    size_t rows;       /* the greatest number */
    size_t cols;       /* last axis of the predictions */
    size_t label_cols; /* last axis of the labels: cols, or 1 a row */
    enum dtype label_dtype;
};

struct loss;

int loss_create(const struct doc *doc, const struct loss_setup *setup, struct arena *arena,
                struct loss **ret, struct err *err);
/* The activation that the loss fuses with, and the promise that predictions are its input from now
 * on. */
enum loss_head loss_head(const struct loss *loss);
void loss_fuse(struct loss *loss);
/* Whether predictions are logits: fused, or from_logits. */
bool loss_takes_logits(const struct loss *loss);
bool loss_is_sparse(const struct loss *loss);
const char *loss_name(const struct loss *loss);
/* {module, class_name, config}. */
void loss_config(const struct loss *loss, struct doc *map, struct arena *arena);

struct loss_args {
    size_t rows;
    const float *y_pred;
    const void *y_true;         /* of setup.label_dtype */
    const float *sample_weight; /* rows, or NULL */
    float *grad; /* rows * cols: d value / d y_pred (of the sum if reduction is none), or NULL */
    float grad_scale; /* times this */
};
/* *ret_value: the reduced loss; with reduction none the mean. */
int loss_run(struct loss *loss, const struct loss_args *args, double *ret_value, struct err *err);
/* The values a row of the last run, weighted as reduction none gives them. */
const float *loss_values(const struct loss *loss);
/* Converts and checks labels alone, as loss_run does: int32 a row, -1 where ignored. NULL if not
 * sparse. */
const int32_t *loss_labels(const struct loss *loss);

/* -- for the files of the family ------------------------------------------------------------- */

enum loss_reduction {
    LOSS_SUM_OVER_BATCH_SIZE,
    LOSS_SUM,
    LOSS_MEAN_WITH_SAMPLE_WEIGHT,
    LOSS_NONE,
};
extern const struct opt_name loss_reductions[];
#define LOSS_NO_CLASS (-9007199254740992.0)

/* The options of every loss. */
#define LOSS_FIELDS             \
    int reduction;              \
    bool from_logits;           \
    int64_t ignore_class, axis; \
    double label_smoothing;     \
    const char *name;           \
    const struct doc *dtype;
struct loss_common {
    LOSS_FIELDS
};

// clang-format off
#define LOSS_ROWS(S, snake) \
    OPT_ENUM_ROW(S, reduction, LOSS_SUM_OVER_BATCH_SIZE, loss_reductions, "How one number is made of the values a row."), \
    OPT_STR_ROW(S, name, snake, "A name, for Keras.", .flags = OPT_NULLABLE), \
    OPT_DOC_ROW(S, dtype, "Of Keras; float32 is what there is.", .flags = OPT_NULLABLE | OPT_IGNORED)
#define LOSS_LOGITS_ROW(S) \
    OPT_BOOL_ROW(S, from_logits, false, "Whether predictions are logits rather than probabilities.")
#define LOSS_SMOOTHING_ROW(S) \
    OPT_F64_ROW(S, label_smoothing, 0.0, 0.0, 1e6, "The part of the labels that is spread over all classes.")
#define LOSS_AXIS_ROW(S) \
    OPT_I64_ROW(S, axis, -1, -1, -1, "The axis of the classes: the last.")
// clang-format on

/* Predictions in, values and gradient out; scale[r] goes into the gradient. */
struct loss_call {
    size_t rows, cols;
    const float *y_pred;
    const float *targets;  /* rows * cols, or NULL if sparse */
    const int32_t *labels; /* rows, -1: ignored; or NULL */
    const float *scale;    /* rows */
    float *values;         /* rows */
    float *grad;           /* rows * cols, or NULL */
    float *scratch;        /* rows * cols */
    double *wide;          /* cols */
    const struct kernel_backend *backend;
    bool from_logits;
};

struct loss_desc {
    const char *name; /* Keras's class */
    const char *aliases;
    const char *summary;
    const struct opt *options;
    size_t size; /* of the options' struct, which begins with LOSS_FIELDS */
    bool sparse; /* labels are class numbers */
    bool binary; /* labels are 0 or 1, smoothed towards a half */
    enum loss_head head;
    void (*run)(const void *options, const struct loss_call *call);
};

/* For losses that are the mean over a row of a function of each value: `value` gives it and its
 * slope. */
void loss_run_means(const struct loss_call *call,
                    double (*value)(const void *ctx, double p, double t, double *slope),
                    const void *ctx);
/* Are all labels 0 or 1? The hinge losses take them as -1 and 1 then. */
bool loss_is_binary(const struct loss_call *call);

/* The n-th loss, or NULL. */
const struct loss_desc *loss_at(size_t n);

#endif
