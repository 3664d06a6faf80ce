#include <math.h>

#include "trainer/metric/metric.h"

struct log_cosh_error {
    METRIC_FIELDS
};

static const struct opt options[] = {
    METRIC_ROWS(log_cosh_error, "logcosh"),
    OPT_END_ROW,
};

/* log(cosh(d)) without the overflow. */
static double log_cosh(double d)
{
    return fabs(d) + log1p(exp(-2.0 * fabs(d))) - 0.6931471805599453;
}

static double row(const void *opaque, const struct metric_batch *batch, size_t r)
{
    (void)opaque;
    double sum = 0.0;
    for (size_t i = r * batch->cols; i < (r + 1) * batch->cols; i++) {
        sum += log_cosh((double)batch->y_pred[i] - (double)batch->y_true[i]);
    }
    return sum / (double)batch->cols;
}

const struct metric_desc metric_log_cosh_error = {
    .name = "LogCoshError",
    .summary = "The mean logarithm of the hyperbolic cosine of the difference.",
    .options = options,
    .size = sizeof(struct log_cosh_error),
    .labels = METRIC_EQUAL,
    .row = row,
};
