#include <math.h>

#include "base/math.h"
#include "trainer/schedule/schedule.h"

struct polynomial_decay {
    double initial_learning_rate, end_learning_rate, power;
    int64_t decay_steps;
    bool cycle;
    const char *name;
};

static const struct opt options[] = {
    OPT_F64_ROW(polynomial_decay, initial_learning_rate, 0.1, 0.0, 1e9, "The rate at step 0.",
                .flags = OPT_REQUIRED),
    OPT_I64_ROW(polynomial_decay, decay_steps, 1, 1, OPT_I64_MAX, "Steps until the end rate.",
                .flags = OPT_REQUIRED),
    OPT_F64_ROW(polynomial_decay, end_learning_rate, 0.0001, 0.0, 1e9, "The rate at the end."),
    OPT_F64_ROW(polynomial_decay, power, 1.0, 0.0, 1e3, "The power of the part that is left."),
    OPT_BOOL_ROW(polynomial_decay, cycle, false,
                 "Whether the rate rises again behind decay_steps."),
    OPT_STR_ROW(polynomial_decay, name, "PolynomialDecay", "A name, for Keras."),
    OPT_END_ROW,
};

static double rate(const void *opaque, double step)
{
    const struct polynomial_decay *o = opaque;
    double steps = (double)o->decay_steps;
    if (o->cycle) {
        steps *= step == 0.0 ? 1.0 : ceil(step / steps);
    }
    double left = 1.0 - fmin(step, steps) / steps;
    double part = left > 0.0 ? math_pow(left, o->power) : (o->power == 0.0 ? 1.0 : 0.0);
    return (o->initial_learning_rate - o->end_learning_rate) * part + o->end_learning_rate;
}

const struct schedule_desc schedule_polynomial_decay = {
    .name = "PolynomialDecay",
    .summary = "The rate falls to an end rate along a power of the steps that are left.",
    .options = options,
    .size = sizeof(struct polynomial_decay),
    .rate = rate,
};
