#include <math.h>

#include "trainer/optimizer/optimizer.h"

struct lamb {
    OPTIMIZER_FIELDS
    double beta_1, beta_2, epsilon;
};

static const struct opt options[] = {
    OPTIMIZER_ROWS(lamb, "lamb", 0.0, OPT_NULLABLE),
    OPT_F64_ROW(lamb, beta_1, 0.9, 0.0, 1.0, "The momentum of the gradients' mean."),
    OPT_F64_ROW(lamb, beta_2, 0.999, 0.0, 1.0, "The momentum of the squares' mean."),
    OPT_F64_ROW(lamb, epsilon, 1e-7, 0.0, 1000000000.0, "What is added to the root."),
    OPT_END_ROW,
};

static int slots(const void *opaque, struct optimizer_slot *slots)
{
    const struct lamb *o = opaque;
    (void)o;
    slots[0] = (struct optimizer_slot){.name = "momentum"};
    slots[1] = (struct optimizer_slot){.name = "velocity"};
    return 2;
}

static void update(const void *opaque, struct optimizer_update *u)
{
    const struct lamb *o = opaque;
    float *m = u->slots[0], *v = u->slots[1], *step = u->scratch;
    const float *g = u->param->g;
    size_t count = u->param->count;
    float rest_1 = 1.0F - optimizer_power(o->beta_1, u->step);
    float rest_2 = 1.0F - optimizer_power(o->beta_2, u->step);
    for (size_t i = 0; i < count; i++) {
        m[i] += (g[i] - m[i]) * (1.0F - (float)o->beta_1);
        v[i] += (g[i] * g[i] - v[i]) * (1.0F - (float)o->beta_2);
        step[i] = m[i] / rest_1 / (sqrtf(v[i] / rest_2) + (float)o->epsilon);
    }
    double w_norm = sqrt(u->backend->vec->sum_squares(count, u->param->w));
    double s_norm = sqrt(u->backend->vec->sum_squares(count, step));
    double ratio = w_norm > 0.0 && s_norm > 0.0 ? w_norm / s_norm : 1.0;
    u->backend->vec->axpy(count, (float)(-ratio * u->rate), step, u->param->w);
}

const struct optimizer_desc optimizer_lamb = {
    .name = "Lamb",
    .summary = "Adam whose steps are as long as the weights say.",
    .options = options,
    .size = sizeof(struct lamb),
    .default_rate = 0.001,
    .slots = slots,
    .update = update,
};
