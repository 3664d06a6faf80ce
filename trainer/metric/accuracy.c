#include "trainer/metric/metric.h"

struct accuracy {
    METRIC_FIELDS
};

static const struct opt options[] = {
    METRIC_ROWS(accuracy, "accuracy"),
    OPT_END_ROW,
};

static double row(const void *opaque, const struct metric_batch *batch, size_t r)
{
    (void)opaque;
    size_t hits = 0;
    for (size_t i = r * batch->cols; i < (r + 1) * batch->cols; i++) {
        hits += batch->y_pred[i] == batch->y_true[i] ? 1U : 0U;
    }
    return (double)hits / (double)batch->cols;
}

const struct metric_desc metric_accuracy = {
    .name = "Accuracy",
    .summary = "How many predictions equal their labels exactly.",
    .options = options,
    .size = sizeof(struct accuracy),
    .labels = METRIC_EQUAL,
    .is_gain = true,
    .row = row,
};
