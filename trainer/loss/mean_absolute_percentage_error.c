#include <math.h>

#include "trainer/loss/loss.h"

struct mean_absolute_percentage_error {
    LOSS_FIELDS
};

static const struct opt options[] = {
    LOSS_ROWS(mean_absolute_percentage_error, "mean_absolute_percentage_error"),
    OPT_END_ROW,
};

static double value(const void *opaque, double p, double t, double *slope)
{
    (void)opaque;
    double unit = 100.0 / fmax(fabs(t), 1e-7);
    *slope = p > t ? unit : (p < t ? -unit : 0.0);
    return unit * fabs(p - t);
}

static void run(const void *opaque, const struct loss_call *call)
{
    loss_run_means(call, value, opaque);
}

const struct loss_desc loss_mean_absolute_percentage_error = {
    .name = "MeanAbsolutePercentageError",
    .aliases = "mape MAPE",
    .summary = "The mean of the differences in parts of a hundred of the labels.",
    .options = options,
    .size = sizeof(struct mean_absolute_percentage_error),
    .run = run,
};
