#include <math.h>

#include "base/math.h"
#include "trainer/optimizer/optimizer.h"

struct adafactor {
    OPTIMIZER_FIELDS
    double beta_2_decay, epsilon_1, epsilon_2, clip_threshold;
    bool relative_step;
};

static const struct opt options[] = {
    OPTIMIZER_ROWS(adafactor, "adafactor", 0.0, OPT_NULLABLE),
    OPT_F64_ROW(adafactor, beta_2_decay, -0.8, -10.0, 0.0,
                "How the momentum grows with the steps."),
    OPT_F64_ROW(adafactor, epsilon_1, 1e-30, 0.0, 1.0, "What is added to squares."),
    OPT_F64_ROW(adafactor, epsilon_2, 1e-3, 0.0, 1.0,
                "The least size of a weight that steps go by."),
    OPT_F64_ROW(adafactor, clip_threshold, 1.0, 1e-09, 1000000000.0,
                "The greatest mean size of a step."),
    OPT_BOOL_ROW(adafactor, relative_step, true, "Whether the rate is at most 1 / sqrt(step)."),
    OPT_END_ROW,
};

static int slots(const void *opaque, struct optimizer_slot *slots)
{
    const struct adafactor *o = opaque;
    (void)o;
    slots[0] = (struct optimizer_slot){.shape = OPTIMIZER_SLOT_ROWS};
    slots[1] = (struct optimizer_slot){.shape = OPTIMIZER_SLOT_COLS};
    slots[2] = (struct optimizer_slot){.name = "velocity"};
    return 3;
}

static double root_mean_square(const struct optimizer_update *u, const float *x)
{
    return sqrt(u->backend->vec->sum_squares(u->param->count, x) / (double)u->param->count);
}

/* Means of the squares over columns (r) and rows (c) of each of the last matrices, moving. */
static void mean_squares(const struct adafactor *o, const struct optimizer_update *u, float keep,
                         const float *g, float *r, float *c, size_t rows, size_t cols)
{
    for (size_t i = 0; i < rows; i++) {
        double sum = 0.0;
        for (size_t j = 0; j < cols; j++) {
            float square = g[i * cols + j] * g[i * cols + j] + (float)o->epsilon_1;
            sum += (double)square;
        }
        r[i] = keep * r[i] + (1.0F - keep) * (float)(sum / (double)cols);
    }
    for (size_t j = 0; j < cols; j++) {
        double sum = 0.0;
        for (size_t i = 0; i < rows; i++) {
            float square = g[i * cols + j] * g[i * cols + j] + (float)o->epsilon_1;
            sum += (double)square;
        }
        c[j] = keep * c[j] + (1.0F - keep) * (float)(sum / (double)rows);
    }
    (void)u;
}

static void factored(const struct adafactor *o, struct optimizer_update *u, float keep)
{
    const struct shape *shape = &u->param->shape;
    size_t cols = (size_t)shape->d[shape->rank - 1], rows = (size_t)shape->d[shape->rank - 2];
    for (size_t m = 0; m * rows * cols < u->param->count; m++) {
        const float *g = u->param->g + m * rows * cols;
        float *r = u->slots[0] + m * rows, *c = u->slots[1] + m * cols;
        mean_squares(o, u, keep, g, r, c, rows, cols);
        float mean = (float)(u->backend->vec->sum(rows, r) / (double)rows);
        for (size_t i = 0; i < rows * cols; i++) {
            float *v = &u->slots[2][m * rows * cols + i];
            *v = r[i / cols] / mean * c[i % cols];
            u->scratch[m * rows * cols + i] = g[i] / sqrtf(*v);
        }
    }
}

static void update(const void *opaque, struct optimizer_update *u)
{
    const struct adafactor *o = opaque;
    float *w = u->param->w, *step = u->scratch;
    size_t count = u->param->count;
    double rate = u->rate;
    if (o->relative_step) {
        rate = fmin(rate, 1.0 / sqrt((double)u->step));
    }
    float keep = 1.0F - (float)math_pow((double)u->step, o->beta_2_decay);
    float size = (float)(fmax(o->epsilon_2, root_mean_square(u, w)) * rate);
    if (u->param->shape.rank >= 2) {
        factored(o, u, keep);
    } else {
        for (size_t i = 0; i < count; i++) {
            float square = u->param->g[i] * u->param->g[i] + (float)o->epsilon_1;
            u->slots[2][i] = keep * u->slots[2][i] + (1.0F - keep) * square;
            step[i] = u->param->g[i] / sqrtf(u->slots[2][i]);
        }
    }
    float least = (float)fmax(1.0, root_mean_square(u, step) / o->clip_threshold);
    u->backend->vec->axpy(count, -size / least, step, w);
}

const struct optimizer_desc optimizer_adafactor = {
    .name = "Adafactor",
    .summary = "Adam with sums of rows and columns in the place of all squares.",
    .options = options,
    .size = sizeof(struct adafactor),
    .default_rate = 0.001,
    .slots = slots,
    .update = update,
};
