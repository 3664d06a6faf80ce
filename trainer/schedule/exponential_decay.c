#include <math.h>

#include "base/math.h"
#include "trainer/schedule/schedule.h"

struct exponential_decay {
    double initial_learning_rate, decay_rate;
    int64_t decay_steps;
    bool staircase;
    const char *name;
};

static const struct opt options[] = {
    OPT_F64_ROW(exponential_decay, initial_learning_rate, 0.1, 0.0, 1e9, "The rate at step 0.",
                .flags = OPT_REQUIRED),
    OPT_I64_ROW(exponential_decay, decay_steps, 1, 1, OPT_I64_MAX, "Steps of one factor.",
                .flags = OPT_REQUIRED),
    OPT_F64_ROW(exponential_decay, decay_rate, 0.96, 1e-30, 1e9, "The factor.",
                .flags = OPT_REQUIRED),
    OPT_BOOL_ROW(exponential_decay, staircase, false,
                 "Whether the rate falls only every decay_steps."),
    OPT_STR_ROW(exponential_decay, name, "ExponentialDecay", "A name, for Keras."),
    OPT_END_ROW,
};

static double rate(const void *opaque, double step)
{
    const struct exponential_decay *o = opaque;
    double p = step / (double)o->decay_steps;
    return o->initial_learning_rate * math_pow(o->decay_rate, o->staircase ? floor(p) : p);
}

const struct schedule_desc schedule_exponential_decay = {
    .name = "ExponentialDecay",
    .summary = "The rate shrinks by a factor every decay_steps steps.",
    .options = options,
    .size = sizeof(struct exponential_decay),
    .rate = rate,
};
