#include <math.h>

#include "base/math.h"
#include "trainer/schedule/schedule.h"

struct cosine_decay_restarts {
    double initial_learning_rate, t_mul, m_mul, alpha;
    int64_t first_decay_steps;
    const char *name;
};

static const struct opt options[] = {
    OPT_F64_ROW(cosine_decay_restarts, initial_learning_rate, 0.1, 0.0, 1e9, "The rate at step 0.",
                .flags = OPT_REQUIRED),
    OPT_I64_ROW(cosine_decay_restarts, first_decay_steps, 1, 1, OPT_I64_MAX,
                "Steps of the first period.", .flags = OPT_REQUIRED),
    OPT_F64_ROW(cosine_decay_restarts, t_mul, 2.0, 1.0, 1e6, "How much longer each period is."),
    OPT_F64_ROW(cosine_decay_restarts, m_mul, 1.0, 0.0, 1e6,
                "The factor of the rate at each restart."),
    OPT_F64_ROW(cosine_decay_restarts, alpha, 0.0, 0.0, 1e9,
                "The part of the rate that is left at the end of a period."),
    OPT_STR_ROW(cosine_decay_restarts, name, "SGDRDecay", "A name, for Keras."),
    OPT_END_ROW,
};

static double rate(const void *opaque, double step)
{
    const struct cosine_decay_restarts *o = opaque;
    double done = step / (double)o->first_decay_steps;
    double period = 0.0;
    if (o->t_mul == 1.0) {
        period = floor(done);
        done -= period;
    } else {
        /* The length of the periods before: (1 - t^i) / (1 - t). */
        double ratio = math_log(1.0 - done * (1.0 - o->t_mul)) / math_log(o->t_mul);
        period = floor(ratio + 1e-9);
        double power = math_pow(o->t_mul, period);
        done = fmax(done - (1.0 - power) / (1.0 - o->t_mul), 0.0) / power;
    }
    double factor = period == 0.0 ? 1.0 : (o->m_mul > 0.0 ? math_pow(o->m_mul, period) : 0.0);
    double cosine = 0.5 * factor * (1.0 + math_cos(3.14159265358979323846 * done));
    return o->initial_learning_rate * ((1.0 - o->alpha) * cosine + o->alpha);
}

const struct schedule_desc schedule_cosine_decay_restarts = {
    .name = "CosineDecayRestarts",
    .summary = "The rate falls along half a cosine and starts again, in ever longer periods.",
    .options = options,
    .size = sizeof(struct cosine_decay_restarts),
    .rate = rate,
};
