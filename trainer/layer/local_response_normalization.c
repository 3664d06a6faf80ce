#include <math.h>

#include "trainer/layer/layer.h"

struct local_response_normalization {
    LAYER_FIELDS
    int64_t depth_radius;
    double bias, alpha, beta;
};

static const struct opt options[] = {
    LAYER_ROWS(local_response_normalization),
    OPT_I64_ROW(local_response_normalization, depth_radius, 5, 0, 1 << 20,
                "Channels on each side that count."),
    OPT_F64_ROW(local_response_normalization, bias, 1.0, 1e-30, 1e30,
                "What is added to the squares."),
    OPT_F64_ROW(local_response_normalization, alpha, 1.0, -1e30, 1e30,
                "The weight of the squares; not divided by their number."),
    OPT_F64_ROW(local_response_normalization, beta, 0.5, -1e3, 1e3, "The exponent."),
    OPT_END_ROW,
};

static size_t channels_of(const struct layer *layer)
{
    return (size_t)layer->output.d[layer->output.rank - 1];
}

static size_t cells_of(const struct layer *layer, int64_t rows)
{
    int64_t count = 0;
    BUG_ON(shape_count(&layer->output, &count) < 0);
    return (size_t)(count * rows) / channels_of(layer);
}

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    (void)arena;
    int64_t count;
    layer->output = layer->inputs[0];
    int r = layer_want_rank(layer, 3, err);
    if (r == 0 && shape_count(&layer->output, &count) == 0) {
        layer->flops = 8.0 * (double)count;
    }
    layer->needs_x = true;
    return r;
}

/* State: bias + alpha * squares of each value. Scratch: a row of running sums. */
static int prepare(struct layer *layer, const struct layer_setup *setup, struct err *err)
{
    (void)err;
    layer->state_bytes = cells_of(layer, setup->rows) * channels_of(layer) * sizeof(float);
    layer->scratch_bytes = 2 * channels_of(layer) * sizeof(double);
    return 0;
}

/* sums[c] = values[c - radius] + ... + values[c + radius], cut at the ends. */
static void add_windows(size_t channels, size_t radius, const double *values, double *sums)
{
    for (size_t c = 0; c < channels; c++) {
        size_t from = c > radius ? c - radius : 0,
               to = radius < channels - c ? c + radius + 1 : channels;
        double sum = 0.0;
        for (size_t i = from; i < to; i++) {
            sum += values[i];
        }
        sums[c] = sum;
    }
}

/* base^-beta; the roots that people use need no pow. */
static double power(double base, double beta)
{
    if (beta == 0.5) {
        return 1.0 / sqrt(base);
    }
    if (beta == 0.75) {
        double root = sqrt(base);
        return 1.0 / (root * sqrt(root));
    }
    return beta == 1.0 ? 1.0 / base : pow(base, -beta);
}

static void forward(struct layer *layer, const struct layer_call *call)
{
    const struct local_response_normalization *o = layer->options;
    size_t n = channels_of(layer), cells = cells_of(layer, call->rows);
    const float *x = call->x[0];
    float *y = call->y, *scales = call->state;
    double *squares = call->scratch, *sums = squares + n;
    for (size_t i = 0; i < cells; i++, x += n, y += n, scales += n) {
        for (size_t c = 0; c < n; c++) {
            squares[c] = (double)x[c] * (double)x[c];
        }
        add_windows(n, (size_t)o->depth_radius, squares, sums);
        for (size_t c = 0; c < n; c++) {
            scales[c] = (float)(o->bias + o->alpha * sums[c]);
            y[c] = (float)((double)x[c] * power((double)scales[c], o->beta));
        }
    }
}

/* Krizhevsky et al. 2012, 3.3, differentiated: what value j adds to the scale of each i around it.
 */
static void backward(struct layer *layer, const struct layer_call *call)
{
    const struct local_response_normalization *o = layer->options;
    size_t n = channels_of(layer), cells = cells_of(layer, call->rows);
    const float *x = call->x[0], *dy = call->dy, *scales = call->state;
    float *dx = call->dx[0];
    double *terms = call->scratch, *sums = terms + n;
    for (size_t i = 0; i < cells; i++, x += n, dy += n, dx += n, scales += n) {
        for (size_t c = 0; c < n; c++) {
            double scale = (double)scales[c];
            terms[c] = (double)dy[c] * (double)x[c] * power(scale, o->beta) / scale;
        }
        add_windows(n, (size_t)o->depth_radius, terms, sums);
        for (size_t c = 0; c < n; c++) {
            double own = (double)dy[c] * power((double)scales[c], o->beta);
            dx[c] = (float)(own - 2.0 * o->alpha * o->beta * (double)x[c] * sums[c]);
        }
    }
}

const struct layer_desc layer_local_response_normalization = {
    .name = "LocalResponseNormalization",
    .summary = "Each value divided by a power of the squares of the channels around it (Krizhevsky "
               "et al. 2012).",
    .options = options,
    .size = sizeof(struct local_response_normalization),
    .is_ours = true,
    .infer = infer,
    .prepare = prepare,
    .forward = forward,
    .backward = backward,
};
