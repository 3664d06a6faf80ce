#include <math.h>

#include "trainer/optimizer/optimizer.h"

struct nadam {
    OPTIMIZER_FIELDS
    double beta_1, beta_2, epsilon;
};

static const struct opt options[] = {
    OPTIMIZER_ROWS(nadam, "nadam", 0.0, OPT_NULLABLE),
    OPT_F64_ROW(nadam, beta_1, 0.9, 0.0, 1.0, "The momentum of the gradients' mean."),
    OPT_F64_ROW(nadam, beta_2, 0.999, 0.0, 1.0, "The momentum of the squares' mean."),
    OPT_F64_ROW(nadam, epsilon, 1e-7, 0.0, 1000000000.0, "What is added to the root."),
    OPT_END_ROW,
};

static int slots(const void *opaque, struct optimizer_slot *slots)
{
    const struct nadam *o = opaque;
    (void)o;
    slots[0] = (struct optimizer_slot){.name = "momentum"};
    slots[1] = (struct optimizer_slot){.name = "velocity"};
    /* The product of all momenta until now. */
    slots[2] = (struct optimizer_slot){
        .name = "variable", .shape = OPTIMIZER_SLOT_SINGLE, .group = 1, .initial = 1.0};
    return 3;
}

static float momentum_of(const struct nadam *o, int64_t step)
{
    return (float)o->beta_1 * (1.0F - 0.5F * optimizer_power(0.96, step));
}

static void begin(const void *opaque, struct optimizer_update *u)
{
    u->slots[2][0] *= momentum_of(opaque, u->step);
}

static void update(const void *opaque, struct optimizer_update *u)
{
    const struct nadam *o = opaque;
    float *m = u->slots[0], *v = u->slots[1], *w = u->param->w;
    const float *g = u->param->g;
    float now = momentum_of(o, u->step), next = momentum_of(o, u->step + 1);
    float product = u->slots[2][0], product_next = product * next;
    float rest = 1.0F - optimizer_power(o->beta_2, u->step);
    for (size_t i = 0; i < u->param->count; i++) {
        m[i] += (g[i] - m[i]) * (1.0F - (float)o->beta_1);
        v[i] += (g[i] * g[i] - v[i]) * (1.0F - (float)o->beta_2);
        float step = next * m[i] / (1.0F - product_next) + (1.0F - now) * g[i] / (1.0F - product);
        w[i] -= step * (float)u->rate / (sqrtf(v[i] / rest) + (float)o->epsilon);
    }
}

const struct optimizer_desc optimizer_nadam = {
    .name = "Nadam",
    .summary = "Adam that looks a step ahead.",
    .options = options,
    .size = sizeof(struct nadam),
    .default_rate = 0.001,
    .slots = slots,
    .update = update,
    .begin = begin,
};
