#include "trainer/loss/loss.h"

struct categorical_hinge {
    LOSS_FIELDS
};

static const struct opt options[] = {
    LOSS_ROWS(categorical_hinge, "categorical_hinge"),
    OPT_END_ROW,
};

static void run(const void *opaque, const struct loss_call *call)
{
    (void)opaque;
    for (size_t r = 0; r < call->rows; r++) {
        const float *p = call->y_pred + r * call->cols, *t = call->targets + r * call->cols;
        double positive = 0.0, negative = 0.0;
        size_t worst = 0;
        for (size_t c = 0; c < call->cols; c++) {
            double other = (1.0 - (double)t[c]) * (double)p[c];
            positive += (double)t[c] * (double)p[c];
            worst = c == 0 || other > negative ? c : worst;
            negative = c == 0 || other > negative ? other : negative;
        }
        double short_by = negative - positive + 1.0;
        call->values[r] = short_by > 0.0 ? (float)short_by : 0.0F;
        for (size_t c = 0; call->grad && c < call->cols; c++) {
            double slope = (c == worst ? 1.0 - (double)t[c] : 0.0) - (double)t[c];
            call->grad[r * call->cols + c] = short_by > 0.0 ? (float)slope * call->scale[r] : 0.0F;
        }
    }
}

const struct loss_desc loss_categorical_hinge = {
    .name = "CategoricalHinge",
    .summary = "How far the labelled class falls short of the greatest other one by 1.",
    .options = options,
    .size = sizeof(struct categorical_hinge),
    .run = run,
};
