#include "trainer/metric/metric_confusion.h"

static const struct opt options[] = {
    METRIC_THRESHOLD_ROWS("precision"),
    METRIC_TOP_ROWS(),
    OPT_END_ROW,
};

static double value(const struct metric_counts *counts)
{
    return metric_precision_of(counts);
}

static void values(const void *opaque, const double *state, double *ret)
{
    metric_threshold_values(opaque, state, value, ret);
}

const struct metric_desc metric_precision = {
    .name = "Precision",
    .summary = "The share of positive predictions that are right.",
    .options = options,
    .size = sizeof(struct metric_threshold),
    .labels = METRIC_EQUAL,
    .is_gain = true,
    .prepare = metric_threshold_prepare,
    .update = metric_threshold_update,
    .values = values,
};
