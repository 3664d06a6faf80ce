/* metric_confusion - true and false positives and negatives at thresholds, and what is computed of
 * them.
 *
 * Owns:     thresholds live in the arena of metric_create.
 * Threads:  as metric.h.
 * Errors:   ERR_RANGE, ERR_INVALID, the path below the metric's options.
 * Lifetime: the arena's.
 *
 * A prediction counts as positive above a threshold. Thresholds that are evenly spaced from 0 to 1
 * are counted in buckets, with Keras's rounding.
 */
#ifndef TRAINER_METRIC_METRIC_CONFUSION_H
#define TRAINER_METRIC_METRIC_CONFUSION_H

#include "trainer/metric/metric.h"

enum { METRIC_THRESHOLDS_MAX = 4096 };

struct metric_confusion {
    double *thresholds;
    size_t n;
    bool is_even, has_margins; /* margins: the first lies below 0, the last above 1 */
    bool from_logits;
    int64_t top_k, class_id;     /* -1: all */
    size_t labels;               /* counted apart; 1: together */
    const double *label_weights; /* of each column, or NULL */
    size_t cols;
};

/* Counts of a threshold. */
struct metric_counts {
    double tp, fp, tn, fn;
};

/* thresholds NULL or empty: the fallback. */
int metric_confusion_given(struct metric_confusion *how, const struct opt_floats *thresholds,
                           double fallback, struct arena *arena, struct err *err);
/* n from 0 to 1; margins: as above. */
void metric_confusion_spread(struct metric_confusion *how, size_t n, bool margins,
                             struct arena *arena);
/* The class_id and top_k of the options against the width of the predictions. */
int metric_confusion_check(struct metric_confusion *how, const struct metric_setup *setup,
                           struct err *err);
size_t metric_confusion_state(const struct metric_confusion *how);
void metric_confusion_update(const struct metric_confusion *how, const struct metric_batch *batch,
                             double *state);
/* n counts of a label. */
void metric_confusion_counts(const struct metric_confusion *how, const double *state, size_t label,
                             size_t at, struct metric_counts *ret);
/* 0 where the second is 0. */
double metric_ratio(double a, double b);

/* TruePositives to FalseNegatives, Precision, Recall: a value a threshold. */
struct metric_threshold {
    METRIC_FIELDS
    struct opt_floats thresholds;
    int64_t top_k, class_id;
    struct metric_confusion how;
};
// clang-format off
#define METRIC_THRESHOLD_ROWS(snake) \
    METRIC_ROWS(metric_threshold, snake), \
    OPT_FLOATS_ROW(metric_threshold, thresholds, NULL, 0, METRIC_THRESHOLDS_MAX, -1e30, 1e30, \
                   "What a positive prediction lies above; a value for each. 0.5 if none is given.", .flags = OPT_NULLABLE)
#define METRIC_CLASS_ROWS(S) \
    OPT_I64_ROW(S, class_id, -1, 0, 1 << 26, "The only class that counts.", .flags = OPT_NULLABLE)
#define METRIC_TOP_ROWS() \
    OPT_I64_ROW(metric_threshold, top_k, -1, 1, 1 << 26, "How many predictions a row may be positive.", .flags = OPT_NULLABLE), \
    METRIC_CLASS_ROWS(metric_threshold)
// clang-format on
int metric_threshold_prepare(void *options, const struct metric_setup *setup, struct arena *arena,
                             struct metric_sizes *sizes, struct err *err);
/* The same for those that have no class_id and top_k. */
int metric_counts_prepare(void *options, const struct metric_setup *setup, struct arena *arena,
                          struct metric_sizes *sizes, struct err *err);
void metric_threshold_update(const void *options, const struct metric_batch *batch, double *state);
void metric_threshold_values(const struct metric_threshold *o, const double *state,
                             double (*value)(const struct metric_counts *counts), double *ret);

/* PrecisionAtRecall and its like: the best of one ratio where another holds. */
struct metric_at {
    METRIC_FIELDS
    double bound;
    int64_t num_thresholds, class_id;
    struct metric_confusion how;
};
// clang-format off
#define METRIC_AT_ROWS(snake, option) \
    METRIC_ROWS(metric_at, snake), \
    { .name = (option), .help = "The bound that has to hold.", .type = OPT_F64, .offset = OPT_FIELD(metric_at, bound, double), \
      .min = 0.0, .max = 1.0, .flags = OPT_REQUIRED }, \
    OPT_I64_ROW(metric_at, num_thresholds, 200, 1, METRIC_THRESHOLDS_MAX, "How many thresholds are tried."), \
    METRIC_CLASS_ROWS(metric_at)
// clang-format on
int metric_at_prepare(void *options, const struct metric_setup *setup, struct arena *arena,
                      struct metric_sizes *sizes, struct err *err);
void metric_at_update(const void *options, const struct metric_batch *batch, double *state);
double metric_at_best(const struct metric_at *o, const double *state,
                      double (*bounded)(const struct metric_counts *counts),
                      double (*value)(const struct metric_counts *counts));

double metric_precision_of(const struct metric_counts *counts);
double metric_recall_of(const struct metric_counts *counts);
double metric_specificity_of(const struct metric_counts *counts);

#endif
