#include "base/math.h"
#include "trainer/loss/loss.h"

struct categorical_crossentropy {
    LOSS_FIELDS
};

static const struct opt options[] = {
    LOSS_ROWS(categorical_crossentropy, "categorical_crossentropy"),
    LOSS_LOGITS_ROW(categorical_crossentropy),
    LOSS_SMOOTHING_ROW(categorical_crossentropy),
    LOSS_AXIS_ROW(categorical_crossentropy),
    OPT_END_ROW,
};

static const float low = 1e-7F;

/* Probabilities p of one row are divided by their sum, then clipped: -sum t log c. */
static void row(const float *p, const float *t, size_t cols, float scale, float *value, float *grad)
{
    float sum = 0.0F;
    for (size_t c = 0; c < cols; c++) {
        sum += p[c];
    }
    double loss = 0.0, pull = 0.0;
    for (size_t c = 0; c < cols; c++) {
        float q = p[c] / sum;
        float clipped = q < low ? low : (q > 1.0F - low ? 1.0F - low : q);
        bool inside = q >= low && q <= 1.0F - low;
        loss -= (double)t[c] * math_log((double)clipped);
        if (grad) {
            grad[c] = inside ? -t[c] / clipped : 0.0F;
            pull += (double)grad[c] * (double)q;
        }
    }
    *value = (float)loss;
    for (size_t c = 0; grad && c < cols; c++) {
        grad[c] = (grad[c] - (float)pull) / sum * scale;
    }
}

static void run(const void *opaque, const struct loss_call *call)
{
    (void)opaque;
    if (call->from_logits) {
        call->backend->act->xent(&(struct kernel_xent_args){
            .rows = call->rows,
            .cols = call->cols,
            .logits = call->y_pred,
            .targets = call->targets,
            .scale = call->scale,
            .loss = call->values,
            .dlogits = call->grad,
        });
        return;
    }
    for (size_t r = 0; r < call->rows; r++) {
        size_t at = r * call->cols;
        row(call->y_pred + at, call->targets + at, call->cols, call->scale[r], &call->values[r],
            call->grad ? call->grad + at : NULL);
    }
}

const struct loss_desc loss_categorical_crossentropy = {
    .name = "CategoricalCrossentropy",
    .summary = "Cross-entropy between one-hot labels and probabilities of classes.",
    .options = options,
    .size = sizeof(struct categorical_crossentropy),
    .head = LOSS_HEAD_SOFTMAX,
    .run = run,
};
