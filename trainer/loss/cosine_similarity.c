#include <math.h>

#include "trainer/loss/loss.h"

struct cosine_similarity {
    LOSS_FIELDS
};

static const struct opt options[] = {
    LOSS_ROWS(cosine_similarity, "cosine_similarity"),
    LOSS_AXIS_ROW(cosine_similarity),
    OPT_END_ROW,
};

static double norm(const float *x, size_t cols)
{
    double sum = 0.0;
    for (size_t c = 0; c < cols; c++) {
        sum += (double)x[c] * (double)x[c];
    }
    return fmax(sqrt(sum), 1e-12);
}

static void run(const void *opaque, const struct loss_call *call)
{
    (void)opaque;
    for (size_t r = 0; r < call->rows; r++) {
        const float *p = call->y_pred + r * call->cols, *t = call->targets + r * call->cols;
        double p_norm = norm(p, call->cols), t_norm = norm(t, call->cols), dot = 0.0;
        for (size_t c = 0; c < call->cols; c++) {
            dot += (double)p[c] * (double)t[c];
        }
        double cosine = dot / p_norm / t_norm;
        call->values[r] = (float)-cosine;
        for (size_t c = 0; call->grad && c < call->cols; c++) {
            double slope = ((double)t[c] / t_norm - cosine * (double)p[c] / p_norm) / p_norm;
            call->grad[r * call->cols + c] = (float)-slope * call->scale[r];
        }
    }
}

const struct loss_desc loss_cosine_similarity = {
    .name = "CosineSimilarity",
    .summary = "The negative cosine of the angle to the labels.",
    .options = options,
    .size = sizeof(struct cosine_similarity),
    .run = run,
};
