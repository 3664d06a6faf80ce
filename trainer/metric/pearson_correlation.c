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
    struct metric_moments m = metric_moments(batch, r);
    return m.covariance / sqrt(m.true_variance * m.pred_variance);
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
