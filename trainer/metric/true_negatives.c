#include "trainer/metric/metric_confusion.h"

static const struct opt options[] = {
    METRIC_THRESHOLD_ROWS("true_negatives"),
    OPT_END_ROW,
};

static double value(const struct metric_counts *counts)
{
    return counts->tn;
}

static void values(const void *opaque, const double *state, double *ret)
{
    metric_threshold_values(opaque, state, value, ret);
}

const struct metric_desc metric_true_negatives = {
    .name = "TrueNegatives",
    .summary = "How many predictions are rightly negative.",
    .options = options,
    .size = sizeof(struct metric_threshold),
    .labels = METRIC_EQUAL,
    .is_gain = true,
    .prepare = metric_counts_prepare,
    .update = metric_threshold_update,
    .values = values,
};
