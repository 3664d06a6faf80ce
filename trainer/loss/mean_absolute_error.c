#include <math.h>

#include "trainer/loss/loss.h"

struct mean_absolute_error {
    LOSS_FIELDS
};

static const struct opt options[] = {
    LOSS_ROWS(mean_absolute_error, "mean_absolute_error"),
    OPT_END_ROW,
};

static double value(const void *opaque, double p, double t, double *slope)
{
    (void)opaque;
    *slope = p > t ? 1.0 : (p < t ? -1.0 : 0.0);
    return fabs(p - t);
}

static void run(const void *opaque, const struct loss_call *call)
{
    loss_run_means(call, value, opaque);
}

const struct loss_desc loss_mean_absolute_error = {
    .name = "MeanAbsoluteError",
    .aliases = "mae MAE",
    .summary = "The mean of the sizes of the differences.",
    .options = options,
    .size = sizeof(struct mean_absolute_error),
    .run = run,
};
