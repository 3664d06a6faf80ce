#include <math.h>

#include "base/math.h"
#include "trainer/schedule/schedule.h"

struct cosine_decay {
    double initial_learning_rate, alpha, warmup_target;
    int64_t decay_steps, warmup_steps;
    const char *name;
};

static const struct opt options[] = {
    OPT_F64_ROW(cosine_decay, initial_learning_rate, 0.1, 0.0, 1e9, "The rate at step 0.",
                .flags = OPT_REQUIRED),
    OPT_I64_ROW(cosine_decay, decay_steps, 1, 1, OPT_I64_MAX, "Steps of the decay.",
                .flags = OPT_REQUIRED),
    OPT_F64_ROW(cosine_decay, alpha, 0.0, 0.0, 1e9,
                "The part of the rate that is left at the end."),
    OPT_STR_ROW(cosine_decay, name, "CosineDecay", "A name, for Keras."),
    OPT_F64_ROW(cosine_decay, warmup_target, -1.0, -1.0, 1e9,
                "The rate at the end of the warm-up; none: no warm-up.", .flags = OPT_NULLABLE),
    OPT_I64_ROW(cosine_decay, warmup_steps, 0, 0, OPT_I64_MAX, "Steps of the warm-up."),
    OPT_END_ROW,
};

static double rate(const void *opaque, double step)
{
    const struct cosine_decay *o = opaque;
    bool warms = o->warmup_target >= 0.0;
    double from = warms ? o->warmup_target : o->initial_learning_rate;
    if (warms && o->warmup_steps > 0 && step < (double)o->warmup_steps) {
        double done = step / (double)o->warmup_steps;
        return o->initial_learning_rate + (o->warmup_target - o->initial_learning_rate) * done;
    }
    double steps = (double)o->decay_steps;
    step = fmin(warms ? step - (double)o->warmup_steps : step, steps);
    double cosine = 0.5 * (1.0 + math_cos(3.14159265358979323846 * step / steps));
    return from * ((1.0 - o->alpha) * cosine + o->alpha);
}

const struct schedule_desc schedule_cosine_decay = {
    .name = "CosineDecay",
    .summary = "The rate falls along half a cosine, after a linear warm-up if wanted.",
    .options = options,
    .size = sizeof(struct cosine_decay),
    .rate = rate,
};
