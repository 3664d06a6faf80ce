#include "trainer/metric/metric_iou.h"

static const struct opt options[] = {
    METRIC_IOU_ROWS("one_hot_iou"),
    METRIC_IOU_TARGETS(NULL, OPT_REQUIRED),
    METRIC_IOU_SPARSE(sparse_y_pred, false, "Whether predictions are numbers of classes."),
    OPT_END_ROW,
};

static int prepare(void *opaque, const struct metric_setup *setup, struct arena *arena,
                   struct metric_sizes *sizes, struct err *err)
{
    struct metric_iou *o = opaque;
    o->sparse_y_true = false;
    return metric_iou_prepare(o, setup, arena, sizes, err);
}

const struct metric_desc metric_one_hot_iou = {
    .name = "OneHotIoU",
    .summary = "IoU of labels that are vectors.",
    .options = options,
    .size = sizeof(struct metric_iou),
    .labels = METRIC_ANY,
    .is_gain = true,
    .prepare = prepare,
    .update = metric_iou_update,
    .values = metric_iou_values,
};
