#include <math.h>

#include "trainer/optimizer/optimizer.h"

struct adagrad {
    OPTIMIZER_FIELDS
    double initial_accumulator_value, epsilon;
};

static const struct opt options[] = {
    OPTIMIZER_ROWS(adagrad, "adagrad", 0.0, OPT_NULLABLE),
    OPT_F64_ROW(adagrad, initial_accumulator_value, 0.1, 0.0, 1000000000.0,
                "What the sums begin with."),
    OPT_F64_ROW(adagrad, epsilon, 1e-7, 0.0, 1000000000.0, "What is added below the root."),
    OPT_END_ROW,
};

static int slots(const void *opaque, struct optimizer_slot *slots)
{
    const struct adagrad *o = opaque;
    slots[0] =
        (struct optimizer_slot){.name = "accumulator", .initial = o->initial_accumulator_value};
    return 1;
}

static void update(const void *opaque, struct optimizer_update *u)
{
    const struct adagrad *o = opaque;
    float *a = u->slots[0], *w = u->param->w;
    const float *g = u->param->g;
    for (size_t i = 0; i < u->param->count; i++) {
        a[i] += g[i] * g[i];
        w[i] -= (float)u->rate * g[i] / sqrtf(a[i] + (float)o->epsilon);
    }
}

const struct optimizer_desc optimizer_adagrad = {
    .name = "Adagrad",
    .summary = "Steps in units of the root of the sum of all squares.",
    .options = options,
    .size = sizeof(struct adagrad),
    .default_rate = 0.001,
    .slots = slots,
    .update = update,
};
