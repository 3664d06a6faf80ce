#include "trainer/metric/metric_fbeta.h"

static const struct opt options[] = {
    METRIC_FBETA_ROWS("f1_score"),
    OPT_END_ROW,
};

static int prepare(void *opaque, const struct metric_setup *setup, struct arena *arena,
                   struct metric_sizes *sizes, struct err *err)
{
    struct metric_fbeta *o = opaque;
    o->beta = 1.0;
    return metric_fbeta_prepare(o, setup, arena, sizes, err);
}

const struct metric_desc metric_f1_score = {
    .name = "F1Score",
    .summary = "The harmonic mean of precision and recall.",
    .options = options,
    .size = sizeof(struct metric_fbeta),
    .labels = METRIC_EQUAL,
    .is_gain = true,
    .prepare = prepare,
    .update = metric_fbeta_update,
    .values = metric_fbeta_values,
};
