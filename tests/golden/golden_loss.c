/* Losses with their gradients, and metrics batch by batch. */
#include <math.h>
#include <string.h>

#include "tests/golden/golden.h"
#include "trainer/loss/loss.h"
#include "trainer/metric/metric.h"
#include "trainer/single.h"

static bool is_there(const char *name)
{
    for (size_t i = 0; loss_at(i); i++) {
        if (strcmp(loss_at(i)->name, name) == 0) {
            return true;
        }
    }
    for (size_t i = 0; metric_at(i); i++) {
        if (strcmp(metric_at(i)->name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* An array of the case, or NULL; floats become float32, integers stay. */
static const struct tensor *read_tensor(struct golden_case *c, const struct doc *doc, bool floats,
                                        struct tensor *ret)
{
    struct err err = {0};
    if (!doc || doc->type == DOC_NULL) {
        return NULL;
    }
    int r = floats ? golden_floats(c, doc, ret, &err) : golden_array(c, doc, ret, &err);
    return r < 0 ? NULL : ret;
}

static enum golden_verdict compare_loss(struct golden_case *c, const struct single_loss *loss,
                                        const struct tensor *pred)
{
    const struct doc *want = doc_find(c->doc, "expected.value");
    want = want ? want : doc_get(c->doc, "expected");
    float value = (float)loss->value;
    struct tensor got = {.dtype = DTYPE_F32, .data = &value};
    if (!loss->is_reduced) {
        got.shape = pred->shape;
        got.shape.rank--;
        got.data = arena_array(c->arena, loss->rows, sizeof(float));
        memcpy(got.data, loss->values, loss->rows * sizeof(float));
    }
    if (!golden_compare(c, "value", &got, want, c->rtol, c->atol)) {
        return GOLDEN_FAILED;
    }
    const struct doc *tolerance = doc_get(c->doc, "gradient_tolerance");
    const struct doc *gradient = doc_find(c->doc, "expected_gradients.y_pred");
    struct tensor grad = {.dtype = DTYPE_F32, .shape = pred->shape};
    grad.data = arena_array(c->arena, loss->rows * (size_t)pred->shape.d[pred->shape.rank - 1],
                            sizeof(float));
    memcpy(grad.data, loss->grad,
           loss->rows * (size_t)pred->shape.d[pred->shape.rank - 1] * sizeof(float));
    if (gradient &&
        !golden_compare(c, "gradient", &grad, gradient, doc_float(tolerance, "rtol", c->rtol),
                        doc_float(tolerance, "atol", c->atol))) {
        return GOLDEN_FAILED;
    }
    return GOLDEN_PASSED;
}

static enum golden_verdict run_loss(struct golden_case *c)
{
    struct tensor y_true, y_pred, weight;
    struct single_loss loss;
    struct err err = {0};
    const struct doc *arrays = doc_get(c->doc, "arrays");
    if (strcmp(c->name, "loss_cosine_axis0") == 0) {
        return golden_skip(c, "classes stand on the last axis here");
    }
    if (!is_there(c->layer)) {
        return golden_skip(c, "no such loss yet");
    }
    const struct tensor *t = read_tensor(c, doc_get(arrays, "y_true"), false, &y_true);
    const struct tensor *p = read_tensor(c, doc_get(arrays, "y_pred"), true, &y_pred);
    const struct tensor *w = read_tensor(c, doc_get(arrays, "sample_weight"), true, &weight);
    if (!t || !p) {
        return golden_skip(c, "no arrays");
    }
    if (single_loss_run(c->layer, doc_get(c->doc, "config"), t, p, w, c->backend, c->arena, &loss,
                        &err) < 0) {
        return golden_refused(c, &err);
    }
    return c->expected_error ? golden_fail(c, "not refused") : compare_loss(c, &loss, p);
}

/* Refusals have names and no arrays. */
static enum golden_verdict run_refused_loss(struct golden_case *c)
{
    static const int64_t labels[] = {0, 5};
    static const float pred[] = {0.2F, 0.8F, 0.5F, 0.5F};
    struct tensor y_true = {.dtype = DTYPE_I64, .shape = {.rank = 1, .d = {2}}};
    struct tensor y_pred = {.dtype = DTYPE_F32, .shape = {.rank = 2, .d = {2, 2}}};
    struct single_loss loss;
    struct err err = {0};
    const char *which = doc_str(doc_get(c->doc, "config"), "case", "");
    struct doc *config = doc_new(c->arena);
    doc_set_map(config);
    const char *class_name = "SparseCategoricalCrossentropy";
    y_true.data = arena_alloc(c->arena, sizeof labels);
    y_pred.data = arena_alloc(c->arena, sizeof pred);
    memcpy(y_true.data, labels, sizeof labels);
    memcpy(y_pred.data, pred, sizeof pred);
    if (strcmp(which, "reduction") == 0) {
        doc_put_str(config, c->arena, "reduction", "average");
        class_name = "MeanSquaredError";
    } else if (strcmp(which, "shape") == 0) {
        y_true.shape = (struct shape){.rank = 2, .d = {2, 3}};
        y_true.data = arena_alloc(c->arena, 6 * sizeof(int64_t));
        class_name = "MeanSquaredError";
    } else if (strcmp(which, "label_smoothing") == 0) {
        doc_put_float(config, c->arena, "label_smoothing", 1.5);
        y_true.shape = y_pred.shape;
        y_true.data = arena_alloc(c->arena, 4 * sizeof(int64_t));
        class_name = "CategoricalCrossentropy";
    }
    int r = single_loss_run(class_name, config, &y_true, &y_pred, NULL, c->backend, c->arena, &loss,
                            &err);
    if (r < 0) {
        return golden_refused(c, &err);
    }
    return c->expected_error ? golden_fail(c, "not refused") : GOLDEN_PASSED;
}

static enum golden_verdict run_metric(struct golden_case *c)
{
    const struct doc *batches = doc_find(c->doc, "arrays.batches");
    const struct doc *expected = doc_get(c->doc, "expected");
    struct single_metric *metric = NULL;
    struct err err = {0};
    if (!is_there(c->layer)) {
        return golden_skip(c, "no such metric yet");
    }
    if (!batches || batches->type != DOC_LIST || batches->n == 0 || !expected ||
        expected->type != DOC_LIST) {
        return c->expected_error ? golden_skip(c, "no batches") : golden_fail(c, "no batches");
    }
    for (size_t i = 0; batches && batches->type == DOC_LIST && i < batches->n; i++) {
        struct tensor y_true, y_pred, weight;
        const struct doc *batch = &batches->items[i];
        const struct tensor *t = read_tensor(c, doc_get(batch, "y_true"), false, &y_true);
        const struct tensor *p = read_tensor(c, doc_get(batch, "y_pred"), true, &y_pred);
        const struct tensor *w = read_tensor(c, doc_get(batch, "sample_weight"), true, &weight);
        const double *values;
        size_t n = 0;
        if (!t || !p) {
            return golden_skip(c, "no arrays");
        }
        if (i == 0 && single_metric_create(c->layer, doc_get(c->doc, "config"), &t->shape,
                                           &p->shape, c->backend, c->arena, &metric, &err) < 0) {
            return golden_refused(c, &err);
        }
        if (single_metric_update(metric, t, p, w, &values, &n, &err) < 0) {
            return golden_refused(c, &err);
        }
        struct tensor got = {.dtype = DTYPE_F32, .data = arena_array(c->arena, n, sizeof(float))};
        for (size_t k = 0; k < n; k++) {
            ((float *)got.data)[k] = (float)values[k];
        }
        got.shape = n == 1 ? (struct shape){0} : (struct shape){.rank = 1, .d = {(int64_t)n}};
        const struct doc *want = doc_at(expected, i);
        if (!want || !golden_compare(c, "result", &got, want, c->rtol, c->atol)) {
            return want ? GOLDEN_FAILED : golden_fail(c, "no expected result %zu", i);
        }
    }
    return GOLDEN_PASSED;
}

const struct golden_class golden_loss_classes[] = {
    {"loss", "loss", run_refused_loss, true},
    {"accepts", "loss", run_refused_loss, true},
    {"loss", NULL, run_loss, true},
    {"metric", NULL, run_metric, true},
    {NULL, NULL, NULL, false},
};
