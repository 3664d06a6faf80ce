#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/metric/metric_confusion.h"

enum { ROC, PR, PRGAIN };
enum { INTERPOLATION, MAJORING, MINORING };

struct auc {
    METRIC_FIELDS
    int64_t num_thresholds, num_labels;
    int curve, summation_method;
    struct opt_floats thresholds, label_weights;
    bool multi_label, from_logits;
    struct metric_confusion how;
};

static const struct opt_name curves[] = {{"ROC", ROC}, {"PR", PR}, {"PRGAIN", PRGAIN}, {NULL, 0}};
static const struct opt_name methods[] = {
    {"interpolation", INTERPOLATION}, {"majoring", MAJORING}, {"minoring", MINORING}, {NULL, 0}};

static const struct opt options[] = {
    METRIC_ROWS(auc, "auc"),
    OPT_I64_ROW(auc, num_thresholds, 200, 2, METRIC_THRESHOLDS_MAX,
                "How many points of the curve are computed."),
    OPT_ENUM_ROW(auc, curve, ROC, curves,
                 "The curve: false against true positives, or recall against precision."),
    OPT_ENUM_ROW(auc, summation_method, INTERPOLATION, methods, "The height between two points."),
    OPT_FLOATS_ROW(auc, thresholds, NULL, 0, METRIC_THRESHOLDS_MAX - 2, 0, 1,
                   "The points instead of num_thresholds.", .flags = OPT_NULLABLE),
    OPT_BOOL_ROW(auc, multi_label, false,
                 "Whether each column is a curve of its own; their mean counts."),
    OPT_I64_ROW(auc, num_labels, -1, 1, 1 << 20, "Columns, with multi_label.",
                .flags = OPT_NULLABLE),
    OPT_FLOATS_ROW(auc, label_weights, NULL, 0, 1 << 20, 0, 1e30, "The weight of each column.",
                   .flags = OPT_NULLABLE),
    OPT_BOOL_ROW(auc, from_logits, false, "Whether predictions are logits."),
    OPT_END_ROW,
};

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y ? 1 : 0;
}

/* The given points between two margins. */
static int take_thresholds(struct auc *o, struct arena *arena, struct err *err)
{
    size_t n = o->thresholds.n;
    double *all = arena_array(arena, n + 2, sizeof(*all));
    memcpy(all + 1, o->thresholds.v, n * sizeof(*all));
    qsort(all + 1, n, sizeof(*all), by_value);
    all[n + 1] = 1.0;
    struct opt_floats given = {.v = all, .n = n + 2};
    int r = metric_confusion_given(&o->how, &given, 0.5, arena, err);
    o->how.has_margins = true;
    o->how.thresholds[0] = -1e-7;
    o->how.thresholds[n + 1] = 1.0 + 1e-7;
    return r;
}

static int prepare(void *opaque, const struct metric_setup *setup, struct arena *arena,
                   struct metric_sizes *sizes, struct err *err)
{
    struct auc *o = opaque;
    o->how = (struct metric_confusion){.top_k = -1, .class_id = -1, .from_logits = o->from_logits};
    o->how.labels = o->multi_label ? setup->cols : 1;
    if (o->label_weights.n > 0 && o->label_weights.n != setup->cols) {
        return err_set_at(err, ERR_SHAPE, "label_weights", "has %zu weights for %zu columns",
                          o->label_weights.n, setup->cols);
    }
    if (o->num_labels > 0 && (!o->multi_label || (size_t)o->num_labels != setup->cols)) {
        return err_set_at(err, ERR_INVALID, "num_labels",
                          o->multi_label ? "is not the %zu columns of the predictions"
                                         : "needs multi_label; there are %zu columns",
                          setup->cols);
    }
    o->how.label_weights = o->label_weights.n > 0 ? o->label_weights.v : NULL;
    int r = 0;
    if (o->thresholds.n > 0) {
        r = take_thresholds(o, arena, err);
    } else {
        metric_confusion_spread(&o->how, (size_t)o->num_thresholds, true, arena);
    }
    r = r < 0 ? r : metric_confusion_check(&o->how, setup, err);
    *sizes = (struct metric_sizes){.state = metric_confusion_state(&o->how), .values = 1};
    return r;
}

static void update(const void *opaque, const struct metric_batch *batch, double *state)
{
    const struct auc *o = opaque;
    metric_confusion_update(&o->how, batch, state);
}

struct point {
    double x, y;
};

/* Flach and Kull 2015; where nothing is predicted the gains are 0 and 1, as in Keras. */
static struct point gains(const struct metric_counts *c)
{
    double scale = metric_ratio(c->tp + c->fn, c->tn + c->fp);
    if (c->tp == 0.0) {
        return (struct point){0.0, 1.0};
    }
    return (struct point){fmax(1.0 - scale * c->fn / c->tp, 0.0), 1.0 - scale * c->fp / c->tp};
}

static struct point point_of(int curve, const struct metric_counts *c)
{
    if (curve == PRGAIN) {
        return gains(c);
    }
    if (curve == PR) {
        return (struct point){metric_recall_of(c), metric_precision_of(c)};
    }
    return (struct point){metric_ratio(c->fp, c->fp + c->tn), metric_recall_of(c)};
}

/* Davis and Goadrich 2006: true and all positives are linear between two points, the precision is
 * not. */
static double interpolated(const struct metric_counts *a, const struct metric_counts *b)
{
    double p_a = a->tp + a->fp, p_b = b->tp + b->fp, dtp = a->tp - b->tp;
    double slope = metric_ratio(dtp, fmax(p_a - p_b, 0.0)), intercept = b->tp - slope * p_b;
    double ratio = p_a > 0.0 && p_b > 0.0 ? p_a / p_b : 1.0;
    return metric_ratio(slope * (dtp + intercept * log(ratio)), fmax(b->tp + b->fn, 0.0));
}

static double between(const struct auc *o, const struct metric_counts *a,
                      const struct metric_counts *b)
{
    if (o->curve == PR && o->summation_method == INTERPOLATION) {
        return interpolated(a, b);
    }
    struct point p = point_of(o->curve, a), q = point_of(o->curve, b);
    double height = o->summation_method == MAJORING   ? fmax(p.y, q.y)
                    : o->summation_method == MINORING ? fmin(p.y, q.y)
                                                      : (p.y + q.y) / 2.0;
    return (p.x - q.x) * height;
}

static double area_of(const struct auc *o, const double *state, size_t label)
{
    struct metric_counts a, b;
    double area = 0.0;
    metric_confusion_counts(&o->how, state, label, 0, &a);
    for (size_t i = 1; i < o->how.n; i++, a = b) {
        metric_confusion_counts(&o->how, state, label, i, &b);
        area += between(o, &a, &b);
    }
    return area;
}

static void values(const void *opaque, const double *state, double *ret)
{
    const struct auc *o = opaque;
    double sum = 0.0, weights = 0.0;
    for (size_t label = 0; label < o->how.labels; label++) {
        double weight = o->how.label_weights && o->multi_label ? o->how.label_weights[label] : 1.0;
        sum += area_of(o, state, label) * weight;
        weights += weight;
    }
    ret[0] = metric_ratio(sum, weights);
}

const struct metric_desc metric_auc = {
    .name = "AUC",
    .summary =
        "The area under the curve of true against false positives, or of precision against recall.",
    .options = options,
    .size = sizeof(struct auc),
    .labels = METRIC_EQUAL,
    .is_gain = true,
    .prepare = prepare,
    .update = update,
    .values = values,
};
