#include <math.h>

#include "trainer/metric/metric.h"

struct cosine_similarity {
    METRIC_FIELDS
    int64_t axis;
};

static const struct opt options[] = {
    METRIC_ROWS(cosine_similarity, "cosine_similarity"),
    OPT_I64_ROW(cosine_similarity, axis, -1, -1, -1, "The axis of the vectors: the last."),
    OPT_END_ROW,
};

static double row(const void *opaque, const struct metric_batch *batch, size_t r)
{
    (void)opaque;
    double dot = 0.0, p_squares = 0.0, t_squares = 0.0;
    for (size_t i = r * batch->cols; i < (r + 1) * batch->cols; i++) {
        double p = (double)batch->y_pred[i], t = (double)batch->y_true[i];
        dot += p * t;
        p_squares += p * p;
        t_squares += t * t;
    }
    return dot / fmax(sqrt(p_squares), 1e-12) / fmax(sqrt(t_squares), 1e-12);
}

const struct metric_desc metric_cosine_similarity = {
    .name = "CosineSimilarity",
    .summary = "The cosine of the angle to the labels.",
    .options = options,
    .size = sizeof(struct cosine_similarity),
    .labels = METRIC_EQUAL,
    .is_gain = true,
    .row = row,
};
