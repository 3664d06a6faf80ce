#include <math.h>

#include "trainer/optimizer/optimizer.h"

struct adadelta {
    OPTIMIZER_FIELDS
    double rho, epsilon;
};

static const struct opt options[] = {
    OPTIMIZER_ROWS(adadelta, "adadelta", 0.0, OPT_NULLABLE),
    OPT_F64_ROW(adadelta, rho, 0.95, 0.0, 1.0, "The momentum of both means."),
    OPT_F64_ROW(adadelta, epsilon, 1e-7, 0.0, 1000000000.0, "What is added below the roots."),
    OPT_END_ROW,
};

static int slots(const void *opaque, struct optimizer_slot *slots)
{
    const struct adadelta *o = opaque;
    (void)o;
    slots[0] = (struct optimizer_slot){.name = "accumulated_grad"};
    slots[1] = (struct optimizer_slot){.name = "accumulated_delta_var"};
    return 2;
}

static void update(const void *opaque, struct optimizer_update *u)
{
    const struct adadelta *o = opaque;
    float *a = u->slots[0], *d = u->slots[1], *w = u->param->w;
    const float *g = u->param->g;
    float rho = (float)o->rho, epsilon = (float)o->epsilon;
    for (size_t i = 0; i < u->param->count; i++) {
        a[i] = rho * a[i] + (1.0F - rho) * g[i] * g[i];
        float step = -sqrtf(d[i] + epsilon) * g[i] / sqrtf(a[i] + epsilon);
        d[i] = rho * d[i] + (1.0F - rho) * step * step;
        w[i] += (float)u->rate * step;
    }
}

const struct optimizer_desc optimizer_adadelta = {
    .name = "Adadelta",
    .summary = "Steps whose units follow from the steps before.",
    .options = options,
    .size = sizeof(struct adadelta),
    .default_rate = 0.001,
    .slots = slots,
    .update = update,
};
