#include "trainer/optimizer/optimizer.h"

struct adam {
    OPTIMIZER_FIELDS
    double beta_1, beta_2, epsilon;
    bool amsgrad;
};

static const struct opt options[] = {
    OPTIMIZER_ROWS(adam, "adam", 0.0, OPT_NULLABLE),
    OPT_F64_ROW(adam, beta_1, 0.9, 0.0, 1.0, "The momentum of the gradients' mean."),
    OPT_F64_ROW(adam, beta_2, 0.999, 0.0, 1.0, "The momentum of the squares' mean."),
    OPT_F64_ROW(adam, epsilon, 1e-7, 0.0, 1e9, "What is added to the root."),
    OPT_BOOL_ROW(adam, amsgrad, false, "Whether the greatest mean of squares counts."),
    OPT_END_ROW,
};

static int slots(const void *opaque, struct optimizer_slot *slots)
{
    const struct adam *o = opaque;
    slots[0] = (struct optimizer_slot){.name = "momentum"};
    slots[1] = (struct optimizer_slot){.name = "velocity"};
    slots[2] = (struct optimizer_slot){.name = "velocity_hat", .group = 1};
    return o->amsgrad ? 3 : 2;
}

static void update(const void *opaque, struct optimizer_update *u)
{
    const struct adam *o = opaque;
    float alpha = optimizer_adam_rate(u, o->beta_1, o->beta_2);
    u->backend->optim->adam(u->param->count, alpha, (float)o->beta_1, (float)o->beta_2,
                            (float)o->epsilon, u->param->g, u->slots[0], u->slots[1],
                            o->amsgrad ? u->slots[2] : NULL, u->param->w);
}

const struct optimizer_desc optimizer_adam = {
    .name = "Adam",
    .summary = "Adaptive moments: steps in units of the gradients' usual size.",
    .options = options,
    .size = sizeof(struct adam),
    .default_rate = 0.001,
    .slots = slots,
    .update = update,
};
