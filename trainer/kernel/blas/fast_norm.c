/* Batch normalization in passes down the rows, at most FAST_COLS_MAX columns at a time. */
#include "trainer/kernel/blas/blas.h"
#include "trainer/kernel/blas/fast_parts.h"
#include "trainer/kernel/blas/vec8.h"

#include <math.h>

#define SUM      VEC8_NAME(fast_cols_sum)
#define SQUARES  VEC8_NAME(fast_cols_squares)
#define SHIFTED  VEC8_NAME(fast_cols_shifted)
#define DOT      VEC8_NAME(fast_cols_dot)
#define GRADIENT VEC8_NAME(fast_cols_gradient)

/* A run of columns; the constants of an affine map for each. Narrow ones are repeated so that
 * several rows are one. */
struct run {
    size_t rows, stride, cols;
    float a[FAST_COLS_MAX];
    float b[FAST_COLS_MAX];
    float m[FAST_COLS_MAX];
};

/* How many rows are taken as one, after a, b, m were filled for the first. */
static size_t repeat(struct run *run)
{
    size_t fold = run->stride == run->cols ? FAST_COLS_MAX / run->cols : 1;
    for (size_t j = run->cols; j < fold * run->cols; j++) {
        run->a[j] = run->a[j - run->cols];
        run->b[j] = run->b[j - run->cols];
        run->m[j] = run->m[j - run->cols];
    }
    return fold;
}

VEC8_INLINE void apply_rows(const struct run *run, bool has_relu, size_t fold, size_t first,
                            size_t end, const float *x, float *y)
{
    for (size_t r = first; r < end; r += fold) {
        size_t left = end - r;
        size_t n = run->cols * (left < fold ? left : fold);
        const float *from = x + r * run->stride;
        float *to = y + r * run->stride;
#pragma omp simd
        for (size_t j = 0; j < n; j++) {
            float v = (from[j] - run->m[j]) * run->a[j] + run->b[j];
            to[j] = has_relu && v < 0.0F ? 0.0F : v;
        }
    }
}

static void rows_plain(const struct run *run, size_t fold, size_t first, size_t end, const float *x,
                       float *y)
{
    apply_rows(run, false, fold, first, end, x, y);
}

static void rows_relu(const struct run *run, size_t fold, size_t first, size_t end, const float *x,
                      float *y)
{
    apply_rows(run, true, fold, first, end, x, y);
}

/* y = (x - m) * a + b, with a relu behind it or without */
static void apply(struct run *run, bool has_relu, const float *x, float *y)
{
    size_t fold = repeat(run);
    int parts = fast_parts(run->rows * run->cols);
#pragma omp parallel for schedule(static, 1) num_threads(parts) if (parts > 1)
    for (int p = 0; p < parts; p++) {
        (has_relu ? rows_relu : rows_plain)(run, fold, fast_parts_at(run->rows, p, parts, fold),
                                            fast_parts_at(run->rows, p + 1, parts, fold), x, y);
    }
}

static void fill_run(struct run *run, size_t c0, const float *gamma, const float *beta,
                     const float *mean, const double *inv)
{
    for (size_t c = 0; c < run->cols; c++) {
        run->a[c] = (float)(inv[c] * (gamma ? (double)gamma[c0 + c] : 1.0));
        run->b[c] = beta ? beta[c0 + c] : 0.0F;
        run->m[c] = mean[c0 + c];
    }
}

#define EACH_RUN(run)                                   \
    for (size_t c0 = 0; c0 < cols; c0 += FAST_COLS_MAX) \
        if ((run.cols = cols - c0 < FAST_COLS_MAX ? cols - c0 : FAST_COLS_MAX) > 0)

