#include "trainer/metric/metric_fbeta.h"

#include <math.h>

const struct opt_name metric_fbeta_averages[] = {{"micro", METRIC_FBETA_MICRO},
                                                 {"macro", METRIC_FBETA_MACRO},
                                                 {"weighted", METRIC_FBETA_WEIGHTED},
                                                 {NULL, 0}};
#define EPSILON 1e-7

/* Sums of a class. */
struct sums {
    double tp, fp, fn, labels;
};
enum { SUMS = sizeof(struct sums) / sizeof(double) };

int metric_fbeta_prepare(void *options, const struct metric_setup *setup, struct arena *arena,
                         struct metric_sizes *sizes, struct err *err)
{
    (void)arena;
    (void)err;
    struct metric_fbeta *o = options;
    o->cols = setup->cols;
    *sizes = (struct metric_sizes){.state = setup->cols * SUMS,
                                   .values = o->average == METRIC_FBETA_NONE ? setup->cols : 1};
    return 0;
}

static bool is_positive(const struct metric_fbeta *o, const float *row, size_t c, float greatest)
{
    if (o->threshold >= 0.0) {
        return row[c] > (float)o->threshold;
    }
    return row[c] >= greatest && fabsf(row[c]) > 1e-9F; /* a row of zeros has no positive one */
}

void metric_fbeta_update(const void *options, const struct metric_batch *batch, double *state)
{
    const struct metric_fbeta *o = options;
    for (size_t r = 0; r < batch->rows; r++) {
        const float *row = batch->y_pred + r * batch->cols;
        float greatest = row[metric_argmax(row, batch->cols)];
        double weight = batch->sample_weight ? (double)batch->sample_weight[r] : 1.0;
        for (size_t c = 0; c < batch->cols; c++) {
            double t = (double)batch->y_true[r * batch->cols + c] * weight;
            double *sums = state + c * SUMS;
            bool positive = is_positive(o, row, c, greatest);
            sums[0] += positive ? t : 0.0;
            sums[1] += positive ? weight - t : 0.0;
            sums[2] += positive ? 0.0 : t;
            sums[3] += t;
        }
    }
}

static struct sums sums_of(const double *state, size_t c)
{
    const double *at = state + c * SUMS;
    return (struct sums){at[0], at[1], at[2], at[3]};
}

static double score(const struct metric_fbeta *o, const struct sums *s)
{
    double precision = s->tp / (s->tp + s->fp + EPSILON),
           recall = s->tp / (s->tp + s->fn + EPSILON);
    double squared = o->beta * o->beta;
    return precision * recall / (squared * precision + recall + EPSILON) * (1.0 + squared);
}

static double micro(const struct metric_fbeta *o, const double *state)
{
    struct sums all = {0};
    for (size_t c = 0; c < o->cols; c++) {
        struct sums s = sums_of(state, c);
        all.tp += s.tp;
        all.fp += s.fp;
        all.fn += s.fn;
    }
    return score(o, &all);
}

void metric_fbeta_values(const void *options, const double *state, double *ret)
{
    const struct metric_fbeta *o = options;
    double labels = 0.0, sum = 0.0;
    for (size_t c = 0; c < o->cols; c++) {
        labels += sums_of(state, c).labels;
    }
    if (o->average == METRIC_FBETA_MICRO) {
        ret[0] = micro(o, state);
        return;
    }
    for (size_t c = 0; c < o->cols; c++) {
        struct sums s = sums_of(state, c);
        if (o->average == METRIC_FBETA_NONE) {
            ret[c] = score(o, &s);
        }
        double part = o->average == METRIC_FBETA_WEIGHTED ? s.labels / (labels + EPSILON)
                                                          : 1.0 / (double)o->cols;
        sum += score(o, &s) * part;
    }
    if (o->average != METRIC_FBETA_NONE) {
        ret[0] = sum;
    }
}
