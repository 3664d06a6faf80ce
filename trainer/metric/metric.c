#include "trainer/metric/metric.h"

#include <string.h>
#include <strings.h>

#include "trainer/class_name.h"
#include "trainer/loss/loss.h"

#define METRIC_ROW(name) extern const struct metric_desc metric_##name;
#include "trainer/metric/metric_rows.h"
#undef METRIC_ROW

static const struct metric_desc *const table[] = {
#define METRIC_ROW(name) &metric_##name,
#include "trainer/metric/metric_rows.h"
#undef METRIC_ROW
};

struct metric {
    const struct metric_desc *desc; /* NULL: a loss */
    const void *options;
    struct loss *loss;
    const struct doc *given; /* the document, for Keras's config */
    const char *name;
    struct metric_sizes sizes;
    double *state;  /* of a mean: weighted sum, sum of weights */
    double *values; /* room for the results */
};

const struct metric_desc *metric_at(size_t n)
{
    return n < sizeof(table) / sizeof(table[0]) ? table[n] : NULL;
}

/* Metrics first, then losses. */
static const char *name_at(size_t n, const char **ret_aliases)
{
    size_t n_metrics = sizeof(table) / sizeof(table[0]);
    const struct loss_desc *loss = n < n_metrics ? NULL : loss_at(n - n_metrics);
    *ret_aliases = n < n_metrics ? table[n]->aliases : (loss ? loss->aliases : NULL);
    return n < n_metrics ? table[n]->name : (loss ? loss->name : NULL);
}

/* Keras's rule: by the widths of predictions and labels. */
static const char *resolve(const char *text, const struct metric_setup *setup)
{
    static const struct {
        const char *text, *one, *sparse, *dense;
    } rows[] = {
        {"accuracy", "BinaryAccuracy", "SparseCategoricalAccuracy", "CategoricalAccuracy"},
        {"acc", "BinaryAccuracy", "SparseCategoricalAccuracy", "CategoricalAccuracy"},
        {"crossentropy", "BinaryCrossentropy", "SparseCategoricalCrossentropy",
         "CategoricalCrossentropy"},
        {"ce", "BinaryCrossentropy", "SparseCategoricalCrossentropy", "CategoricalCrossentropy"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strcasecmp(rows[i].text, text) == 0) {
            return setup->cols == 1 ? rows[i].one
                                    : (setup->label_cols == 1 ? rows[i].sparse : rows[i].dense);
        }
    }
    return NULL;
}

static int check_labels(const struct metric_desc *desc, const struct metric_setup *setup,
                        struct err *err)
{
    size_t wanted = desc->labels == METRIC_SINGLE ? 1 : setup->cols;
    if (desc->labels == METRIC_ANY || setup->label_cols == wanted) {
        return 0;
    }
    return err_set(err, ERR_SHAPE, "takes labels of width %zu for outputs of width %zu, not %zu",
                   wanted, setup->cols, setup->label_cols);
}

static int make_loss(struct metric *metric, const struct loss_desc *desc, const struct doc *map,
                     const struct metric_setup *setup, struct arena *arena, struct err *err)
{
    struct doc *doc = doc_new(arena);
    doc_set_map(doc);
    struct doc *options = doc_put(doc, arena, desc->name);
    if (map) {
        doc_copy(options, arena, map);
    } else {
        doc_set_map(options);
    }
    struct loss_setup loss_setup = {.backend = setup->backend,
                                    .rows = setup->rows,
                                    .cols = setup->cols,
                                    .label_cols = setup->label_cols,
                                    .label_dtype = DTYPE_F32};
    char *snake = arena_alloc(arena, CLASS_NAME_MAX);
    class_name_snake(desc->name, snake, CLASS_NAME_MAX);
    metric->name = doc_str(options, "name", snake);
    return loss_create(doc, &loss_setup, arena, &metric->loss, err);
}

static int make_metric(struct metric *metric, const struct metric_desc *desc, const struct doc *map,
                       const struct metric_setup *setup, struct arena *arena, struct err *err)
{
    void *options = arena_alloc(arena, desc->size);
    metric->desc = desc;
    metric->options = options;
    int r =
        opt_read(desc->options, options, class_name_known(desc->options, map, arena), arena, err);
    r = r < 0 ? r : check_labels(desc, setup, err);
    if (r == 0 && desc->prepare) {
        r = desc->prepare(options, setup, arena, &metric->sizes, err);
    }
    if (r < 0) {
        err_prefix(err, "%s", desc->name);
        return r;
    }
    struct metric_common common;
    memcpy(&common, options, sizeof(common));
    metric->name = common.name;
    return 0;
}