/* map NULL: no relu. */
static void train(size_t rows, size_t cols, float epsilon, const float *x, const float *gamma,
                  const float *beta, float *y, float *mean, float *variance, float *rstd,
                  float *map)
{
    struct run run = {.rows = rows, .stride = cols};
    EACH_RUN(run)
    {
        double total[FAST_COLS_MAX];
        double error[FAST_COLS_MAX];
        /* around the first row, so that a mean far from 0 costs no digits */
        memcpy(run.m, x + c0, sizeof(float) * run.cols);
        SHIFTED(rows, cols, run.cols, x + c0, run.m, total);
        for (size_t c = 0; c < run.cols; c++) {
            double mu = (double)run.m[c] + total[c] / (double)rows;
            mean[c0 + c] = (float)mu;
            error[c] = mu - (double)mean[c0 + c]; /* taken out of the squares and of y again */
        }
        SQUARES(rows, cols, run.cols, x + c0, mean + c0, total);
        for (size_t c = 0; c < run.cols; c++) {
            double var = total[c] / (double)rows - error[c] * error[c];
            var = var > 0.0 ? var : var * 0.0; /* NaN stays */
            variance[c0 + c] = (float)var;
            total[c] = 1.0 / sqrt(var + (double)epsilon);
            rstd[c0 + c] = (float)total[c];
        }
        fill_run(&run, c0, gamma, beta, mean, total);
        for (size_t c = 0; c < run.cols; c++) {
            run.b[c] = (float)((double)run.b[c] - error[c] * (double)run.a[c]);
        }
        if (map) {
            memcpy(map + c0, run.a, sizeof(float) * run.cols);
            memcpy(map + cols + c0, run.b, sizeof(float) * run.cols);
        }
        apply(&run, map != NULL, x + c0, y + c0);
    }
}

static void forward_train(size_t rows, size_t cols, float epsilon, const float *x,
                          const float *gamma, const float *beta, float *y, float *mean,
                          float *variance, float *rstd)
{
    train(rows, cols, epsilon, x, gamma, beta, y, mean, variance, rstd, NULL);
}

static void inverse(size_t cols, float epsilon, const float *variance, double *inv)
{
    for (size_t c = 0; c < cols; c++) {
        inv[c] = 1.0 / sqrt((double)variance[c] + (double)epsilon);
    }
}

static void forward_infer(size_t rows, size_t cols, float epsilon, const float *x,
                          const float *gamma, const float *beta, const float *mean,
                          const float *variance, float *y)
{
    struct run run = {.rows = rows, .stride = cols};
    EACH_RUN(run)
    {
        double inv[FAST_COLS_MAX];
        inverse(run.cols, epsilon, variance + c0, inv);
        fill_run(&run, c0, gamma, beta, mean, inv);
        apply(&run, false, x + c0, y + c0);
    }
}

/* What the gradient needs beside the run: the squares' share, and the relu's map or no one. */
struct slope {
    float s[FAST_COLS_MAX];
    bool has_map;
    float a[FAST_COLS_MAX], b[FAST_COLS_MAX];
};

VEC8_INLINE void gradient_rows(const struct run *run, const struct slope *slope, bool has_map,
                               size_t fold, size_t first, size_t end, const float *x,
                               const float *dy, float *dx)
{
    for (size_t r = first; r < end; r += fold) {
        size_t left = end - r;
        size_t n = run->cols * (left < fold ? left : fold);
        const float *xr = x + r * run->stride;
        const float *dyr = dy + r * run->stride;
        float *to = dx + r * run->stride;
#pragma omp simd
        for (size_t j = 0; j < n; j++) {
            float d = xr[j] - run->m[j], g = dyr[j];
            if (has_map) {
                g *= d * slope->a[j] + slope->b[j] > 0.0F ? 1.0F : 0.0F;
            }
            to[j] = (g - run->b[j] - d * slope->s[j]) * run->a[j];
        }
    }
}

static void gradient_plain(const struct run *run, const struct slope *slope, size_t fold,
                           size_t first, size_t end, const float *x, const float *dy, float *dx)
{
    gradient_rows(run, slope, false, fold, first, end, x, dy, dx);
}

static void gradient_mapped(const struct run *run, const struct slope *slope, size_t fold,
                            size_t first, size_t end, const float *x, const float *dy, float *dx)
{
    gradient_rows(run, slope, true, fold, first, end, x, dy, dx);
}

/* dx = (dy - b - (x - m) * s) * a: training mode's gradient in one pass. */
static void apply_gradient(struct run *run, struct slope *slope, const float *x, const float *dy,
                           float *dx)
{
    size_t fold = repeat(run);
    for (size_t j = run->cols; j < fold * run->cols; j++) {
        slope->s[j] = slope->s[j - run->cols];
        slope->a[j] = slope->a[j - run->cols];
        slope->b[j] = slope->b[j - run->cols];
    }
    int parts = fast_parts(run->rows * run->cols);
#pragma omp parallel for schedule(static, 1) num_threads(parts) if (parts > 1)
    for (int p = 0; p < parts; p++) {
        (slope->has_map ? gradient_mapped : gradient_plain)(
            run, slope, fold, fast_parts_at(run->rows, p, parts, fold),
            fast_parts_at(run->rows, p + 1, parts, fold), x, dy, dx);
    }
}

