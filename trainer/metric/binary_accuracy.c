#include "trainer/metric/metric.h"

struct binary_accuracy {
    METRIC_FIELDS
    double threshold;
};

static const struct opt options[] = {
    METRIC_ROWS(binary_accuracy, "binary_accuracy"),
    OPT_F64_ROW(binary_accuracy, threshold, 0.5, 0.0, 1.0, "What a prediction of 1 lies above."),
    OPT_END_ROW,
};

static double row(const void *opaque, const struct metric_batch *batch, size_t r)
{
    const struct binary_accuracy *o = opaque;
    size_t hits = 0;
    for (size_t i = r * batch->cols; i < (r + 1) * batch->cols; i++) {
        float predicted = batch->y_pred[i] > (float)o->threshold ? 1.0F : 0.0F;
        hits += predicted == batch->y_true[i] ? 1U : 0U;
    }
    return (double)hits / (double)batch->cols;
}

const struct metric_desc metric_binary_accuracy = {
    .name = "BinaryAccuracy",
    .summary = "How many predictions lie on the side of the threshold that the label says.",
    .options = options,
    .size = sizeof(struct binary_accuracy),
    .labels = METRIC_EQUAL,
    .is_gain = true,
    .row = row,
};
