#include <math.h>

#include "trainer/schedule/schedule.h"

struct inverse_time_decay {
    double initial_learning_rate, decay_rate;
    int64_t decay_steps;
    bool staircase;
    const char *name;
};

static const struct opt options[] = {
    OPT_F64_ROW(inverse_time_decay, initial_learning_rate, 0.1, 0.0, 1e9, "The rate at step 0.",
                .flags = OPT_REQUIRED),
    OPT_I64_ROW(inverse_time_decay, decay_steps, 1, 1, OPT_I64_MAX, "Steps of one unit of decay.",
                .flags = OPT_REQUIRED),
    OPT_F64_ROW(inverse_time_decay, decay_rate, 0.5, 0.0, 1e9, "How much the divisor grows a unit.",
                .flags = OPT_REQUIRED),
    OPT_BOOL_ROW(inverse_time_decay, staircase, false,
                 "Whether the rate falls only every decay_steps."),
    OPT_STR_ROW(inverse_time_decay, name, "InverseTimeDecay", "A name, for Keras."),
    OPT_END_ROW,
};

static double rate(const void *opaque, double step)
{
    const struct inverse_time_decay *o = opaque;
    double p = step / (double)o->decay_steps;
    return o->initial_learning_rate / (1.0 + o->decay_rate * (o->staircase ? floor(p) : p));
}

const struct schedule_desc schedule_inverse_time_decay = {
    .name = "InverseTimeDecay",
    .summary = "The rate is divided by a number that grows with the steps.",
    .options = options,
    .size = sizeof(struct inverse_time_decay),
    .rate = rate,
};
