#include <math.h>

#include "trainer/metric/metric.h"

struct pearson_correlation {
    METRIC_FIELDS
    int64_t axis;
};

static const struct opt options[] = {
    METRIC_ROWS(pearson_correlation, "pearson_correlation"),
    OPT_I64_ROW(pearson_correlation, axis, -1, -1, -1, "The axis of the values: the last."),
    OPT_END_ROW,
};

static double row(const void *opaque, const struct metric_batch *batch, size_t r)
{
    (void)opaque;
    const float *truth = batch->y_true + r * batch->cols, *guess = batch->y_pred + r * batch->cols;
    struct metric_moments t = metric_moments(truth, batch->cols),
                          p = metric_moments(guess, batch->cols);
    double covariance = 0.0;
    for (size_t i = 0; i < batch->cols; i++) {
        covariance +=
            ((double)truth[i] - t.mean) * ((double)guess[i] - p.mean) / (double)batch->cols;
    }
    return covariance / sqrt(t.variance * p.variance);
}

const struct metric_desc metric_pearson_correlation = {
    .name = "PearsonCorrelation",
    .summary = "The linear correlation of predictions and labels along the last axis.",
    .options = options,
    .size = sizeof(struct pearson_correlation),
    .labels = METRIC_EQUAL,
    .is_gain = true,
    .row = row,
};
