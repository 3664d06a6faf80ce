#include "trainer/optimizer/optimizer.h"

struct sgd {
    OPTIMIZER_FIELDS
    double momentum;
    bool nesterov;
};

static const struct opt options[] = {
    OPTIMIZER_ROWS(sgd, "SGD", 0.0, OPT_NULLABLE),
    OPT_F64_ROW(sgd, momentum, 0.0, 0.0, 1.0, "The part of the last step that is taken again."),
    OPT_BOOL_ROW(sgd, nesterov, false, "Whether the gradient counts after the momentum's step."),
    OPT_END_ROW,
};

static int slots(const void *opaque, struct optimizer_slot *slots)
{
    const struct sgd *o = opaque;
    slots[0] = (struct optimizer_slot){.name = "momentum"};
    return o->momentum != 0.0 ? 1 : 0;
}

static void update(const void *opaque, struct optimizer_update *u)
{
    const struct sgd *o = opaque;
    u->backend->optim->sgd(u->param->count, (float)u->rate, (float)o->momentum, o->nesterov,
                           u->param->g, u->slots[0], u->param->w);
}

const struct optimizer_desc optimizer_sgd = {
    .name = "SGD",
    .summary = "Gradient descent, with momentum if wanted.",
    .options = options,
    .size = sizeof(struct sgd),
    .default_rate = 0.01,
    .slots = slots,
    .update = update,
};
