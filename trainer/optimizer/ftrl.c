#include <math.h>

#include "base/math.h"
#include "trainer/optimizer/optimizer.h"

struct ftrl {
    OPTIMIZER_FIELDS
    double learning_rate_power, initial_accumulator_value, beta;
    double l1_regularization_strength, l2_regularization_strength;
    double l2_shrinkage_regularization_strength;
};

static const struct opt options[] = {
    OPTIMIZER_ROWS(ftrl, "ftrl", 0.0, OPT_NULLABLE),
    OPT_F64_ROW(ftrl, learning_rate_power, -0.5, -10.0, 0.0,
                "How the rate falls with the sum of squares."),
    OPT_F64_ROW(ftrl, initial_accumulator_value, 0.1, 0.0, 1000000000.0,
                "What the sums begin with."),
    OPT_F64_ROW(ftrl, l1_regularization_strength, 0.0, 0.0, 1000000000.0,
                "The strength of the pull to 0."),
    OPT_F64_ROW(ftrl, l2_regularization_strength, 0.0, 0.0, 1000000000.0,
                "The strength of the square of it."),
    OPT_F64_ROW(ftrl, l2_shrinkage_regularization_strength, 0.0, 0.0, 1000000000.0,
                "The same in the gradient alone."),
    OPT_F64_ROW(ftrl, beta, 0.0, 0.0, 1000000000.0, "Beta of the paper."),
    OPT_END_ROW,
};

static int slots(const void *opaque, struct optimizer_slot *slots)
{
    const struct ftrl *o = opaque;
    slots[0] =
        (struct optimizer_slot){.name = "accumulator", .initial = o->initial_accumulator_value};
    slots[1] = (struct optimizer_slot){.name = "linear"};
    return 2;
}

static float power(float x, double exponent)
{
    if (exponent == 0.5) {
        return sqrtf(x);
    }
    return x > 0.0F ? (float)math_pow((double)x, exponent) : 0.0F;
}

static void update(const void *opaque, struct optimizer_update *u)
{
    const struct ftrl *o = opaque;
    float *a = u->slots[0], *l = u->slots[1], *w = u->param->w;
    const float *g = u->param->g;
    float rate = (float)u->rate, l1 = (float)o->l1_regularization_strength;
    float shrink = 2.0F * (float)o->l2_shrinkage_regularization_strength;
    float l2 = (float)(o->l2_regularization_strength + o->beta / (2.0 * u->rate));
    for (size_t i = 0; i < u->param->count; i++) {
        float sum = a[i] + g[i] * g[i];
        float root = power(sum, -o->learning_rate_power),
              old = power(a[i], -o->learning_rate_power);
        l[i] += g[i] + shrink * w[i] - (root - old) / rate * w[i];
        float clipped = l[i] > l1 ? l1 : (l[i] < -l1 ? -l1 : l[i]);
        w[i] = (clipped - l[i]) / (root / rate + 2.0F * l2);
        a[i] = sum;
    }
}

const struct optimizer_desc optimizer_ftrl = {
    .name = "Ftrl",
    .summary = "Follow the regularized leader.",
    .options = options,
    .size = sizeof(struct ftrl),
    .default_rate = 0.001,
    .slots = slots,
    .update = update,
};
