#include "trainer/loss/loss.h"

struct hinge {
    LOSS_FIELDS
};

static const struct opt options[] = {
    LOSS_ROWS(hinge, "hinge"),
    OPT_END_ROW,
};

static double value(const void *opaque, double p, double t, double *slope)
{
    const bool *binary = opaque;
    double label = *binary ? 2.0 * t - 1.0 : t;
    double short_by = 1.0 - label * p;
    *slope = short_by > 0.0 ? -label : 0.0;
    return short_by > 0.0 ? short_by : 0.0;
}

static void run(const void *opaque, const struct loss_call *call)
{
    (void)opaque;
    const bool binary = loss_is_binary(call);
    loss_run_means(call, value, &binary);
}

const struct loss_desc loss_hinge = {
    .name = "Hinge",
    .summary = "How far predictions fall short of their label by 1.",
    .options = options,
    .size = sizeof(struct hinge),
    .run = run,
};
