#include "trainer/metric/metric_confusion.h"

static const struct opt options[] = {
    METRIC_THRESHOLD_ROWS("false_positives"),
    OPT_END_ROW,
};

static double value(const struct metric_counts *counts)
{
    return counts->fp;
}

static void values(const void *opaque, const double *state, double *ret)
{
    metric_threshold_values(opaque, state, value, ret);
}

const struct metric_desc metric_false_positives = {
    .name = "FalsePositives",
    .summary = "How many predictions are wrongly positive.",
    .options = options,
    .size = sizeof(struct metric_threshold),
    .labels = METRIC_EQUAL,
    .prepare = metric_counts_prepare,
    .update = metric_threshold_update,
    .values = values,
};
