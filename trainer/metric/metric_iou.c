#include "trainer/metric/metric_iou.h"

#include <math.h>
#include <string.h>

int metric_iou_prepare(void *options, const struct metric_setup *setup, struct arena *arena,
                       struct metric_sizes *sizes, struct err *err)
{
    (void)arena;
    struct metric_iou *o = options;
    for (size_t i = 0; i < o->target_class_ids.n; i++) {
        if (o->target_class_ids.v[i] >= o->num_classes) {
            return err_set_at(err, ERR_RANGE, "target_class_ids", "%d is no class of %d",
                              (int)o->target_class_ids.v[i], (int)o->num_classes);
        }
    }
    size_t truths = o->sparse_y_true ? setup->label_cols : 1,
           guesses = o->sparse_y_pred ? setup->cols : 1;
    if (truths != guesses) {
        return err_set(err, ERR_SHAPE,
                       "%zu labels and %zu predictions a row do not go together; sparse_y_true and "
                       "sparse_y_pred say which are numbers of classes",
                       truths, guesses);
    }
    const char *dtype = o->dtype && o->dtype->type == DOC_STR ? o->dtype->str : "int";
    o->whole_weights = strstr(dtype, "float") == NULL;
    *sizes = (struct metric_sizes){.state = (size_t)(o->num_classes * o->num_classes), .values = 1};
    return 0;
}

/* A number of a class; -1: none. */
static int64_t class_of(const struct metric_iou *o, float value)
{
    double whole = trunc((double)value);
    return whole >= 0.0 && whole < (double)o->num_classes ? (int64_t)whole : -1;
}

void metric_iou_update(const void *options, const struct metric_batch *batch, double *state)
{
    const struct metric_iou *o = options;
    size_t n = o->sparse_y_pred ? batch->cols : 1;
    for (size_t i = 0; i < batch->rows * n; i++) {
        size_t r = i / n;
        const float *truth = batch->y_true + r * batch->label_cols,
                    *guess = batch->y_pred + r * batch->cols;
        float t = o->sparse_y_true ? truth[i % n] : (float)metric_argmax(truth, batch->label_cols);
        float p = o->sparse_y_pred ? guess[i % n] : (float)metric_argmax(guess, batch->cols);
        if (o->is_binary) {
            p = p >= (float)o->threshold ? 1.0F : 0.0F;
        }
        int64_t row = class_of(o, t), col = class_of(o, p);
        double weight = batch->sample_weight ? (double)batch->sample_weight[r] : 1.0;
        weight = o->whole_weights ? trunc(weight) : weight;
        if (row >= 0 && col >= 0 && (double)t != (double)o->ignore_class) {
            state[row * o->num_classes + col] += weight;
        }
    }
}

/* Of a class; NaN where it never came up. */
static double iou_of(const struct metric_iou *o, const double *state, int64_t class_id)
{
    double row = 0.0, col = 0.0, both = state[class_id * o->num_classes + class_id];
    for (int64_t i = 0; i < o->num_classes; i++) {
        row += state[class_id * o->num_classes + i];
        col += state[i * o->num_classes + class_id];
    }
    double either = row + col - both;
    return either == 0.0 ? (double)NAN : both / either;
}

void metric_iou_values(const void *options, const double *state, double *ret)
{
    const struct metric_iou *o = options;
    size_t n = o->target_class_ids.n ? o->target_class_ids.n : (size_t)o->num_classes, seen = 0;
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        double iou =
            iou_of(o, state, o->target_class_ids.n ? o->target_class_ids.v[i] : (int64_t)i);
        seen += isnan(iou) ? 0 : 1;
        sum += isnan(iou) ? 0.0 : iou;
    }
    ret[0] = seen > 0 ? sum / (double)seen : 0.0;
}
