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
                "The axes that keep their own numbers: the last if not given, null for none."),
    OPT_DOC_ROW(normalization, mean, "The mean, a number or a list; none: a variable.",
                .flags = OPT_NULLABLE),
    OPT_DOC_ROW(normalization, variance, "The variance likewise.", .flags = OPT_NULLABLE),
    OPT_BOOL_ROW(normalization, invert, false, "Whether the way back is taken."),
    OPT_END_ROW,
};

/* What infer works out: which numbers each value of a sample takes. */
struct kept {
    bool axes[SHAPE_RANK_MAX]; /* of the shape without the batch */
    struct shape shape;        /* of mean and variance */
    size_t n;                  /* their numbers */
    size_t count;              /* values of a sample */
    uint32_t *index;           /* of each value */
    float *given;              /* mean, then variance; or NULL */
};

static bool is_given(const struct doc *doc)
{
    return doc && doc->type != DOC_NULL;
}

static int keep_axis(const struct layer *layer, const struct doc *axis, struct kept *kept,
                     struct err *err)
{
    int rank = layer->inputs[0].rank;
    int64_t at = axis->type == DOC_INT ? axis->i : 0;
    /* Keras counts the batch as axis 0. */
    at = at < 0 ? at + rank : at - 1;
    if (axis->type != DOC_INT || at < 0 || at >= rank) {
        return err_set_at(err, ERR_RANGE, "axis", "takes axes of 1 to %d, or -1 to -%d", rank,
                          rank);
    }
    kept->axes[at] = true;
    return 0;
}

static int read_axes(const struct layer *layer, struct kept *kept, struct err *err)
{
    const struct normalization *o = layer->options;
    static const struct doc last = {.type = DOC_INT, .i = -1};
    const struct doc *axis = o->axis ? o->axis : &last;
    bool is_list = axis->type == DOC_LIST;
    size_t n = axis->type == DOC_NULL ? 0 : (is_list ? axis->n : 1);
    for (size_t i = 0; i < n; i++) {
        int r = keep_axis(layer, is_list ? &axis->items[i] : axis, kept, err);
        if (r < 0) {
            return r;
        }
    }
    kept->n = 1;
    for (int a = 0; a < layer->inputs[0].rank; a++) {
        if (kept->axes[a]) {
            kept->shape.d[kept->shape.rank++] = layer->inputs[0].d[a];
            kept->n *= (size_t)layer->inputs[0].d[a];
        }
    }
    return 0;
}

static void fill_index(const struct shape *shape, struct kept *kept)
{
    for (size_t i = 0; i < kept->count; i++) {
        size_t rest = i, index = 0, step = 1;
        for (int a = shape->rank - 1; a >= 0; a--) {
            size_t size = (size_t)shape->d[a];
            if (kept->axes[a]) {
                index += rest % size * step;
                step *= size;
            }
            rest /= size;
        }
        kept->index[i] = (uint32_t)index;
    }
}

/* Nested lists of one depth, as numpy writes an array. */
static bool take_list(const struct doc *doc, int depth, float *out, size_t n, size_t *used)
{
    if (depth == 0) {
        if (!doc_is_number(doc) || *used >= n) {
            return false;
        }
        out[(*used)++] = (float)doc_number(doc);
        return true;
    }
    for (size_t i = 0; doc->type == DOC_LIST && i < doc->n; i++) {
        if (!take_list(&doc->items[i], depth - 1, out, n, used)) {
            return false;
        }
    }
    return doc->type == DOC_LIST;
}

static int take_given(const struct kept *kept, const struct doc *doc, const char *name, float *out,
                      struct err *err)
{
    size_t used = 0;
    bool is_number = doc_is_number(doc);
    for (size_t i = 0; is_number && i < kept->n; i++) {
        out[i] = (float)doc_number(doc);
    }
    if (is_number || (take_list(doc, kept->shape.rank, out, kept->n, &used) && used == kept->n)) {
        return 0;
    }
    char shape[128];
    shape_format(&kept->shape, shape, sizeof(shape));
    return err_set_at(err, ERR_SHAPE, name, "takes a number, or numbers of the shape %s", shape);
}