int metric_create(const struct doc *doc, const struct metric_setup *setup, struct arena *arena,
                  struct metric **ret, struct err *err)
{
    static const struct class_name_family family = {"metric", name_at};
    const struct doc *map = NULL;
    const char *short_name = doc && doc->type == DOC_STR ? resolve(doc->str, setup) : NULL;
    int r = short_name ? class_name_find(&family, short_name, err)
                       : class_name_read(&family, doc, &map, err);
    if (r < 0) {
        return r;
    }
    struct metric *metric = ARENA_NEW(arena, struct metric);
    size_t n_metrics = sizeof(table) / sizeof(table[0]);
    metric->given = doc;
    metric->sizes = (struct metric_sizes){.state = 2, .values = 1};
    r = (size_t)r < n_metrics
            ? make_metric(metric, table[r], map, setup, arena, err)
            : make_loss(metric, loss_at((size_t)r - n_metrics), map, setup, arena, err);
    if (short_name) {
        metric->name = arena_strdup(arena, doc->str);
    }
    metric->state = arena_array(arena, metric->sizes.state, sizeof(double));
    metric->values = arena_array(arena, metric->sizes.values, sizeof(double));
    *ret = metric;
    return r;
}

const char *metric_name(const struct metric *metric)
{
    return metric->name;
}

void metric_reset(struct metric *metric)
{
    memset(metric->state, 0, metric->sizes.state * sizeof(double));
}

static bool run_loss(struct metric *metric, const struct metric_batch *batch)
{
    double value;
    struct loss_args args = {
        .rows = batch->rows, .y_pred = batch->y_pred, .y_true = batch->y_true, .grad_scale = 1.0F};
    return loss_run(metric->loss, &args, &value, NULL) == 0;
}

void metric_update(struct metric *metric, const struct metric_batch *batch)
{
    /* Labels that are no classes were refused by the model's loss before. */
    if (metric->loss && !run_loss(metric, batch)) {
        return;
    }
    if (metric->desc && metric->desc->update) {
        metric->desc->update(metric->options, batch, metric->state);
        return;
    }
    for (size_t r = 0; r < batch->rows; r++) {
        double weight = batch->sample_weight ? (double)batch->sample_weight[r] : 1.0;
        double value = metric->loss ? (double)loss_values(metric->loss)[r]
                                    : metric->desc->row(metric->options, batch, r);
        metric->state[0] += value * weight;
        metric->state[1] += weight;
    }
}

bool metric_is_gain(const struct metric *metric)
{
    return metric->desc && metric->desc->is_gain;
}

size_t metric_n_values(const struct metric *metric)
{
    return metric->sizes.values;
}

double metric_value(const struct metric *metric, size_t at)
{
    if (metric->desc && metric->desc->values) {
        metric->desc->values(metric->options, metric->state, metric->values);
        return metric->values[at];
    }
    double mean = metric->state[1] != 0.0 ? metric->state[0] / metric->state[1] : 0.0;
    return metric->desc && metric->desc->finish ? metric->desc->finish(mean) : mean;
}

double *metric_state(struct metric *metric, size_t *ret_n)
{
    *ret_n = metric->sizes.state;
    return metric->state;
}

void metric_config(const struct metric *metric, struct doc *doc, struct arena *arena)
{
    if (metric->given->type == DOC_STR) {
        doc_set_str(doc, arena, metric->given->str);
        return;
    }
    if (metric->loss) {
        char snake[CLASS_NAME_MAX];
        class_name_snake(loss_name(metric->loss), snake, sizeof(snake));
        doc_set_str(doc, arena, snake);
        return;
    }
    struct doc *config = class_name_put(doc, arena, "keras.metrics", metric->desc->name);
    class_name_write(metric->desc->options, metric->options, config, arena);
}

struct metric_moments metric_moments(const struct metric_batch *batch, size_t r)
{
    const float *t = batch->y_true + r * batch->cols, *p = batch->y_pred + r * batch->cols;
    const double n = (double)batch->cols;
    struct metric_moments m = {0};
    for (size_t i = 0; i < batch->cols; i++) {
        m.true_mean += (double)t[i] / n;
        m.pred_mean += (double)p[i] / n;
    }
    for (size_t i = 0; i < batch->cols; i++) {
        double dt = (double)t[i] - m.true_mean, dp = (double)p[i] - m.pred_mean;
        m.true_variance += dt * dt / n;
        m.pred_variance += dp * dp / n;
        m.covariance += dt * dp / n;
    }
    return m;
}

size_t metric_argmax(const float *row, size_t cols)
{
    size_t best = 0;
    for (size_t c = 1; c < cols; c++) {
        best = row[c] > row[best] ? c : best;
    }
    return best;
}
