#include <math.h>

#include "trainer/loss/loss.h"

struct huber {
    LOSS_FIELDS
    double delta;
};

static const struct opt options[] = {
    LOSS_ROWS(huber, "huber"),
    OPT_F64_ROW(huber, delta, 1.0, 0.0, 1000000000.0, "Where small ends."),
    OPT_END_ROW,
};

static double value(const void *opaque, double p, double t, double *slope)
{
    const struct huber *o = opaque;
    double e = p - t, size = fabs(e);
    *slope = size <= o->delta ? e : (e > 0.0 ? o->delta : -o->delta);
    return size <= o->delta ? 0.5 * e * e : o->delta * size - 0.5 * o->delta * o->delta;
}

static void run(const void *opaque, const struct loss_call *call)
{
    loss_run_means(call, value, opaque);
}

const struct loss_desc loss_huber = {
    .name = "Huber",
    .aliases = "huber_loss",
    .summary = "Squares of small differences, sizes of large ones.",
    .options = options,
    .size = sizeof(struct huber),
    .run = run,
};
