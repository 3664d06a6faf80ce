#include "trainer/metric/metric.h"

struct concordance_correlation {
    METRIC_FIELDS
    int64_t axis;
};

static const struct opt options[] = {
    METRIC_ROWS(concordance_correlation, "concordance_correlation"),
    OPT_I64_ROW(concordance_correlation, axis, -1, -1, -1, "The axis of the values: the last."),
    OPT_END_ROW,
};

static double row(const void *opaque, const struct metric_batch *batch, size_t r)
{
    (void)opaque;
    struct metric_moments m = metric_moments(batch, r);
    double d = m.true_mean - m.pred_mean;
    return 2.0 * m.covariance / (m.true_variance + m.pred_variance + d * d + 1e-7);
}

const struct metric_desc metric_concordance_correlation = {
    .name = "ConcordanceCorrelation",
    .summary = "How far predictions lie from the line of equality (Lin 1989).",
    .options = options,
    .size = sizeof(struct concordance_correlation),
    .labels = METRIC_EQUAL,
    .is_gain = true,
    .row = row,
};
