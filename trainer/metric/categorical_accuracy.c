#include "trainer/metric/metric.h"

struct categorical_accuracy {
    METRIC_FIELDS
};

static const struct opt options[] = {
    METRIC_ROWS(categorical_accuracy, "categorical_accuracy"),
    OPT_END_ROW,
};

static double row(const void *opaque, const struct metric_batch *batch, size_t r)
{
    (void)opaque;
    size_t at = r * batch->cols;
    bool hit = metric_argmax(batch->y_pred + at, batch->cols) ==
               metric_argmax(batch->y_true + at, batch->cols);
    return hit ? 1.0 : 0.0;
}

const struct metric_desc metric_categorical_accuracy = {
    .name = "CategoricalAccuracy",
    .summary = "How often the greatest prediction is where the greatest label is.",
    .options = options,
    .size = sizeof(struct categorical_accuracy),
    .labels = METRIC_EQUAL,
    .is_gain = true,
    .row = row,
};
