#include "trainer/metric/metric_iou.h"

static const struct opt options[] = {
    METRIC_IOU_ROWS("iou"),
    METRIC_IOU_TARGETS(NULL, OPT_REQUIRED),
    METRIC_IOU_SPARSE(sparse_y_true, true, "Whether labels are numbers of classes."),
    METRIC_IOU_SPARSE(sparse_y_pred, true, "Whether predictions are numbers of classes."),
    OPT_END_ROW,
};

const struct metric_desc metric_iou = {
    .name = "IoU",
    .summary = "The overlap of predicted and labelled places of some classes.",
    .options = options,
    .size = sizeof(struct metric_iou),
    .labels = METRIC_ANY,
    .is_gain = true,
    .prepare = metric_iou_prepare,
    .update = metric_iou_update,
    .values = metric_iou_values,
};
