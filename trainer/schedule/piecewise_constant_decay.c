#include "trainer/schedule/schedule.h"

struct piecewise_constant_decay {
    struct opt_floats boundaries, values;
    const char *name;
};

static const struct opt options[] = {
    OPT_FLOATS_ROW(piecewise_constant_decay, boundaries, NULL, 1, 0, 0.0, 1e15,
                   "The last steps of all pieces but the last, rising.", .flags = OPT_REQUIRED),
    OPT_FLOATS_ROW(piecewise_constant_decay, values, NULL, 2, 0, 0.0, 1e9,
                   "The rates, one more than boundaries.", .flags = OPT_REQUIRED),
    OPT_STR_ROW(piecewise_constant_decay, name, "PiecewiseConstant", "A name, for Keras."),
    OPT_END_ROW,
};

static int check(const void *opaque, struct err *err)
{
    const struct piecewise_constant_decay *o = opaque;
    if (o->values.n != o->boundaries.n + 1) {
        return err_set_at(err, ERR_INVALID, "values", "%zu boundaries need %zu values, not %zu",
                          o->boundaries.n, o->boundaries.n + 1, o->values.n);
    }
    return 0;
}

static double rate(const void *opaque, double step)
{
    const struct piecewise_constant_decay *o = opaque;
    size_t i = 0;
    while (i < o->boundaries.n && step > o->boundaries.v[i]) {
        i++;
    }
    return o->values.v[i];
}

const struct schedule_desc schedule_piecewise_constant_decay = {
    .name = "PiecewiseConstantDecay",
    .summary = "The rate is constant between boundaries.",
    .options = options,
    .size = sizeof(struct piecewise_constant_decay),
    .check = check,
    .rate = rate,
};
