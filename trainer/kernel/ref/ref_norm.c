/* Batch normalization as its definition, a column at a time, statistics in double. */
#include "trainer/kernel/backends.h"

#include <math.h>

static float at(const float *v, size_t c, float otherwise)
{
    return v ? v[c] : otherwise;
}

static void forward_train(size_t rows, size_t cols, float epsilon, const float *x,
                          const float *gamma, const float *beta, float *y, float *mean,
                          float *variance, float *rstd)
{
    for (size_t c = 0; c < cols; c++) {
        double sum = 0.0;
        for (size_t r = 0; r < rows; r++) {
            sum += (double)x[r * cols + c];
        }
        double mu = sum / (double)rows;
        double squares = 0.0;
        for (size_t r = 0; r < rows; r++) {
            double d = (double)x[r * cols + c] - mu;
            squares += d * d;
        }
        double var = squares / (double)rows;
        double inv = 1.0 / sqrt(var + (double)epsilon);
        mean[c] = (float)mu;
        variance[c] = (float)var;
        rstd[c] = (float)inv;
        for (size_t r = 0; r < rows; r++) {
            double v = ((double)x[r * cols + c] - mu) * inv;
            y[r * cols + c] = (float)(v * (double)at(gamma, c, 1.0F) + (double)at(beta, c, 0.0F));
        }
    }
}

static void forward_infer(size_t rows, size_t cols, float epsilon, const float *x,
                          const float *gamma, const float *beta, const float *mean,
                          const float *variance, float *y)
{
    for (size_t c = 0; c < cols; c++) {
        double inv = 1.0 / sqrt((double)variance[c] + (double)epsilon);
        for (size_t r = 0; r < rows; r++) {
            double v = ((double)x[r * cols + c] - (double)mean[c]) * inv;
            y[r * cols + c] = (float)(v * (double)at(gamma, c, 1.0F) + (double)at(beta, c, 0.0F));
        }
    }
}

/* Column c: sum of dy, and of dy * xhat. */
static void column_sums(size_t rows, size_t cols, size_t c, double mean, double inv, const float *x,
                        const float *dy, double *ret_dy, double *ret_dy_xhat)
{
    double sum = 0.0;
    double sum_xhat = 0.0;
    for (size_t r = 0; r < rows; r++) {
        double g = (double)dy[r * cols + c];
        sum += g;
        sum_xhat += g * ((double)x[r * cols + c] - mean) * inv;
    }
    *ret_dy = sum;
    *ret_dy_xhat = sum_xhat;
}

static void set(float *v, size_t c, double value)
{
    if (v) {
        v[c] = (float)value;
    }
}

static void backward_train(size_t rows, size_t cols, const float *x, const float *gamma,
                           const float *mean, const float *rstd, const float *dy, float *dx,
                           float *dgamma, float *dbeta)
{
    for (size_t c = 0; c < cols; c++) {
        double mu = (double)mean[c];
        double inv = (double)rstd[c];
        double sum;
        double sum_xhat;
        column_sums(rows, cols, c, mu, inv, x, dy, &sum, &sum_xhat);
        set(dbeta, c, sum);
        set(dgamma, c, sum_xhat);
        double n = (double)rows;
        for (size_t r = 0; r < rows && dx; r++) {
            double xhat = ((double)x[r * cols + c] - mu) * inv;
            double g = (double)dy[r * cols + c] - sum / n - xhat * sum_xhat / n;
            dx[r * cols + c] = (float)(g * inv * (double)at(gamma, c, 1.0F));
        }
    }
}

static void backward_infer(size_t rows, size_t cols, float epsilon, const float *x,
                           const float *gamma, const float *mean, const float *variance,
                           const float *dy, float *dx, float *dgamma, float *dbeta)
{
    for (size_t c = 0; c < cols; c++) {
        double inv = 1.0 / sqrt((double)variance[c] + (double)epsilon);
        double sum;
        double sum_xhat;
        column_sums(rows, cols, c, (double)mean[c], inv, x, dy, &sum, &sum_xhat);
        set(dbeta, c, sum);
        set(dgamma, c, sum_xhat);
        for (size_t r = 0; r < rows && dx; r++) {
            dx[r * cols + c] = (float)((double)dy[r * cols + c] * inv * (double)at(gamma, c, 1.0F));
        }
    }
}

const struct kernel_norm_ops ref_norm = {
    .forward_train = forward_train,
    .forward_infer = forward_infer,
    .backward_train = backward_train,
    .backward_infer = backward_infer,
};

/* map is not used: y says where the relu was open. */
static void forward_relu(size_t rows, size_t cols, float epsilon, const float *x,
                         const float *gamma, const float *beta, float *y, float *mean,
                         float *variance, float *rstd, float *map)
{
    (void)map;
    forward_train(rows, cols, epsilon, x, gamma, beta, y, mean, variance, rstd);
    for (size_t i = 0; i < rows * cols; i++) {
        y[i] = y[i] < 0.0F ? 0.0F : y[i];
    }
}

static float open_dy(const float *y, const float *dy, size_t i)
{
    return dy[i] * (y[i] > 0.0F ? 1.0F : 0.0F);
}

static void backward_relu(size_t rows, size_t cols, const float *x, const float *gamma,
                          const float *mean, const float *rstd, const float *map, const float *y,
                          const float *dy, float *dx, float *dgamma, float *dbeta)
{
    (void)map;
    for (size_t c = 0; c < cols; c++) {
        double mu = (double)mean[c], inv = (double)rstd[c], sum = 0.0, sum_xhat = 0.0;
        double n = (double)rows;
        for (size_t i = c; i < rows * cols; i += cols) {
            double g = (double)open_dy(y, dy, i);
            sum += g;
            sum_xhat += g * ((double)x[i] - mu) * inv;
        }
        set(dbeta, c, sum);
        set(dgamma, c, sum_xhat);
        for (size_t i = c; i < rows * cols && dx; i += cols) {
            double xhat = ((double)x[i] - mu) * inv;
            double g = (double)open_dy(y, dy, i) - sum / n - xhat * sum_xhat / n;
            dx[i] = (float)(g * inv * (double)at(gamma, c, 1.0F));
        }
    }
}

const struct kernel_norm_relu_ops ref_norm_relu = {
    .forward = forward_relu,
    .backward = backward_relu,
};