static int add_vars(struct layer *layer, const struct kept *kept, struct arena *arena,
                    struct err *err)
{
    struct layer_var var = {.name = "mean", .dtype = DTYPE_F32, .shape = kept->shape};
    int r = layer_add_var(layer, &var, NULL, "Zeros", arena, err);
    var.name = "variance";
    r = r < 0 ? r : layer_add_var(layer, &var, NULL, "Ones", arena, err);
    var.name = "count";
    var.shape.rank = 0;
    var.dtype = DTYPE_I64;
    return r < 0 ? r : layer_add_var(layer, &var, NULL, "Zeros", arena, err);
}

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    const struct normalization *o = layer->options;
    struct kept *kept = ARENA_NEW(arena, struct kept);
    int64_t count = 0;
    layer->output = layer->inputs[0];
    int r = read_axes(layer, kept, err);
    if (r == 0 && is_given(o->mean) != is_given(o->variance)) {
        r = err_set_at(err, ERR_INVALID, is_given(o->mean) ? "variance" : "mean",
                       "mean and variance are given together or not at all");
    }
    r = r < 0 ? r : shape_count(&layer->output, &count);
    if (r < 0) {
        return r;
    }
    layer->kernel = kept;
    layer->flops = 2.0 * (double)count;
    kept->count = (size_t)count;
    kept->index = arena_array(arena, kept->count, sizeof(*kept->index));
    fill_index(&layer->output, kept);
    if (!is_given(o->mean)) {
        return add_vars(layer, kept, arena, err);
    }
    kept->given = arena_array(arena, 2 * kept->n, sizeof(float));
    r = take_given(kept, o->mean, "mean", kept->given, err);
    return r < 0 ? r : take_given(kept, o->variance, "variance", kept->given + kept->n, err);
}

/* Mean and deviation of each kept number; Keras bounds the deviation from below. */
static int prepare(struct layer *layer, const struct layer_setup *setup, struct err *err)
{
    (void)setup;
    (void)err;
    const struct kept *kept = layer->kernel;
    layer->scratch_bytes = 2 * kept->n * sizeof(float);
    return 0;
}

static const float *find_numbers(const struct layer *layer, const struct layer_call *call)
{
    const struct kept *kept = layer->kernel;
    const float *mean = kept->given ? kept->given : layer->vars[0].data;
    const float *variance = kept->given ? kept->given + kept->n : layer->vars[1].data;
    float *numbers = call->scratch;
    for (size_t i = 0; i < kept->n; i++) {
        numbers[i] = mean[i];
        numbers[kept->n + i] = fmaxf(sqrtf(variance[i]), 1e-7F);
    }
    return numbers;
}

static void forward(struct layer *layer, const struct layer_call *call)
{
    const struct normalization *o = layer->options;
    const struct kept *kept = layer->kernel;
    const float *mean = find_numbers(layer, call), *deviation = mean + kept->n;
    for (size_t r = 0; r < (size_t)call->rows; r++) {
        const float *x = (const float *)call->x[0] + r * kept->count;
        float *y = call->y + r * kept->count;
        for (size_t i = 0; i < kept->count; i++) {
            uint32_t k = kept->index[i];
            y[i] = o->invert ? mean[k] + x[i] * deviation[k] : (x[i] - mean[k]) / deviation[k];
        }
    }
}

static void backward(struct layer *layer, const struct layer_call *call)
{
    const struct normalization *o = layer->options;
    const struct kept *kept = layer->kernel;
    const float *deviation = find_numbers(layer, call) + kept->n;
    for (size_t r = 0; r < (size_t)call->rows; r++) {
        const float *dy = call->dy + r * kept->count;
        float *dx = call->dx[0] + r * kept->count;
        for (size_t i = 0; i < kept->count; i++) {
            float d = deviation[kept->index[i]];
            dx[i] = o->invert ? dy[i] * d : dy[i] / d;
        }
    }
}

static void config(const struct layer *layer, struct doc *config, struct arena *arena)
{
    const struct normalization *o = layer->options;
    if (o->axis && o->axis->type == DOC_NULL) {
        doc_set_null(doc_put(config, arena, "axis"));
    }
}

const struct layer_desc layer_normalization = {
    .name = "Normalization",
    .summary = "(x - mean) / deviation, of numbers that are given or were learned from the data.",
    .options = options,
    .size = sizeof(struct normalization),
    .infer = infer,
    .prepare = prepare,
    .forward = forward,
    .backward = backward,
    .config = config,
};
