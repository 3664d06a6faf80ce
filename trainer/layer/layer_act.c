#include "trainer/layer/layer_act.h"

#include <math.h>
#include <string.h>

static const struct {
    const char *name;
    enum kernel_rows_kind kind;
} over_rows[] = {
    {"softmax", KERNEL_ROWS_SOFTMAX},
    {"log_softmax", KERNEL_ROWS_LOG_SOFTMAX},
    {"sparsemax", KERNEL_ROWS_SPARSEMAX},
};
enum { N_OVER_ROWS = sizeof(over_rows) / sizeof(over_rows[0]) };

static int unknown(const char *name, struct err *err)
{
    const char *names[KERNEL_ACT_MAX_ + N_OVER_ROWS];
    size_t n = 0;
    for (int k = 0; k < KERNEL_ACT_MAX_; k++) {
        names[n++] = kernel_act_row((enum kernel_act_kind)k)->name;
    }
    for (size_t i = 0; i < N_OVER_ROWS; i++) {
        names[n++] = over_rows[i].name;
    }
    const char *nearest = err_nearest(name, names, n);
    return err_set(err, ERR_UNKNOWN, "there is no activation '%.64s'%s%s%s", name,
                   nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
}

static int by_name(const char *name, struct layer_act *ret, struct err *err)
{
    for (size_t i = 0; i < N_OVER_ROWS; i++) {
        if (strcmp(over_rows[i].name, name) == 0) {
            *ret = (struct layer_act){.over_rows = true, .rows_kind = over_rows[i].kind};
            return 0;
        }
    }
    const struct kernel_act_desc *desc = kernel_act_find(name);
    if (!desc || desc->defaults.kind == KERNEL_ACT_RELU_GENERAL) {
        return unknown(name, err);
    }
    *ret = (struct layer_act){.act = desc->defaults};
    return 0;
}

/* Layers that stand for an activation: their class, what it is, the option that is alpha. */
static const struct {
    const char *name, *act, *alpha;
    double alpha_default;
} classes[] = {
    {"Softmax", "softmax", NULL, 0.0},
    {"ReLU", "relu", NULL, 0.0},
    {"LeakyReLU", "leaky_relu", "negative_slope", 0.3},
    {"ELU", "elu", "alpha", 1.0},
};

static void set_relu(const struct doc *config, struct layer_act *ret)
{
    double slope = doc_float(config, "negative_slope", 0.0);
    double most = doc_float(config, "max_value", (double)INFINITY);
    double threshold = doc_float(config, "threshold", 0.0);
    if (slope != 0.0 || threshold != 0.0 || isfinite(most)) {
        ret->act = (struct kernel_act){.kind = KERNEL_ACT_RELU_GENERAL,
                                       .alpha = (float)slope,
                                       .max_value = (float)most,
                                       .threshold = (float)threshold};
    }
}

static int by_class(const char *name, const struct doc *config, struct layer_act *ret,
                    struct err *err)
{
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        if (strcmp(classes[i].name, name) == 0) {
            int r = by_name(classes[i].act, ret, err);
            if (r == 0 && classes[i].alpha) {
                ret->act.alpha =
                    (float)doc_float(config, classes[i].alpha, classes[i].alpha_default);
            }
            if (r == 0 && strcmp(name, "ReLU") == 0) {
                set_relu(config, ret);
            }
            return r;
        }
    }
    return by_name(name, ret, err);
}

int layer_act_read(const struct doc *doc, struct layer_act *ret, struct err *err)
{
    *ret = (struct layer_act){0};
    if (!doc || doc->type == DOC_NULL) {
        return 0;
    }
    if (doc->type == DOC_STR) {
        return by_name(doc->str, ret, err);
    }
    const char *name = doc_str(doc, "class_name", NULL);
    const struct doc *config = doc_get(doc, "config");
    if (!name && doc->type == DOC_MAP && doc->n == 1) {
        name = doc->pairs[0].key;
        config = &doc->pairs[0].value;
    }
    if (!name) {
        return err_set(err, ERR_INVALID, "takes the name of an activation");
    }
    /* Keras writes functions as {class_name: function, config: relu}. */
    if (strcmp(name, "function") == 0 && config && config->type == DOC_STR) {
        return by_name(config->str, ret, err);
    }
    return by_class(name, config, ret, err);
}

bool layer_act_is_linear(const struct layer_act *act)
{
    return !act->over_rows && act->act.kind == KERNEL_ACT_LINEAR;
}

bool layer_act_is(const struct layer_act *act, enum kernel_rows_kind kind)
{
    return act->over_rows && act->rows_kind == kind;
}

bool layer_act_needs_x(const struct layer_act *act)
{
    if (act->over_rows) {
        return act->rows_kind == KERNEL_ROWS_SPARSEMAX;
    }
    return !kernel_act_row(act->act.kind)->from_output;
}

void layer_act_forward(const struct kernel_backend *backend, const struct layer_act *act,
                       size_t rows, size_t cols, const float *x, float *y)
{
    if (act->over_rows) {
        backend->act->rows_forward(act->rows_kind, rows, cols, x, y);
    } else {
        backend->act->forward(&act->act, rows * cols, x, y);
    }
}

void layer_act_backward(const struct kernel_backend *backend, const struct layer_act *act,
                        size_t rows, size_t cols, const float *x, const float *y, const float *dy,
                        float *dx)
{
    if (layer_act_is(act, KERNEL_ROWS_SPARSEMAX)) {
        backend->act->sparsemax_backward(rows, cols, x, dy, dx);
    } else if (act->over_rows) {
        backend->act->rows_backward(act->rows_kind, rows, cols, y, dy, dx);
    } else {
        backend->act->backward(&act->act, rows * cols, x, y, dy, dx);
    }
}
