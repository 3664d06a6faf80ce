#include "trainer/layer/layer_sets.h"

#include "trainer/layer/layer_axis.h"

#include <math.h>
#include <string.h>

/* Puts the axes of `last` behind the others; false: they stand there already. */
static bool order_axes(const struct shape *shape, const bool *last, int *order)
{
    int n = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < shape->rank; i++) {
            if (last[i] == (pass == 1)) {
                order[n++] = i;
            }
        }
    }
    for (int i = 0; i < shape->rank; i++) {
        if (order[i] != i) {
            return true;
        }
    }
    return false;
}

/* Where each value of the seen order lies. */
static const uint32_t *index_of(const struct shape *shape, const int *order, size_t count,
                                struct arena *arena)
{
    uint32_t *index = arena_array(arena, count + 1, sizeof(*index));
    size_t stride[SHAPE_RANK_MAX], at[SHAPE_RANK_MAX] = {0}, step = 1, place = 0;
    for (int i = shape->rank - 1; i >= 0; i--) {
        stride[i] = step;
        step *= (size_t)shape->d[i];
    }
    for (size_t j = 0; j < count; j++) {
        index[j] = (uint32_t)place;
        for (int k = shape->rank - 1; k >= 0; k--) {
            place += stride[order[k]];
            if (++at[order[k]] < (size_t)shape->d[order[k]]) {
                break;
            }
            place -= stride[order[k]] * at[order[k]];
            at[order[k]] = 0;
        }
    }
    return index;
}

static int set_order(const struct layer *layer, const bool *last, struct layer_sets *sets,
                     struct arena *arena, struct err *err)
{
    const struct shape *in = &layer->inputs[0];
    int order[SHAPE_RANK_MAX];
    int64_t count;
    if (shape_count(in, &count) < 0 || count > UINT32_MAX) {
        return err_set(err, ERR_LIMIT, "the input has too many values");
    }
    sets->count = (size_t)count;
    sets->index = order_axes(in, last, order) ? index_of(in, order, sets->count, arena) : NULL;
    return 0;
}

static int mark_axis(const struct doc *doc, const struct shape *shape, bool *marked,
                     struct err *err)
{
    if (doc->type != DOC_INT) {
        return err_set_at(err, ERR_INVALID, "axis", "takes a number or a list of them");
    }
    int axis;
    int r = layer_axis_find(doc->i, shape, &axis, err);
    if (r == 0 && marked[axis]) {
        r = err_set_at(err, ERR_INVALID, "axis", "names an axis twice");
    }
    if (r == 0) {
        marked[axis] = true;
    }
    return r;
}

int layer_sets_over(struct layer *layer, const struct doc *axes, struct layer_sets *sets,
                    struct shape *ret_params, struct arena *arena, struct err *err)
{
    static const struct doc last_axis = {.type = DOC_INT, .i = -1};
    const struct shape *in = &layer->inputs[0];
    bool marked[SHAPE_RANK_MAX] = {false};
    if (in->rank < 1) {
        return err_set(err, ERR_SHAPE, "takes at least one axis beside the batch");
    }
    axes = axes && axes->type != DOC_NULL ? axes : &last_axis;
    bool is_list = axes->type == DOC_LIST;
    if (is_list && axes->n == 0) {
        return err_set_at(err, ERR_INVALID, "axis", "names no axis");
    }
    for (size_t i = 0; i < (is_list ? axes->n : 1); i++) {
        int r = mark_axis(is_list ? &axes->items[i] : axes, in, marked, err);
        if (r < 0) {
            return r;
        }
    }
    *ret_params = (struct shape){0};
    sets->cols = 1;
    for (int i = 0; i < in->rank; i++) {
        if (marked[i]) {
            ret_params->d[ret_params->rank++] = in->d[i];
            sets->cols *= (size_t)in->d[i];
        }
    }
    int r = set_order(layer, marked, sets, arena, err);
    sets->groups = sets->rows = 1;
    sets->blocks = r < 0 ? 0 : sets->count / sets->cols;
    sets->gamma = sets->beta = -1;
    layer->output = *in;
    return r;
}

int layer_sets_within(struct layer *layer, int axis, int64_t groups, struct layer_sets *sets,
                      struct arena *arena, struct err *err)
{
    const struct shape *in = &layer->inputs[0];
    bool marked[SHAPE_RANK_MAX] = {false};
    marked[axis] = true;
    int r = set_order(layer, marked, sets, arena, err);
    sets->cols = (size_t)in->d[axis];
    sets->groups = (size_t)groups;
    sets->blocks = 1;
    sets->rows = r < 0 ? 0 : sets->count / sets->cols;
    sets->gamma = sets->beta = -1;
    layer->output = *in;
    return r;
}

/* State: shift and factor of each set. Scratch: two sums a column of a block and two of all, and x,
 * y or dy turned. */
