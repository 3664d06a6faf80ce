#include "trainer/metric/metric_fbeta.h"

static const struct opt options[] = {
    METRIC_FBETA_ROWS("fbeta_score"),
    OPT_F64_ROW(metric_fbeta, beta, 1.0, 1e-6, 1e6, "How much more recall counts than precision."),
    OPT_END_ROW,
};

const struct metric_desc metric_fbeta_score = {
    .name = "FBetaScore",
    .summary = "The weighted harmonic mean of precision and recall.",
    .options = options,
    .size = sizeof(struct metric_fbeta),
    .labels = METRIC_EQUAL,
    .is_gain = true,
    .prepare = metric_fbeta_prepare,
    .update = metric_fbeta_update,
    .values = metric_fbeta_values,
};
