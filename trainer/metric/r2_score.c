#include <math.h>

#include "trainer/metric/metric.h"

enum { UNIFORM, WEIGHTED, NONE };

struct r2_score {
    METRIC_FIELDS
    int class_aggregation;
    int64_t num_regressors;
    size_t cols;
};

static const struct opt_name aggregations[] = {{"uniform_average", UNIFORM},
                                               {"variance_weighted_average", WEIGHTED},
                                               {"none", NONE},
                                               {NULL, 0}};

static const struct opt options[] = {
    METRIC_ROWS(r2_score, "r2_score"),
    OPT_ENUM_ROW(r2_score, class_aggregation, UNIFORM, aggregations,
                 "One value of all columns; none: a value for each.", .flags = OPT_NULLABLE),
    OPT_I64_ROW(r2_score, num_regressors, 0, 0, 1 << 30,
                "Independent variables, for the adjusted score."),
    OPT_END_ROW,
};

/* Sums of a column; one more number: how many values there were. */
enum { SUM, SQUARES, RESIDUAL, COUNT, SUMS };

static int prepare(void *opaque, const struct metric_setup *setup, struct arena *arena,
                   struct metric_sizes *sizes, struct err *err)
{
    (void)arena;
    (void)err;
    struct r2_score *o = opaque;
    o->cols = setup->cols;
    *sizes = (struct metric_sizes){.state = setup->cols * SUMS + 1,
                                   .values = o->class_aggregation == NONE ? setup->cols : 1};
    return 0;
}

static void update(const void *opaque, const struct metric_batch *batch, double *state)
{
    (void)opaque;
    for (size_t i = 0; i < batch->rows * batch->cols; i++) {
        double weight = batch->sample_weight ? (double)batch->sample_weight[i / batch->cols] : 1.0;
        double t = (double)batch->y_true[i], d = t - (double)batch->y_pred[i];
        double *sums = state + i % batch->cols * SUMS;
        sums[SUM] += t * weight;
        sums[SQUARES] += t * t * weight;
        sums[RESIDUAL] += d * d * weight;
        sums[COUNT] += weight;
    }
    state[batch->cols * SUMS] += (double)(batch->rows * batch->cols);
}

static double total_of(const double *sums)
{
    return sums[SQUARES] - sums[SUM] * sums[SUM] / sums[COUNT];
}

static double score_of(const double *sums)
{
    double score = 1.0 - sums[RESIDUAL] / total_of(sums);
    return isinf(score) ? 0.0 : score;
}

static double adjust(const struct r2_score *o, double samples, double score)
{
    double p = (double)o->num_regressors;
    return p == 0.0 || p >= samples - 1.0
               ? score
               : 1.0 - (1.0 - score) * (samples - 1.0) / (samples - p - 1.0);
}

static void values(const void *opaque, const double *state, double *ret)
{
    const struct r2_score *o = opaque;
    double samples = state[o->cols * SUMS], sum = 0.0, weights = 0.0;
    for (size_t c = 0; c < o->cols; c++) {
        double score = score_of(state + c * SUMS);
        double weight = o->class_aggregation == WEIGHTED ? total_of(state + c * SUMS) : 1.0;
        if (o->class_aggregation == NONE) {
            ret[c] = adjust(o, samples, score);
        }
        sum += score * weight;
        weights += weight;
    }
    if (o->class_aggregation != NONE) {
        ret[0] = samples == 0.0 ? 0.0 : adjust(o, samples, sum / weights);
    }
}

const struct metric_desc metric_r2_score = {
    .name = "R2Score",
    .summary = "The share of the labels' variance that predictions explain.",
    .options = options,
    .size = sizeof(struct r2_score),
    .labels = METRIC_EQUAL,
    .is_gain = true,
    .prepare = prepare,
    .update = update,
    .values = values,
};
