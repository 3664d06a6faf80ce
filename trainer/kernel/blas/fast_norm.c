/* Batch normalization in passes down the rows, at most FAST_COLS_MAX columns at a time. */
#include "trainer/kernel/blas/blas.h"
#include "trainer/kernel/blas/fast_parts.h"
#include "trainer/kernel/blas/vec8.h"

#include <math.h>

#define SUM     VEC8_NAME(fast_cols_sum)
#define SQUARES VEC8_NAME(fast_cols_squares)
#define SHIFTED VEC8_NAME(fast_cols_shifted)
#define DOT     VEC8_NAME(fast_cols_dot)

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

static void apply_rows(const struct run *run, size_t fold, size_t first, size_t end, const float *x,
                       float *y)
{
    for (size_t r = first; r < end; r += fold) {
        size_t left = end - r;
        size_t n = run->cols * (left < fold ? left : fold);
        const float *from = x + r * run->stride;
        float *to = y + r * run->stride;
#pragma omp simd
        for (size_t j = 0; j < n; j++) {
            to[j] = (from[j] - run->m[j]) * run->a[j] + run->b[j];
        }
    }
}

/* y = (x - m) * a + b */
static void apply(struct run *run, const float *x, float *y)
{
    size_t fold = repeat(run);
    int parts = fast_parts(run->rows * run->cols);
#pragma omp parallel for schedule(static, 1) num_threads(parts) if (parts > 1)
    for (int p = 0; p < parts; p++) {
        apply_rows(run, fold, fast_parts_at(run->rows, p, parts, fold),
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

static void forward_train(size_t rows, size_t cols, float epsilon, const float *x,
                          const float *gamma, const float *beta, float *y, float *mean,
                          float *variance, float *rstd)
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
        apply(&run, x + c0, y + c0);
    }
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
        apply(&run, x + c0, y + c0);
    }
}

static void gradient_rows(const struct run *run, const float *s, size_t fold, size_t first,
                          size_t end, const float *x, const float *dy, float *dx)
{
    for (size_t r = first; r < end; r += fold) {
        size_t left = end - r;
        size_t n = run->cols * (left < fold ? left : fold);
        const float *xr = x + r * run->stride;
        const float *dyr = dy + r * run->stride;
        float *to = dx + r * run->stride;
#pragma omp simd
        for (size_t j = 0; j < n; j++) {
            to[j] = (dyr[j] - run->b[j] - (xr[j] - run->m[j]) * s[j]) * run->a[j];
        }
    }
}

/* dx = (dy - b - (x - m) * s) * a: training mode's gradient in one pass. s has room for
 * FAST_COLS_MAX. */
static void apply_gradient(struct run *run, float *s, const float *x, const float *dy, float *dx)
{
    size_t fold = repeat(run);
    for (size_t j = run->cols; j < fold * run->cols; j++) {
        s[j] = s[j - run->cols];
    }
    int parts = fast_parts(run->rows * run->cols);
#pragma omp parallel for schedule(static, 1) num_threads(parts) if (parts > 1)
    for (int p = 0; p < parts; p++) {
        gradient_rows(run, s, fold, fast_parts_at(run->rows, p, parts, fold),
                      fast_parts_at(run->rows, p + 1, parts, fold), x, dy, dx);
    }
}

static void store(size_t n, float *to, const double *from, const double *factor)
{
    for (size_t c = 0; to && c < n; c++) {
        to[c] = (float)(factor ? from[c] * factor[c] : from[c]);
    }
}

static void backward_train(size_t rows, size_t cols, const float *x, const float *gamma,
                           const float *mean, const float *rstd, const float *dy, float *dx,
                           float *dgamma, float *dbeta)
{
    struct run run = {.rows = rows, .stride = cols};
    double n = (double)rows;
    EACH_RUN(run)
    {
        double sum[FAST_COLS_MAX];
        double dot[FAST_COLS_MAX];
        double inv[FAST_COLS_MAX];
        float s[FAST_COLS_MAX];
        SUM(rows, cols, run.cols, dy + c0, sum);
        DOT(rows, cols, run.cols, x + c0, mean + c0, dy + c0, dot);
        for (size_t c = 0; c < run.cols; c++) {
            inv[c] = (double)rstd[c0 + c];
        }
        store(run.cols, dbeta ? dbeta + c0 : NULL, sum, NULL);
        store(run.cols, dgamma ? dgamma + c0 : NULL, dot, inv);
        fill_run(&run, c0, gamma, NULL, mean, inv);
        for (size_t c = 0; c < run.cols; c++) {
            run.b[c] = (float)(sum[c] / n);
            s[c] = (float)(dot[c] * inv[c] * inv[c] / n);
        }
        if (dx) {
            apply_gradient(&run, s, x + c0, dy + c0, dx + c0);
        }
    }
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
            apply(&run, dy + c0, dx + c0);
        }
    }
}

const struct kernel_norm_ops VEC8_NAME(fast_norm) = {
    .forward_train = forward_train,
    .forward_infer = forward_infer,
    .backward_train = backward_train,
    .backward_infer = backward_infer,
};
