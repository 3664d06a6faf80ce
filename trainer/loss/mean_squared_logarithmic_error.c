#include <math.h>

#include "base/math.h"
#include "trainer/loss/loss.h"

struct mean_squared_logarithmic_error {
    LOSS_FIELDS
};

static const struct opt options[] = {
    LOSS_ROWS(mean_squared_logarithmic_error, "mean_squared_logarithmic_error"),
    OPT_END_ROW,
};

static double value(const void *opaque, double p, double t, double *slope)
{
    (void)opaque;
    double a = fmax(p, 1e-7) + 1.0, b = fmax(t, 1e-7) + 1.0;
    double difference = math_log(a) - math_log(b);
    *slope = p > 1e-7 ? 2.0 * difference / a : 0.0;
    return difference * difference;
}

static void run(const void *opaque, const struct loss_call *call)
{
    loss_run_means(call, value, opaque);
}

const struct loss_desc loss_mean_squared_logarithmic_error = {
    .name = "MeanSquaredLogarithmicError",
    .aliases = "msle MSLE",
    .summary = "The mean of the squares of the differences of logarithms.",
    .options = options,
    .size = sizeof(struct mean_squared_logarithmic_error),
    .run = run,
};
