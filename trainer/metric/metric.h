/* metric - numbers over many batches, as Keras defines them.
 *
 * Owns:     options and accumulators live in the arena given to metric_create.
 * Threads:  one a metric.
 * Errors:   metric_create: as opt_read, ERR_SHAPE; updates cannot fail.
 * Lifetime: the arena's.
 *
 * Accumulators are doubles, so that the state of an interrupted epoch is kept exactly. Nothing is
 * allocated in an update. A loss can be a metric too: the mean of its values. Adding one:
 * trainer/metric/NAME.c with `const struct metric_desc metric_NAME`, and NAME in meson.build; its
 * options begin with METRIC_FIELDS and METRIC_ROWS.
 */
#ifndef TRAINER_METRIC_METRIC_H
#define TRAINER_METRIC_METRIC_H

#include "base/arena.h"
#include "base/doc.h"
#include "base/opt.h"
#include "trainer/kernel/kernel.h"

struct metric_setup {
    const struct kernel_backend *backend;
    size_t rows;       /* the greatest number */
    size_t cols;       /* last axis of the predictions */
    size_t label_cols; /* numbers a row in the labels: cols, or 1 */
};

struct metric;

/* doc: "accuracy" (resolved by the shapes as Keras does), a metric or a loss by name. */
int metric_create(const struct doc *doc, const struct metric_setup *setup, struct arena *arena,
                  struct metric **ret, struct err *err);
/* As the row of a history is called: "accuracy", "mean_squared_error". */
const char *metric_name(const struct metric *metric);

struct metric_batch {
    size_t rows, cols, label_cols;
    const float *y_pred;        /* rows * cols */
    const float *y_true;        /* rows * label_cols */
    const float *sample_weight; /* rows, or NULL */
};
void metric_reset(struct metric *metric);
void metric_update(struct metric *metric, const struct metric_batch *batch);
/* Whether the greater value is the better one, as of accuracies. */
bool metric_is_gain(const struct metric *metric);
/* Most have one value; some one for each threshold or class. */
size_t metric_n_values(const struct metric *metric);
double metric_value(const struct metric *metric, size_t at);
/* The accumulators, to be saved and put back; *ret_n of them. */
double *metric_state(struct metric *metric, size_t *ret_n);
/* {module, class_name, config}, or the text that was given. */
void metric_config(const struct metric *metric, struct doc *doc, struct arena *arena);

/* -- for the files of the family ------------------------------------------------------------- */

#define METRIC_FIELDS \
    const char *name; \
    const struct doc *dtype;
struct metric_common {
    METRIC_FIELDS
};
// clang-format off
#define METRIC_ROWS(S, snake) \
    OPT_STR_ROW(S, name, snake, "Its name in the history.", .flags = OPT_NULLABLE), \
    OPT_DOC_ROW(S, dtype, "Of Keras; without effect.", .flags = OPT_NULLABLE | OPT_IGNORED)
// clang-format on

enum metric_labels {
    METRIC_ANY,
    METRIC_EQUAL,
    METRIC_SINGLE
}; /* as wide as predictions; one a row */

struct metric_sizes {
    size_t state, values; /* doubles that are kept; results */
};

struct metric_desc {
    const char *name; /* Keras's class */
    const char *aliases;
    const char *summary;
    const struct opt *options;
    size_t size; /* of the options' struct, which begins with METRIC_FIELDS */
    enum metric_labels labels;
    bool is_gain; /* the greater the better */
    /* The value of a row; the metric is their weighted mean, or finish of it. */
    double (*row)(const void *options, const struct metric_batch *batch, size_t r);
    double (*finish)(double mean); /* or NULL */
    /* Those that are no mean: prepare completes the options and says sizes. ERR_*, the path below
     * the options. */
    int (*prepare)(void *options, const struct metric_setup *setup, struct arena *arena,
                   struct metric_sizes *sizes, struct err *err);
    void (*update)(const void *options, const struct metric_batch *batch, double *state);
    void (*values)(const void *options, const double *state, double *ret);
};

/* The n-th metric, or NULL. */
const struct metric_desc *metric_at(size_t n);
/* Of a row: means, population variances, and the covariance. */
struct metric_moments {
    double true_mean, true_variance, pred_mean, pred_variance, covariance;
};
struct metric_moments metric_moments(const struct metric_batch *batch, size_t r);
/* The first of the greatest, as Keras's argmax. */
size_t metric_argmax(const float *row, size_t cols);

#endif
