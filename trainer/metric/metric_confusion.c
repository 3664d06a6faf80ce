#include "trainer/metric/metric_confusion.h"

#include <math.h>
#include <string.h>

/* Keras's backend.epsilon(), and what stands for no top prediction. */
#define MARGIN 1e-7
#define NEVER  (-1e10)

double metric_ratio(double a, double b)
{
    return b == 0.0 ? 0.0 : a / b;
}

/* As numpy.allclose(thresholds, even, atol=1e-7). */
static bool is_even(const double *thresholds, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double even = (double)((float)i / (float)(n - 1));
        if (fabs(thresholds[i] - even) > MARGIN + 1e-5 * fabs(even)) {
            return false;
        }
    }
    return n >= 3;
}

int metric_confusion_given(struct metric_confusion *how, const struct opt_floats *thresholds,
                           double fallback, struct arena *arena, struct err *err)
{
    how->n = thresholds->n > 0 ? thresholds->n : 1;
    how->thresholds = arena_array(arena, how->n, sizeof(double));
    how->thresholds[0] = fallback;
    for (size_t i = 0; i < thresholds->n; i++) {
        if (thresholds->v[i] < 0.0 || thresholds->v[i] > 1.0) {
            return err_set_at(err, ERR_RANGE, "thresholds", "%g is outside of 0 to 1",
                              thresholds->v[i]);
        }
        how->thresholds[i] = thresholds->v[i];
    }
    how->is_even = is_even(how->thresholds, how->n);
    return 0;
}

void metric_confusion_spread(struct metric_confusion *how, size_t n, bool margins,
                             struct arena *arena)
{
    how->n = n;
    how->thresholds = arena_array(arena, n, sizeof(double));
    for (size_t i = 0; i < n; i++) {
        how->thresholds[i] = n == 1 ? 0.5 : (double)i / (double)(n - 1);
    }
    how->is_even = n > 1;
    how->has_margins = margins;
    if (margins) {
        how->thresholds[0] = -MARGIN;
        how->thresholds[n - 1] = 1.0 + MARGIN;
    }
}

int metric_confusion_check(struct metric_confusion *how, const struct metric_setup *setup,
                           struct err *err)
{
    how->cols = setup->cols;
    how->labels = how->labels > 1 ? how->labels : 1;
    if (how->class_id >= (int64_t)setup->cols) {
        return err_set_at(err, ERR_RANGE, "class_id", "%d is no class of %zu", (int)how->class_id,
                          setup->cols);
    }
    if (how->top_k > (int64_t)setup->cols) {
        return err_set_at(err, ERR_RANGE, "top_k", "%d is more than the %zu predictions of a row",
                          (int)how->top_k, setup->cols);
    }
    return 0;
}

/* Of each label: positives and negatives by threshold, then the sums of both. */
static size_t label_state(const struct metric_confusion *how)
{
    return 2 * how->n + 2;
}

size_t metric_confusion_state(const struct metric_confusion *how)
{
    return label_state(how) * how->labels;
}

/* How many predictions of the row stand before this one. */
static int64_t rank_of(const float *row, size_t cols, size_t at)
{
    int64_t rank = 0;
    for (size_t c = 0; c < cols; c++) {
        rank += row[c] > row[at] || (row[c] == row[at] && c < at) ? 1 : 0;
    }
    return rank;
}

static float logistic(float x)
{
    return (float)(1.0 / (1.0 + exp(-(double)x)));
}

/* With even thresholds only the bucket is counted; metric_confusion_counts sums up. */
static void count(const struct metric_confusion *how, double prediction, double weight,
                  double *positives)
{
    if (how->is_even) {
        float p = prediction < 0.0 ? 0.0F : prediction > 1.0 ? 1.0F : (float)prediction;
        float bucket = ceilf(p * (float)(how->n - 1)) - 1.0F;
        if (bucket < 0.0F && !how->has_margins) {
            return;
        }
        positives[bucket < 0.0F ? 0 : (size_t)bucket] += weight;
        return;
    }
    for (size_t i = 0; i < how->n; i++) {
        positives[i] += prediction > (double)(float)how->thresholds[i] ? weight : 0.0;
    }
}

