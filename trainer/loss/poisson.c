#include "base/math.h"
#include "trainer/loss/loss.h"

struct poisson {
    LOSS_FIELDS
};

static const struct opt options[] = {
    LOSS_ROWS(poisson, "poisson"),
    OPT_END_ROW,
};

static double value(const void *opaque, double p, double t, double *slope)
{
    (void)opaque;
    *slope = 1.0 - t / (p + 1e-7);
    return p - t * math_log(p + 1e-7);
}

static void run(const void *opaque, const struct loss_call *call)
{
    loss_run_means(call, value, opaque);
}

const struct loss_desc loss_poisson = {
    .name = "Poisson",
    .summary = "What Poisson numbers of the predicted means cost.",
    .options = options,
    .size = sizeof(struct poisson),
    .run = run,
};
