#include "trainer/loss/loss.h"

struct hinge {
    LOSS_FIELDS
};

static const struct opt options[] = {
    LOSS_ROWS(hinge, "hinge"),
    OPT_END_ROW,
};

/* Labels of 0 and 1 alone are taken as -1 and 1. */
static bool is_binary(const struct loss_call *call)
{
    for (size_t i = 0; i < call->rows * call->cols; i++) {
        if (call->targets[i] != 0.0F && call->targets[i] != 1.0F) {
            return false;
        }
    }
    return true;
}

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
    bool binary = is_binary(call);
    loss_run_means(call, value, &binary);
}

const struct loss_desc loss_hinge = {
    .name = "Hinge",
    .summary = "How far predictions fall short of their label by 1.",
    .options = options,
    .size = sizeof(struct hinge),
    .run = run,
};