static void update_one(const struct metric_confusion *how, const struct metric_batch *batch,
                       size_t r, size_t c, double *state)
{
    const float *row = batch->y_pred + r * batch->cols;
    double weight = batch->sample_weight ? (double)batch->sample_weight[r] : 1.0;
    weight *= how->label_weights && how->labels == 1 ? how->label_weights[c] : 1.0;
    double prediction = (double)(how->from_logits ? logistic(row[c]) : row[c]);
    if (how->top_k > 0 && rank_of(row, batch->cols, c) >= how->top_k) {
        prediction = NEVER;
    }
    state += how->labels > 1 ? c * label_state(how) : 0;
    bool is_true = batch->y_true[r * batch->label_cols + c] != 0.0F;
    state[2 * how->n + (is_true ? 0 : 1)] += weight;
    count(how, prediction, weight, state + (is_true ? 0 : how->n));
}

void metric_confusion_update(const struct metric_confusion *how, const struct metric_batch *batch,
                             double *state)
{
    size_t from = how->class_id >= 0 ? (size_t)how->class_id : 0,
           to = how->class_id >= 0 ? from + 1 : batch->cols;
    for (size_t r = 0; r < batch->rows; r++) {
        for (size_t c = from; c < to; c++) {
            update_one(how, batch, r, c, state);
        }
    }
}

void metric_confusion_counts(const struct metric_confusion *how, const double *state, size_t label,
                             size_t at, struct metric_counts *ret)
{
    state += label * label_state(how);
    *ret = (struct metric_counts){0};
    for (size_t i = at; i < (how->is_even ? how->n : at + 1); i++) {
        ret->tp += state[i];
        ret->fp += state[how->n + i];
    }
    ret->fn = state[2 * how->n] - ret->tp;
    ret->tn = state[2 * how->n + 1] - ret->fp;
}

double metric_precision_of(const struct metric_counts *counts)
{
    return metric_ratio(counts->tp, counts->tp + counts->fp);
}

double metric_recall_of(const struct metric_counts *counts)
{
    return metric_ratio(counts->tp, counts->tp + counts->fn);
}

double metric_specificity_of(const struct metric_counts *counts)
{
    return metric_ratio(counts->tn, counts->tn + counts->fp);
}

int metric_threshold_prepare(void *options, const struct metric_setup *setup, struct arena *arena,
                             struct metric_sizes *sizes, struct err *err)
{
    struct metric_threshold *o = options;
    o->how =
        (struct metric_confusion){.top_k = o->top_k > 0 ? o->top_k : -1, .class_id = o->class_id};
    int r = metric_confusion_given(&o->how, &o->thresholds, o->top_k > 0 ? NEVER : 0.5, arena, err);
    r = r < 0 ? r : metric_confusion_check(&o->how, setup, err);
    *sizes = (struct metric_sizes){.state = metric_confusion_state(&o->how), .values = o->how.n};
    return r;
}

int metric_counts_prepare(void *options, const struct metric_setup *setup, struct arena *arena,
                          struct metric_sizes *sizes, struct err *err)
{
    ((struct metric_threshold *)options)->class_id = -1;
    return metric_threshold_prepare(options, setup, arena, sizes, err);
}

void metric_threshold_update(const void *options, const struct metric_batch *batch, double *state)
{
    const struct metric_threshold *o = options;
    metric_confusion_update(&o->how, batch, state);
}

void metric_threshold_values(const struct metric_threshold *o, const double *state,
                             double (*value)(const struct metric_counts *counts), double *ret)
{
    for (size_t i = 0; i < o->how.n; i++) {
        struct metric_counts counts;
        metric_confusion_counts(&o->how, state, 0, i, &counts);
        ret[i] = value(&counts);
    }
}

int metric_at_prepare(void *options, const struct metric_setup *setup, struct arena *arena,
                      struct metric_sizes *sizes, struct err *err)
{
    struct metric_at *o = options;
    o->how = (struct metric_confusion){.top_k = -1, .class_id = o->class_id};
    metric_confusion_spread(&o->how, (size_t)o->num_thresholds, false, arena);
    int r = metric_confusion_check(&o->how, setup, err);
    *sizes = (struct metric_sizes){.state = metric_confusion_state(&o->how), .values = 1};
    return r;
}

void metric_at_update(const void *options, const struct metric_batch *batch, double *state)
{
    const struct metric_at *o = options;
    metric_confusion_update(&o->how, batch, state);
}

double metric_at_best(const struct metric_at *o, const double *state,
                      double (*bounded)(const struct metric_counts *counts),
                      double (*value)(const struct metric_counts *counts))
{
    double best = 0.0;
    for (size_t i = 0; i < o->how.n; i++) {
        struct metric_counts counts;
        metric_confusion_counts(&o->how, state, 0, i, &counts);
        if ((float)bounded(&counts) >= (float)o->bound && value(&counts) > best) {
            best = value(&counts);
        }
    }
    return best;
}
