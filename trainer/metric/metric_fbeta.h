/* metric_fbeta - the harmonic mean of precision and recall: F1Score, FBetaScore.
 *
 * Owns:     nothing.
 * Threads:  as metric.h.
 * Errors:   ERR_RANGE, the path below the metric's options.
 * Lifetime: the arena's of metric_create.
 */
#ifndef TRAINER_METRIC_METRIC_FBETA_H
#define TRAINER_METRIC_METRIC_FBETA_H

#include "trainer/metric/metric.h"

struct metric_fbeta {
    METRIC_FIELDS
    int average;
    double beta, threshold;
    size_t cols;
};
enum { METRIC_FBETA_NONE, METRIC_FBETA_MICRO, METRIC_FBETA_MACRO, METRIC_FBETA_WEIGHTED };
extern const struct opt_name metric_fbeta_averages[];
// clang-format off
#define METRIC_FBETA_ROWS(snake) \
    METRIC_ROWS(metric_fbeta, snake), \
    OPT_ENUM_ROW(metric_fbeta, average, METRIC_FBETA_NONE, metric_fbeta_averages, "One value of all classes; null: a value for each.", .flags = OPT_NULLABLE), \
    OPT_F64_ROW(metric_fbeta, threshold, -1.0, 0.0, 1.0, "What a positive prediction lies above; null: the greatest of a row is.", .flags = OPT_NULLABLE)
// clang-format on

int metric_fbeta_prepare(void *options, const struct metric_setup *setup, struct arena *arena,
                         struct metric_sizes *sizes, struct err *err);
void metric_fbeta_update(const void *options, const struct metric_batch *batch, double *state);
void metric_fbeta_values(const void *options, const double *state, double *ret);

#endif
