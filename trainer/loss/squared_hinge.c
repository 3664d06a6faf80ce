#include "trainer/loss/loss.h"

struct squared_hinge {
    LOSS_FIELDS
};

static const struct opt options[] = {
    LOSS_ROWS(squared_hinge, "squared_hinge"),
    OPT_END_ROW,
};

static double value(const void *opaque, double p, double t, double *slope)
{
    const bool *binary = opaque;
    double label = *binary ? 2.0 * t - 1.0 : t;
    double short_by = 1.0 - label * p;
    double positive = short_by > 0.0 ? short_by : 0.0;
    *slope = -2.0 * positive * label;
    return positive * positive;
}

static void run(const void *opaque, const struct loss_call *call)
{
    (void)opaque;
    const bool binary = loss_is_binary(call);
    loss_run_means(call, value, &binary);
}

const struct loss_desc loss_squared_hinge = {
    .name = "SquaredHinge",
    .summary = "The square of how far predictions fall short of their label by 1.",
    .options = options,
    .size = sizeof(struct squared_hinge),
    .run = run,
};