int layer_sets_prepare(struct layer *layer, const struct layer_setup *setup, struct err *err)
{
    (void)err;
    const struct layer_sets *sets = layer->kernel;
    size_t turned = sets->index ? 2 * sets->count * sizeof(float) : 0;
    layer->scratch_bytes = 4 * sets->cols * sizeof(double) + turned;
    layer->state_bytes = (size_t)setup->rows * sets->blocks * sets->groups * 2 * sizeof(float);
    return 0;
}

static const float *vars_of(const struct layer *layer, int v)
{
    return v < 0 ? NULL : layer->vars[v].data;
}

/* The sum in eight lanes, so that it is a vector's work and has one order. */
static double sum_of(const double *values, size_t n)
{
    double lanes[8] = {0.0};
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        for (size_t k = 0; k < 8; k++) {
            lanes[k] += values[i + k];
        }
    }
    for (size_t k = 0; i < n; i++, k++) {
        lanes[k] += values[i];
    }
    return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) +
           ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

/* Columns' sums of x, or of the squares of x - shift. */
static void add_columns(const struct layer_sets *sets, const float *x, double *sums)
{
    memset(sums, 0, sets->cols * sizeof(*sums));
    for (size_t r = 0; r < sets->rows; r++, x += sets->cols) {
        for (size_t c = 0; c < sets->cols; c++) {
            sums[c] += (double)x[c];
        }
    }
}

static void add_squares(const struct layer_sets *sets, const float *x, const float *stats,
                        double *sums)
{
    size_t width = sets->cols / sets->groups;
    memset(sums, 0, sets->cols * sizeof(*sums));
    for (size_t r = 0; r < sets->rows; r++) {
        for (size_t g = 0; g < sets->groups; g++, x += width) {
            double shift = (double)stats[2 * g];
            double *to = sums + g * width;
            for (size_t c = 0; c < width; c++) {
                double d = (double)x[c] - shift;
                to[c] += d * d;
            }
        }
    }
}

static float factor_of(const struct layer_sets *sets, double squares, double n)
{
    if (sets->kind == LAYER_SETS_UNIT) {
        double least = sets->epsilon * sets->epsilon;
        return (float)(1.0 / sqrt(squares > least ? squares : least));
    }
    return (float)(1.0 / sqrt(squares / n + sets->epsilon));
}

/* stats: (shift, factor) of each group of a block. */
static void take_stats(const struct layer_sets *sets, const float *x, double *sums, float *stats)
{
    size_t width = sets->cols / sets->groups;
    double n = (double)(sets->rows * width);
    if (sets->kind == LAYER_SETS_MOMENTS) {
        add_columns(sets, x, sums);
    }
    for (size_t g = 0; g < sets->groups; g++) {
        stats[2 * g] =
            sets->kind == LAYER_SETS_MOMENTS ? (float)(sum_of(sums + g * width, width) / n) : 0.0F;
    }
    add_squares(sets, x, stats, sums);
    for (size_t g = 0; g < sets->groups; g++) {
        stats[2 * g + 1] = factor_of(sets, sum_of(sums + g * width, width), n);
    }
}

static void write_block(const struct layer_sets *sets, const float *x, const float *stats,
                        const float *gamma, const float *beta, float *y)
{
    size_t width = sets->cols / sets->groups;
    for (size_t r = 0; r < sets->rows; r++) {
        for (size_t g = 0; g < sets->groups; g++, x += width, y += width) {
            float shift = stats[2 * g], factor = stats[2 * g + 1];
            const float *a = gamma ? gamma + g * width : NULL, *b = beta ? beta + g * width : NULL;
            for (size_t c = 0; c < width; c++) {
                y[c] = (x[c] - shift) * factor;
            }
            for (size_t c = 0; a && c < width; c++) {
                y[c] *= a[c];
            }
            for (size_t c = 0; b && c < width; c++) {
                y[c] += b[c];
            }
        }
    }
}

static void turn(const struct layer_sets *sets, const float *from, float *to)
{
    for (size_t j = 0; j < sets->count; j++) {
        to[j] = from[sets->index[j]];
    }
}

static void turn_back(const struct layer_sets *sets, const float *from, float *to)
{
    for (size_t j = 0; j < sets->count; j++) {
        to[sets->index[j]] = from[j];
    }
}

void layer_sets_forward(struct layer *layer, const struct layer_call *call)
{
    const struct layer_sets *sets = layer->kernel;
    double *sums = call->scratch;
    float *turned = (float *)(sums + 4 * sets->cols), *stats = call->state;
    size_t block = sets->rows * sets->cols;
    for (int64_t n = 0; n < call->rows; n++) {
        const float *x = (const float *)call->x[0] + (size_t)n * sets->count;
        float *y = call->y + (size_t)n * sets->count, *to = y;
        if (sets->index) {
            turn(sets, x, turned);
            x = turned;
            to = turned + sets->count;
        }
        for (size_t b = 0; b < sets->blocks; b++, stats += 2 * sets->groups) {
            take_stats(sets, x + b * block, sums, stats);
            write_block(sets, x + b * block, stats, vars_of(layer, sets->gamma),
                        vars_of(layer, sets->beta), to + b * block);
        }
        if (sets->index) {
            turn_back(sets, to, y);
        }
    }
}

