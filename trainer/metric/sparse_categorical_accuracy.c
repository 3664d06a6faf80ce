#include "trainer/metric/metric.h"

struct sparse_categorical_accuracy {
    METRIC_FIELDS
};

static const struct opt options[] = {
    METRIC_ROWS(sparse_categorical_accuracy, "sparse_categorical_accuracy"),
    OPT_END_ROW,
};

static double row(const void *opaque, const struct metric_batch *batch, size_t r)
{
    (void)opaque;
    size_t best = metric_argmax(batch->y_pred + r * batch->cols, batch->cols);
    return (float)best == batch->y_true[r] ? 1.0 : 0.0;
}

const struct metric_desc metric_sparse_categorical_accuracy = {
    .name = "SparseCategoricalAccuracy",
    .summary = "How often the greatest prediction is that of the labelled class.",
    .options = options,
    .size = sizeof(struct sparse_categorical_accuracy),
    .labels = METRIC_SINGLE,
    .is_gain = true,
    .row = row,
};
