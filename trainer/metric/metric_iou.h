/* metric_iou - intersection over union of classes, of a confusion matrix: IoU and its like.
 *
 * Owns:     nothing.
 * Threads:  as metric.h.
 * Errors:   ERR_RANGE, ERR_SHAPE, the path below the metric's options.
 * Lifetime: the arena's of metric_create.
 */
#ifndef TRAINER_METRIC_METRIC_IOU_H
#define TRAINER_METRIC_METRIC_IOU_H

#include "trainer/metric/metric.h"

struct metric_iou {
    METRIC_FIELDS
    int64_t num_classes, ignore_class, axis;
    struct opt_ints target_class_ids;
    bool sparse_y_true, sparse_y_pred;
    double threshold;
    bool is_binary, whole_weights; /* weights lose what is behind the point: an integer dtype,
                                      Keras's default */
};
enum { METRIC_CLASSES_MAX = 4096 };
// clang-format off
#define METRIC_IOU_ROWS(snake) \
    METRIC_ROWS(metric_iou, snake), \
    OPT_I64_ROW(metric_iou, num_classes, 2, 1, METRIC_CLASSES_MAX, "How many classes there are.", .flags = OPT_REQUIRED), \
    OPT_I64_ROW(metric_iou, ignore_class, INT64_MIN, INT32_MIN, INT32_MAX, "A label that does not count.", .flags = OPT_NULLABLE), \
    OPT_I64_ROW(metric_iou, axis, -1, -1, -1, "The axis of the classes: the last.")
#define METRIC_IOU_TARGETS(d, f) \
    OPT_INTS_ROW(metric_iou, target_class_ids, d, 1, METRIC_CLASSES_MAX, 0, METRIC_CLASSES_MAX - 1, "The classes whose mean counts.", .flags = (f))
#define METRIC_IOU_SPARSE(f, d, h) OPT_BOOL_ROW(metric_iou, f, d, h)
// clang-format on

int metric_iou_prepare(void *options, const struct metric_setup *setup, struct arena *arena,
                       struct metric_sizes *sizes, struct err *err);
void metric_iou_update(const void *options, const struct metric_batch *batch, double *state);
void metric_iou_values(const void *options, const double *state, double *ret);

#endif