/* Columns' sums of dy and of dy times the normalized x. */
static void add_gradients(const struct layer_sets *sets, const float *x, const float *dy,
                          const float *stats, double *sums)
{
    size_t width = sets->cols / sets->groups;
    double *products = sums + sets->cols;
    memset(sums, 0, 2 * sets->cols * sizeof(*sums));
    for (size_t r = 0; r < sets->rows; r++) {
        for (size_t g = 0; g < sets->groups; g++, x += width, dy += width) {
            double shift = (double)stats[2 * g], factor = (double)stats[2 * g + 1];
            double *plain = sums + g * width, *product = products + g * width;
            for (size_t c = 0; c < width; c++) {
                plain[c] += (double)dy[c];
                product[c] += (double)dy[c] * (((double)x[c] - shift) * factor);
            }
        }
    }
}

static void write_grad(const struct layer *layer, int v, const double *sums, size_t n)
{
    float *grad = v < 0 ? NULL : layer->vars[v].grad;
    for (size_t c = 0; grad && c < n; c++) {
        grad[c] = (float)sums[c];
    }
}

/* What the sums of a group take from each of its gradients: a + b * normalized x. */
struct pull {
    double a, b;
};

static struct pull pull_of(const struct layer_sets *sets, double *sums, size_t group,
                           const float *gamma, float factor)
{
    size_t width = sets->cols / sets->groups;
    double *plain = sums + group * width, *product = plain + sets->cols;
    for (size_t c = 0; gamma && c < width; c++) {
        plain[c] *= (double)gamma[group * width + c];
        product[c] *= (double)gamma[group * width + c];
    }
    double n = sets->kind == LAYER_SETS_UNIT ? 1.0 : (double)(sets->rows * width);
    struct pull pull = {.b = sum_of(product, width) / n};
    if (sets->kind == LAYER_SETS_MOMENTS) {
        pull.a = sum_of(plain, width) / n;
    }
    /* At the bound the norm is a constant. */
    if (sets->kind == LAYER_SETS_UNIT && (double)factor >= 1.0 / sets->epsilon) {
        pull.b = 0.0;
    }
    return pull;
}

static void write_gradients(const struct layer_sets *sets, const float *x, const float *dy,
                            const float *stats, const float *gamma, double *sums, float *dx)
{
    size_t width = sets->cols / sets->groups;
    for (size_t g = 0; g < sets->groups; g++) {
        float shift = stats[2 * g], factor = stats[2 * g + 1];
        struct pull pull = pull_of(sets, sums, g, gamma, factor);
        float a = (float)pull.a, b = (float)pull.b;
        for (size_t r = 0; r < sets->rows; r++) {
            size_t at = r * sets->cols + g * width;
            for (size_t c = 0; c < width; c++) {
                float scaled = gamma ? dy[at + c] * gamma[g * width + c] : dy[at + c];
                dx[at + c] = (scaled - a - (x[at + c] - shift) * factor * b) * factor;
            }
        }
    }
}

/* One sample; x and dy in the seen order, dy becomes dx. */
static void backward_sample(const struct layer *layer, const float *x, float *dy,
                            const float *stats, double *sums)
{
    const struct layer_sets *sets = layer->kernel;
    size_t block = sets->rows * sets->cols;
    double *totals = sums + 2 * sets->cols;
    for (size_t b = 0; b < sets->blocks; b++, stats += 2 * sets->groups, x += block, dy += block) {
        add_gradients(sets, x, dy, stats, sums);
        for (size_t c = 0; c < 2 * sets->cols; c++) {
            totals[c] += sums[c];
        }
        write_gradients(sets, x, dy, stats, vars_of(layer, sets->gamma), sums, dy);
    }
}

void layer_sets_backward(struct layer *layer, const struct layer_call *call)
{
    const struct layer_sets *sets = layer->kernel;
    double *sums = call->scratch, *totals = sums + 2 * sets->cols;
    float *x_turned = (float *)(sums + 4 * sets->cols), *dy_turned = x_turned + sets->count;
    size_t n_stats = sets->blocks * sets->groups * 2;
    memset(totals, 0, 2 * sets->cols * sizeof(*totals));
    for (int64_t n = 0; n < call->rows; n++) {
        const float *x = (const float *)call->x[0] + (size_t)n * sets->count;
        const float *stats = (const float *)call->state + (size_t)n * n_stats;
        float *dy = call->dy + (size_t)n * sets->count,
              *dx = call->dx[0] ? call->dx[0] + (size_t)n * sets->count : NULL;
        if (sets->index) {
            turn(sets, x, x_turned);
            turn(sets, dy, dy_turned);
            x = x_turned;
            dy = dy_turned;
        }
        backward_sample(layer, x, dy, stats, sums);
        if (dx && sets->index) {
            turn_back(sets, dy, dx);
        } else if (dx) {
            memcpy(dx, dy, sets->count * sizeof(float));
        }
    }
    write_grad(layer, sets->beta, totals, sets->cols);
    write_grad(layer, sets->gamma, totals + sets->cols, sets->cols);
}
