#include <math.h>

#include "base/math.h"
#include "trainer/loss/loss.h"

struct log_cosh {
    LOSS_FIELDS
};

static const struct opt options[] = {
    LOSS_ROWS(log_cosh, "log_cosh"),
    OPT_END_ROW,
};

static double value(const void *opaque, double p, double t, double *slope)
{
    (void)opaque;
    double x = p - t, size = fabs(x);
    *slope = math_tanh(x);
    return size + math_log(1.0 + math_exp(-2.0 * size)) - 0.69314718055994530942;
}

static void run(const void *opaque, const struct loss_call *call)
{
    loss_run_means(call, value, opaque);
}

const struct loss_desc loss_log_cosh = {
    .name = "LogCosh",
    .aliases = "logcosh LogCoshError",
    .summary = "The logarithm of the hyperbolic cosine of the differences.",
    .options = options,
    .size = sizeof(struct log_cosh),
    .run = run,
};
