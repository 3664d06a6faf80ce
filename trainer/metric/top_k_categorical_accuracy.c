#include "trainer/metric/metric.h"

struct top_k_categorical_accuracy {
    METRIC_FIELDS
    int64_t k;
};

static const struct opt options[] = {
    METRIC_ROWS(top_k_categorical_accuracy, "top_k_categorical_accuracy"),
    OPT_I64_ROW(top_k_categorical_accuracy, k, 5, 1, 1000000, "How many predictions count."),
    OPT_END_ROW,
};

static double row(const void *opaque, const struct metric_batch *batch, size_t r)
{
    const struct top_k_categorical_accuracy *o = opaque;
    const float *p = batch->y_pred + r * batch->cols;
    float wanted = p[metric_argmax(batch->y_true + r * batch->cols, batch->cols)];
    int64_t above = 0;
    for (size_t c = 0; c < batch->cols; c++) {
        above += p[c] > wanted ? 1 : 0;
    }
    return above < o->k ? 1.0 : 0.0;
}

const struct metric_desc metric_top_k_categorical_accuracy = {
    .name = "TopKCategoricalAccuracy",
    .summary = "How often the labelled class is among the k greatest predictions.",
    .options = options,
    .size = sizeof(struct top_k_categorical_accuracy),
    .labels = METRIC_EQUAL,
    .is_gain = true,
    .row = row,
};
