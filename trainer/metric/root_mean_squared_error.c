#include <math.h>

#include "trainer/metric/metric.h"

struct root_mean_squared_error {
    METRIC_FIELDS
};

static const struct opt options[] = {
    METRIC_ROWS(root_mean_squared_error, "root_mean_squared_error"),
    OPT_END_ROW,
};

static double row(const void *opaque, const struct metric_batch *batch, size_t r)
{
    (void)opaque;
    double sum = 0.0;
    for (size_t i = r * batch->cols; i < (r + 1) * batch->cols; i++) {
        double d = (double)batch->y_pred[i] - (double)batch->y_true[i];
        sum += d * d;
    }
    return sum / (double)batch->cols;
}

const struct metric_desc metric_root_mean_squared_error = {
    .name = "RootMeanSquaredError",
    .summary = "The root of the mean squared difference.",
    .options = options,
    .size = sizeof(struct root_mean_squared_error),
    .labels = METRIC_EQUAL,
    .row = row,
    .finish = sqrt,
};
