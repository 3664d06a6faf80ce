#include "trainer/optimizer/optimizer.h"

struct lion {
    OPTIMIZER_FIELDS
    double beta_1, beta_2;
};

static const struct opt options[] = {
    OPTIMIZER_ROWS(lion, "lion", 0.0, OPT_NULLABLE),
    OPT_F64_ROW(lion, beta_1, 0.9, 0.0, 1.0, "The momentum of the step."),
    OPT_F64_ROW(lion, beta_2, 0.99, 0.0, 1.0, "The momentum of the gradients' mean."),
    OPT_END_ROW,
};

static int slots(const void *opaque, struct optimizer_slot *slots)
{
    const struct lion *o = opaque;
    (void)o;
    slots[0] = (struct optimizer_slot){.name = "momentum"};
    return 1;
}

static void update(const void *opaque, struct optimizer_update *u)
{
    const struct lion *o = opaque;
    float *m = u->slots[0], *w = u->param->w;
    const float *g = u->param->g;
    float b1 = (float)o->beta_1, b2 = (float)o->beta_2;
    for (size_t i = 0; i < u->param->count; i++) {
        float way = m[i] * b1 + g[i] * (1.0F - b1);
        w[i] -= (float)u->rate * (way > 0.0F ? 1.0F : (way < 0.0F ? -1.0F : way));
        m[i] = m[i] * b2 + g[i] * (1.0F - b2);
    }
}

const struct optimizer_desc optimizer_lion = {
    .name = "Lion",
    .summary = "Steps of one size in the direction of the momentum.",
    .options = options,
    .size = sizeof(struct lion),
    .default_rate = 0.001,
    .slots = slots,
    .update = update,
};
