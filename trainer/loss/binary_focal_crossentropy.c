#include <math.h>

#include "base/math.h"
#include "trainer/loss/loss.h"

struct binary_focal_crossentropy {
    LOSS_FIELDS
    double alpha, gamma;
    bool apply_class_balancing;
};

static const struct opt options[] = {
    LOSS_ROWS(binary_focal_crossentropy, "binary_focal_crossentropy"),
    LOSS_LOGITS_ROW(binary_focal_crossentropy),
    LOSS_SMOOTHING_ROW(binary_focal_crossentropy),
    LOSS_AXIS_ROW(binary_focal_crossentropy),
    OPT_F64_ROW(binary_focal_crossentropy, alpha, 0.25, 0.0, 1.0, "The weight of class 1."),
    OPT_F64_ROW(binary_focal_crossentropy, gamma, 2.0, 0.0, 100.0, "How little."),
    OPT_BOOL_ROW(binary_focal_crossentropy, apply_class_balancing, false, "Whether alpha counts."),
    OPT_END_ROW,
};

struct focal {
    const struct binary_focal_crossentropy *o;
    bool from_logits;
};

static double power(double x, double exponent)
{
    return x > 0.0 ? math_pow(x, exponent) : (exponent == 0.0 ? 1.0 : 0.0);
}

static double value(const void *opaque, double p, double t, double *slope)
{
    const struct focal *f = opaque;
    double inner = 1.0;
    if (f->from_logits) {
        double e = math_exp(-fabs(p));
        p = p >= 0.0 ? 1.0 / (1.0 + e) : e / (1.0 + e);
        inner = p * (1.0 - p);
    }
    double q = fmin(fmax(p, 1e-7), 1.0 - 1e-7);
    double entropy = -(t * math_log(q) + (1.0 - t) * math_log(1.0 - q));
    double entropy_slope = q == p ? -(t / q - (1.0 - t) / (1.0 - q)) : 0.0;
    double wrong = 1.0 - (t * p + (1.0 - t) * (1.0 - p)), gamma = f->o->gamma;
    double factor = power(wrong, gamma);
    double factor_slope = gamma > 0.0 ? -gamma * power(wrong, gamma - 1.0) * (2.0 * t - 1.0) : 0.0;
    double weight =
        f->o->apply_class_balancing ? t * f->o->alpha + (1.0 - t) * (1.0 - f->o->alpha) : 1.0;
    *slope = weight * inner * (factor_slope * entropy + factor * entropy_slope);
    return weight * factor * entropy;
}

static void run(const void *opaque, const struct loss_call *call)
{
    struct focal focal = {opaque, call->from_logits};
    loss_run_means(call, value, &focal);
}

const struct loss_desc loss_binary_focal_crossentropy = {
    .name = "BinaryFocalCrossentropy",
    .summary = "Binary cross-entropy in which what is right already counts little.",
    .options = options,
    .size = sizeof(struct binary_focal_crossentropy),
    .binary = true,
    .run = run,
};
