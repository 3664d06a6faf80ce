#include <math.h>

#include "trainer/layer/layer.h"

struct normalization {
    LAYER_FIELDS
    const struct doc *axis, *mean, *variance;
    bool invert;
};

static const struct opt options[] = {
    LAYER_ROWS(normalization),
    OPT_DOC_ROW(normalization, axis,
                "The axis that keeps its own numbers: the last, or null for none.",
                .flags = OPT_NULLABLE),
    OPT_DOC_ROW(normalization, mean, "The mean, a number or a list; none: a variable.",
                .flags = OPT_NULLABLE),
    OPT_DOC_ROW(normalization, variance, "The variance likewise.", .flags = OPT_NULLABLE),
    OPT_BOOL_ROW(normalization, invert, false, "Whether the way back is taken."),
    OPT_END_ROW,
};

static bool is_given(const struct doc *doc)
{
    return doc && doc->type != DOC_NULL;
}

/* The number of leaves that Keras's nested lists hold; fills `out` if not NULL. -1: not numbers. */
static int64_t leaves(const struct doc *doc, float *out, int64_t room)
{
    if (doc_is_number(doc)) {
        if (out && room > 0) {
            *out = (float)doc_number(doc);
        }
        return 1;
    }
    if (doc->type != DOC_LIST) {
        return -1;
    }
    int64_t n = 0;
    for (size_t i = 0; i < doc->n; i++) {
        int64_t more = leaves(&doc->items[i], out ? out + n : NULL, room - n);
        if (more < 0 || n + more > room) {
            return -1;
        }
        n += more;
    }
    return n;
}

static int take_given(struct layer *layer, const struct doc *doc, const char *name, int64_t cols,
                      float *out, struct err *err)
{
    int64_t n = leaves(doc, out, cols);
    if (n != 1 && n != cols) {
        return err_set_at(err, ERR_SHAPE, name, "takes one number or %lld, one for each channel",
                          (long long)cols);
    }
    for (int64_t i = 1; n == 1 && i < cols; i++) {
        out[i] = out[0];
    }
    (void)layer;
    return 0;
}

/* Whether one pair of numbers serves all values. */
static int is_single(const struct layer *layer, bool *ret, struct err *err)
{
    const struct normalization *o = layer->options;
    const struct doc *axis = o->axis;
    int rank = layer->inputs[0].rank;
    if (axis && axis->type == DOC_LIST && axis->n == 1) {
        axis = &axis->items[0];
    }
    *ret = axis && (axis->type == DOC_NULL || (axis->type == DOC_LIST && axis->n == 0));
    if (axis && !*ret && (axis->type != DOC_INT || (axis->i != -1 && axis->i != rank))) {
        return err_set_at(err, ERR_UNSUPPORTED, "axis",
                          "only the last axis, or none, is supported");
    }
    return 0;
}

static int add_vars(struct layer *layer, bool single, int64_t cols, struct arena *arena,
                    struct err *err)
{
    struct layer_var var = {.name = "mean", .dtype = DTYPE_F32, .shape = {.rank = 1, .d = {cols}}};
    var.shape.rank = single ? 0 : 1;
    int r = layer_add_var(layer, &var, NULL, "Zeros", arena, err);
    var.name = "variance";
    r = r < 0 ? r : layer_add_var(layer, &var, NULL, "Ones", arena, err);
    var.name = "count";
    var.shape.rank = 0;
    var.dtype = DTYPE_I64;
    return r < 0 ? r : layer_add_var(layer, &var, NULL, "Zeros", arena, err);
}

static size_t cols_of(const struct layer *layer)
{
    return layer->output.rank > 0 ? (size_t)layer->output.d[layer->output.rank - 1] : 1;
}

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    const struct normalization *o = layer->options;
    bool single;
    int64_t count = 0;
    layer->output = layer->inputs[0];
    int r = is_single(layer, &single, err);
    if (r == 0 && is_given(o->mean) != is_given(o->variance)) {
        r = err_set_at(err, ERR_INVALID, is_given(o->mean) ? "variance" : "mean",
                       "mean and variance are given together or not at all");
    }
    r = r < 0 ? r : shape_count(&layer->output, &count);
    if (r < 0) {
        return r;
    }
    layer->flops = 2.0 * (double)count;
    int64_t cols = (int64_t)cols_of(layer);
    if (!is_given(o->mean)) {
        return add_vars(layer, single, cols, arena, err);
    }
    float *given = arena_array(arena, 2 * (size_t)cols, sizeof(float));
    r = take_given(layer, o->mean, "mean", cols, given, err);
    r = r < 0 ? r : take_given(layer, o->variance, "variance", cols, given + cols, err);
    layer->kernel = given;
    return r;
}

struct numbers {
    const float *mean, *variance;
    size_t step; /* 0: one for all */
};

static struct numbers numbers_of(const struct layer *layer)
{
    if (layer->n_vars == 0) {
        const float *given = layer->kernel;
        return (struct numbers){given, given + cols_of(layer), 1};
    }
    return (struct numbers){layer->vars[0].data, layer->vars[1].data,
                            layer->vars[0].shape.rank == 0 ? 0U : 1U};
}

static size_t rows_of(const struct layer *layer, int64_t batch)
{
    size_t rows = (size_t)batch;
    for (int i = 0; i + 1 < layer->output.rank; i++) {
        rows *= (size_t)layer->output.d[i];
    }
    return rows;
}

/* Keras bounds the deviation from below. */
static float deviation(float variance)
{
    return fmaxf(sqrtf(variance), 1e-7F);
}

static void forward(struct layer *layer, const struct layer_call *call)
{
    const struct normalization *o = layer->options;
    struct numbers numbers = numbers_of(layer);
    size_t rows = rows_of(layer, call->rows), cols = cols_of(layer);
    const float *x = call->x[0];
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < cols; c++) {
            float mean = numbers.mean[c * numbers.step];
            float d = deviation(numbers.variance[c * numbers.step]);
            float value = x[r * cols + c];
            call->y[r * cols + c] = o->invert ? mean + value * d : (value - mean) / d;
        }
    }
}

static void backward(struct layer *layer, const struct layer_call *call)
{
    const struct normalization *o = layer->options;
    struct numbers numbers = numbers_of(layer);
    size_t rows = rows_of(layer, call->rows), cols = cols_of(layer);
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < cols; c++) {
            float d = deviation(numbers.variance[c * numbers.step]);
            float dy = call->dy[r * cols + c];
            call->dx[0][r * cols + c] = o->invert ? dy * d : dy / d;
        }
    }
}

const struct layer_desc layer_normalization = {
    .name = "Normalization",
    .summary = "(x - mean) / deviation, of numbers that are given or were learned from the data.",
    .options = options,
    .size = sizeof(struct normalization),
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
