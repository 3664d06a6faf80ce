#include "trainer/metric/metric.h"

struct sparse_top_k_categorical_accuracy {
    METRIC_FIELDS
    int64_t k;
    bool from_sorted_ids;
};

static const struct opt options[] = {
    METRIC_ROWS(sparse_top_k_categorical_accuracy, "sparse_top_k_categorical_accuracy"),
    OPT_I64_ROW(sparse_top_k_categorical_accuracy, k, 5, 1, 1000000, "How many predictions count."),
    OPT_BOOL_ROW(sparse_top_k_categorical_accuracy, from_sorted_ids, false, "Not supported.",
                 .flags = OPT_IGNORED),
    OPT_END_ROW,
};

static double row(const void *opaque, const struct metric_batch *batch, size_t r)
{
    const struct sparse_top_k_categorical_accuracy *o = opaque;
    const float *p = batch->y_pred + r * batch->cols;
    const float y = batch->y_true[r];
    if (!(y >= 0 && y < (float)batch->cols)) {
        return 0.0; /* no class of the output */
    }
    const size_t label = (size_t)y;
    int64_t above = 0;
    for (size_t c = 0; c < batch->cols; c++) {
        above += p[c] > p[label] ? 1 : 0;
    }
    return above < o->k ? 1.0 : 0.0;
}

const struct metric_desc metric_sparse_top_k_categorical_accuracy = {
    .name = "SparseTopKCategoricalAccuracy",
    .summary = "How often the labelled class is among the k greatest predictions.",
    .options = options,
    .size = sizeof(struct sparse_top_k_categorical_accuracy),
    .labels = METRIC_SINGLE,
    .is_gain = true,
    .row = row,
};
