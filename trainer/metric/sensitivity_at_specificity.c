#include "trainer/metric/metric_confusion.h"

static const struct opt options[] = {
    METRIC_AT_ROWS("sensitivity_at_specificity", "specificity"),
    OPT_END_ROW,
};

static void values(const void *opaque, const double *state, double *ret)
{
    ret[0] = metric_at_best(opaque, state, metric_specificity_of, metric_recall_of);
}

const struct metric_desc metric_sensitivity_at_specificity = {
    .name = "SensitivityAtSpecificity",
    .summary = "The best sensitivity where the specificity holds.",
    .options = options,
    .size = sizeof(struct metric_at),
    .labels = METRIC_EQUAL,
    .is_gain = true,
    .prepare = metric_at_prepare,
    .update = metric_at_update,
    .values = values,
};