static void store(size_t n, float *to, const double *from, const double *factor)
{
    for (size_t c = 0; to && c < n; c++) {
        to[c] = (float)(factor ? from[c] * factor[c] : from[c]);
    }
}

static void take_map(struct slope *slope, const float *map, size_t cols, size_t c0, size_t n)
{
    slope->has_map = map != NULL;
    memset(slope->a, 0, sizeof(slope->a));
    memset(slope->b, 0, sizeof(slope->b));
    if (map) {
        memcpy(slope->a, map + c0, sizeof(float) * n);
        memcpy(slope->b, map + cols + c0, sizeof(float) * n);
    }
}

/* map NULL: no relu. */
static void train_back(size_t rows, size_t cols, const float *x, const float *gamma,
                       const float *mean, const float *rstd, const float *map, const float *dy,
                       float *dx, float *dgamma, float *dbeta)
{
    struct run run = {.rows = rows, .stride = cols};
    struct slope slope;
    double n = (double)rows;
    EACH_RUN(run)
    {
        double sum[FAST_COLS_MAX];
        double dot[FAST_COLS_MAX];
        double inv[FAST_COLS_MAX];
        take_map(&slope, map, cols, c0, run.cols);
        const struct fast_cols_gradient of = {.x = x + c0,
                                              .mean = mean + c0,
                                              .dy = dy + c0,
                                              .a = map ? slope.a : NULL,
                                              .b = map ? slope.b : NULL};
        GRADIENT(rows, cols, run.cols, &of, sum, dot);
        for (size_t c = 0; c < run.cols; c++) {
            inv[c] = (double)rstd[c0 + c];
        }
        store(run.cols, dbeta ? dbeta + c0 : NULL, sum, NULL);
        store(run.cols, dgamma ? dgamma + c0 : NULL, dot, inv);
        fill_run(&run, c0, gamma, NULL, mean, inv);
        for (size_t c = 0; c < run.cols; c++) {
            run.b[c] = (float)(sum[c] / n);
            slope.s[c] = (float)(dot[c] * inv[c] * inv[c] / n);
        }
        if (dx) {
            apply_gradient(&run, &slope, x + c0, dy + c0, dx + c0);
        }
    }
}

static void backward_train(size_t rows, size_t cols, const float *x, const float *gamma,
                           const float *mean, const float *rstd, const float *dy, float *dx,
                           float *dgamma, float *dbeta)
{
    train_back(rows, cols, x, gamma, mean, rstd, NULL, dy, dx, dgamma, dbeta);
}

/* Where the relu was open is computed from x again, bit for bit as forward: y is not read. */
static void backward_relu(size_t rows, size_t cols, const float *x, const float *gamma,
                          const float *mean, const float *rstd, const float *map, const float *y,
                          const float *dy, float *dx, float *dgamma, float *dbeta)
{
    (void)y;
    train_back(rows, cols, x, gamma, mean, rstd, map, dy, dx, dgamma, dbeta);
}

static void backward_infer(size_t rows, size_t cols, float epsilon, const float *x,
                           const float *gamma, const float *mean, const float *variance,
                           const float *dy, float *dx, float *dgamma, float *dbeta)
{
    struct run run = {.rows = rows, .stride = cols};
    EACH_RUN(run)
    {
        double sum[FAST_COLS_MAX];
        double inv[FAST_COLS_MAX];
        inverse(run.cols, epsilon, variance + c0, inv);
        SUM(rows, cols, run.cols, dy + c0, sum);
        store(run.cols, dbeta ? dbeta + c0 : NULL, sum, NULL);
        if (dgamma) {
            DOT(rows, cols, run.cols, x + c0, mean + c0, dy + c0, sum);
            store(run.cols, dgamma + c0, sum, inv);
        }
        fill_run(&run, c0, gamma, NULL, mean, inv);
        for (size_t c = 0; c < run.cols; c++) {
            run.m[c] = 0.0F;
        }
        if (dx) {
            apply(&run, false, dy + c0, dx + c0);
        }
    }
}

const struct kernel_norm_ops VEC8_NAME(fast_norm) = {
    .forward_train = forward_train,
    .forward_infer = forward_infer,
    .backward_train = backward_train,
    .backward_infer = backward_infer,
};

const struct kernel_norm_relu_ops VEC8_NAME(fast_norm_relu) = {
    .forward = train,
    .backward = backward_relu,
};
