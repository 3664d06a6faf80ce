#include <math.h>

#include "base/math.h"
#include "trainer/loss/loss.h"

struct binary_crossentropy {
    LOSS_FIELDS
};

static const struct opt options[] = {
    LOSS_ROWS(binary_crossentropy, "binary_crossentropy"),
    LOSS_LOGITS_ROW(binary_crossentropy),
    LOSS_SMOOTHING_ROW(binary_crossentropy),
    LOSS_AXIS_ROW(binary_crossentropy),
    OPT_END_ROW,
};

static const float low = 1e-7F;

/* max(x, 0) - x t + log(1 + exp(-|x|)), and sigmoid(x) - t. */
static double from_logit(double x, double t, double *slope)
{
    double e = math_exp(-fabs(x));
    *slope = (x >= 0.0 ? 1.0 / (1.0 + e) : e / (1.0 + e)) - t;
    return (x > 0.0 ? x : 0.0) - x * t + math_log(1.0 + e);
}

static double from_probability(float p, double t, double *slope)
{
    float clipped = p < low ? low : (p > 1.0F - low ? 1.0F - low : p);
    bool inside = p >= low && p <= 1.0F - low;
    double q = (double)clipped, rest = (double)(1.0F - clipped);
    *slope = inside ? -(t / q - (1.0 - t) / rest) : 0.0;
    return -(t * math_log(q) + (1.0 - t) * math_log(rest));
}

static void run(const void *opaque, const struct loss_call *call)
{
    (void)opaque;
    for (size_t r = 0; r < call->rows; r++) {
        double sum = 0.0;
        float scale = call->scale[r] / (float)call->cols;
        for (size_t c = 0; c < call->cols; c++) {
            size_t i = r * call->cols + c;
            double slope, t = (double)call->targets[i];
            sum += call->from_logits ? from_logit((double)call->y_pred[i], t, &slope)
                                     : from_probability(call->y_pred[i], t, &slope);
            if (call->grad) {
                call->grad[i] = (float)slope * scale;
            }
        }
        call->values[r] = (float)(sum / (double)call->cols);
    }
}

const struct loss_desc loss_binary_crossentropy = {
    .name = "BinaryCrossentropy",
    .aliases = "bce BCE",
    .summary = "Cross-entropy between labels of 0 or 1 and probabilities.",
    .options = options,
    .size = sizeof(struct binary_crossentropy),
    .head = LOSS_HEAD_SIGMOID,
    .binary = true,
    .run = run,
};
