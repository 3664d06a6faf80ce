#include "trainer/metric/metric_iou.h"

static const struct opt options[] = {
    METRIC_ROWS(metric_iou, "binary_iou"),
    METRIC_IOU_TARGETS("[0,1]", 0),
    OPT_F64_ROW(metric_iou, threshold, 0.5, -1e30, 1e30, "What a prediction of class 1 reaches."),
    OPT_END_ROW,
};

static int prepare(void *opaque, const struct metric_setup *setup, struct arena *arena,
                   struct metric_sizes *sizes, struct err *err)
{
    struct metric_iou *o = opaque;
    o->num_classes = 2;
    o->ignore_class = INT64_MIN;
    o->sparse_y_true = o->sparse_y_pred = o->is_binary = true;
    return metric_iou_prepare(o, setup, arena, sizes, err);
}

const struct metric_desc metric_binary_iou = {
    .name = "BinaryIoU",
    .summary = "The overlap of predicted and labelled places of two classes, by a threshold.",
    .options = options,
    .size = sizeof(struct metric_iou),
    .labels = METRIC_ANY,
    .is_gain = true,
    .prepare = prepare,
    .update = metric_iou_update,
    .values = metric_iou_values,
};
