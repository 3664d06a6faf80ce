#include "base/math.h"
#include "trainer/loss/loss.h"

struct kl_divergence {
    LOSS_FIELDS
};

static const struct opt options[] = {
    LOSS_ROWS(kl_divergence, "kl_divergence"),
    OPT_END_ROW,
};

static double clip(float x)
{
    return x < 1e-7F ? 1e-7 : (x > 1.0F ? 1.0 : (double)x);
}

static void run(const void *opaque, const struct loss_call *call)
{
    (void)opaque;
    for (size_t r = 0; r < call->rows; r++) {
        double sum = 0.0;
        for (size_t i = r * call->cols; i < (r + 1) * call->cols; i++) {
            double t = clip(call->targets[i]), p = clip(call->y_pred[i]);
            sum += t * math_log(t / p);
            bool inside = call->y_pred[i] >= 1e-7F && call->y_pred[i] <= 1.0F;
            if (call->grad) {
                call->grad[i] = inside ? (float)(-t / p) * call->scale[r] : 0.0F;
            }
        }
        call->values[r] = (float)sum;
    }
}

const struct loss_desc loss_kl_divergence = {
    .name = "KLDivergence",
    .aliases = "kld KLD kullback_leibler_divergence",
    .summary = "How far the predicted distribution is from that of the labels.",
    .options = options,
    .size = sizeof(struct kl_divergence),
    .run = run,
};
