#include <math.h>

#include "trainer/optimizer/optimizer.h"

struct adamax {
    OPTIMIZER_FIELDS
    double beta_1, beta_2, epsilon;
};

static const struct opt options[] = {
    OPTIMIZER_ROWS(adamax, "adamax", 0.0, OPT_NULLABLE),
    OPT_F64_ROW(adamax, beta_1, 0.9, 0.0, 1.0, "The momentum of the gradients' mean."),
    OPT_F64_ROW(adamax, beta_2, 0.999, 0.0, 1.0, "How slowly the greatest gradient is forgotten."),
    OPT_F64_ROW(adamax, epsilon, 1e-7, 0.0, 1000000000.0,
                "What is added to the greatest gradient."),
    OPT_END_ROW,
};

static int slots(const void *opaque, struct optimizer_slot *slots)
{
    const struct adamax *o = opaque;
    (void)o;
    slots[0] = (struct optimizer_slot){.name = "momentum"};
    slots[1] = (struct optimizer_slot){.name = "norm"};
    return 2;
}

static void update(const void *opaque, struct optimizer_update *u)
{
    const struct adamax *o = opaque;
    float *m = u->slots[0], *norm = u->slots[1], *w = u->param->w;
    const float *g = u->param->g;
    float rest = 1.0F - optimizer_power(o->beta_1, u->step);
    for (size_t i = 0; i < u->param->count; i++) {
        m[i] += (g[i] - m[i]) * (1.0F - (float)o->beta_1);
        norm[i] = fmaxf((float)o->beta_2 * norm[i], fabsf(g[i]));
        w[i] -= (float)u->rate * m[i] / (rest * (norm[i] + (float)o->epsilon));
    }
}

const struct optimizer_desc optimizer_adamax = {
    .name = "Adamax",
    .summary = "Adam with the greatest gradient in the place of the squares.",
    .options = options,
    .size = sizeof(struct adamax),
    .default_rate = 0.001,
    .slots = slots,
    .update = update,
};
