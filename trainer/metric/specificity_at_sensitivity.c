#include "trainer/metric/metric_confusion.h"

static const struct opt options[] = {
    METRIC_AT_ROWS("specificity_at_sensitivity", "sensitivity"),
    OPT_END_ROW,
};

static void values(const void *opaque, const double *state, double *ret)
{
    ret[0] = metric_at_best(opaque, state, metric_recall_of, metric_specificity_of);
}

const struct metric_desc metric_specificity_at_sensitivity = {
    .name = "SpecificityAtSensitivity",
    .summary = "The best specificity where the sensitivity holds.",
    .options = options,
    .size = sizeof(struct metric_at),
    .labels = METRIC_EQUAL,
    .is_gain = true,
    .prepare = metric_at_prepare,
    .update = metric_at_update,
    .values = values,
};
