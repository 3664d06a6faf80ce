#include <math.h>

#include "trainer/optimizer/optimizer.h"

struct rmsprop {
    OPTIMIZER_FIELDS
    double rho, momentum, epsilon;
    bool centered;
};

static const struct opt options[] = {
    OPTIMIZER_ROWS(rmsprop, "rmsprop", 0.0, OPT_NULLABLE),
    OPT_F64_ROW(rmsprop, rho, 0.9, 0.0, 1.0, "The momentum of the squares' mean."),
    OPT_F64_ROW(rmsprop, momentum, 0.0, 0.0, 1.0, "The part of the last step that is taken again."),
    OPT_F64_ROW(rmsprop, epsilon, 1e-7, 0.0, 1000000000.0, "What is added below the root."),
    OPT_BOOL_ROW(rmsprop, centered, false, "Whether squares are taken around the gradients' mean."),
    OPT_END_ROW,
};

static int slots(const void *opaque, struct optimizer_slot *slots)
{
    const struct rmsprop *o = opaque;
    int n = 1;
    slots[0] = (struct optimizer_slot){.name = "velocity"};
    if (o->momentum > 0.0) {
        slots[n] = (struct optimizer_slot){.name = "momentum", .group = n};
        n++;
    }
    if (o->centered) {
        slots[n] = (struct optimizer_slot){.name = "average_gradient", .group = n};
        n++;
    }
    return n;
}

static void update(const void *opaque, struct optimizer_update *u)
{
    const struct rmsprop *o = opaque;
    float *v = u->slots[0], *w = u->param->w;
    float *m = o->momentum > 0.0 ? u->slots[1] : NULL;
    float *a = o->centered ? u->slots[m ? 2 : 1] : NULL;
    const float *g = u->param->g;
    float rho = (float)o->rho, rate = (float)u->rate, epsilon = (float)o->epsilon;
    for (size_t i = 0; i < u->param->count; i++) {
        v[i] = rho * v[i] + (1.0F - rho) * g[i] * g[i];
        float below = v[i] + epsilon;
        if (a) {
            a[i] = rho * a[i] + (1.0F - rho) * g[i];
            below = v[i] - a[i] * a[i] + epsilon;
        }
        float step = rate * g[i] / sqrtf(below);
        if (m) {
            step = m[i] = (float)o->momentum * m[i] + step;
        }
        w[i] -= step;
    }
}

const struct optimizer_desc optimizer_rmsprop = {
    .name = "RMSprop",
    .summary = "Steps in units of the root of the squares' moving mean.",
    .options = options,
    .size = sizeof(struct rmsprop),
    .default_rate = 0.001,
    .slots = slots,
    .update = update,
};
