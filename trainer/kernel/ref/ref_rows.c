/* Functions over the last axis and softmax with cross-entropy. */
#include "base/math.h"
#include "trainer/kernel/backends.h"

#include <math.h>

static float row_max(size_t cols, const float *x)
{
    float max = x[0];
    for (size_t j = 1; j < cols; j++) {
        max = x[j] > max ? x[j] : max;
    }
    return max;
}

/* Returns log sum exp(x - max). */
static double row_log_sum(size_t cols, const float *x, float max)
{
    double sum = 0.0;
    for (size_t j = 0; j < cols; j++) {
        sum += math_exp((double)x[j] - (double)max);
    }
    return math_log(sum);
}

/* Element j's place in the row from greatest to least (the first of equals before the others), and
 * the sum down to it. */
static size_t rank_of(size_t cols, const float *x, size_t j, double *ret_sum)
{
    size_t rank = 0;
    double sum = (double)x[j];
    for (size_t i = 0; i < cols; i++) {
        if (x[i] > x[j] || (x[i] == x[j] && i < j)) {
            rank++;
            sum += (double)x[i];
        }
    }
    *ret_sum = sum;
    return rank;
}

/* Whether element j is in the support: 1 + r z > sum of the r greatest (Martins and Astudillo
 * 2016). */
static bool is_support(size_t cols, const float *x, size_t j, size_t *ret_rank, double *ret_sum)
{
    *ret_rank = rank_of(cols, x, j, ret_sum);
    return 1.0 + (double)(*ret_rank + 1) * (double)x[j] - *ret_sum > 0.0;
}

/* Keras adds up all the partial sums of the support where the paper takes the last one; so do we.
 */
static double sparsemax_threshold(size_t cols, const float *x, size_t *ret_support)
{
    double total = 0.0;
    size_t support = 0;
    for (size_t j = 0; j < cols; j++) {
        size_t rank;
        double sum;
        if (is_support(cols, x, j, &rank, &sum)) {
            total += sum;
            support++;
        }
    }
    *ret_support = support;
    return (total - 1.0) / (double)support;
}

static void sparsemax_row(size_t cols, const float *x, float *y)
{
    size_t support;
    double threshold = sparsemax_threshold(cols, x, &support);
    for (size_t j = 0; j < cols; j++) {
        double v = (double)x[j] - threshold;
        y[j] = v > 0.0 ? (float)v : 0.0F;
    }
}

void ref_rows_forward(enum kernel_rows_kind kind, size_t rows, size_t cols, const float *x,
                      float *y)
{
    for (size_t r = 0; r < rows; r++, x += cols, y += cols) {
        if (kind == KERNEL_ROWS_SPARSEMAX) {
            sparsemax_row(cols, x, y);
            continue;
        }
        float max = row_max(cols, x);
        double log_sum = row_log_sum(cols, x, max);
        for (size_t j = 0; j < cols; j++) {
            double v = (double)x[j] - (double)max - log_sum;
            y[j] = (float)(kind == KERNEL_ROWS_SOFTMAX ? math_exp(v) : v);
        }
    }
}

static void backward_row(enum kernel_rows_kind kind, size_t cols, const float *y, const float *dy,
                         float *dx)
{
    BUG_ON(kind == KERNEL_ROWS_SPARSEMAX);
    bool is_log = kind == KERNEL_ROWS_LOG_SOFTMAX;
    double sum = 0.0;
    for (size_t j = 0; j < cols; j++) {
        sum += is_log ? (double)dy[j] : (double)y[j] * (double)dy[j];
    }
    for (size_t j = 0; j < cols; j++) {
        double g = (double)dy[j];
        dx[j] = (float)(is_log ? g - math_exp((double)y[j]) * sum : (double)y[j] * (g - sum));
    }
}

void ref_rows_backward(enum kernel_rows_kind kind, size_t rows, size_t cols, const float *y,
                       const float *dy, float *dx)
{
    for (size_t r = 0; r < rows; r++) {
        backward_row(kind, cols, y + r * cols, dy + r * cols, dx + r * cols);
    }
}

void ref_rows_sparsemax_backward(size_t rows, size_t cols, const float *x, const float *dy,
                                 float *dx)
{
    for (size_t r = 0; r < rows; r++, x += cols, dy += cols, dx += cols) {
        size_t support;
        double threshold = sparsemax_threshold(cols, x, &support);
        double sum = 0.0;
        for (size_t j = 0; j < cols; j++) {
            sum += (double)x[j] > threshold ? (double)dy[j] : 0.0;
        }
        for (size_t j = 0; j < cols; j++) {
            size_t rank;
            double part;
            double g = (double)x[j] > threshold ? (double)dy[j] : 0.0;
            if (is_support(cols, x, j, &rank, &part)) {
                g -= sum * (double)(support - rank) / (double)support;
            }
            dx[j] = (float)g;
        }
    }
}

/* Everything of row r; targets may be NULL. */
static void xent_row(const struct kernel_xent_args *args, size_t r)
{
    size_t cols = args->cols;
    const float *x = args->logits + r * cols;
    const float *t = args->targets ? args->targets + r * cols : NULL;
    int label = t ? 0 : args->labels[r];
    float max = row_max(cols, x);
    double log_sum = row_log_sum(cols, x, max);
    double loss = 0.0;
    double target_sum = 0.0;
    for (size_t j = 0; j < cols; j++) {
        double target = t ? (double)t[j] : (int64_t)j == label ? 1.0 : 0.0;
        /* 0 * -inf is not wanted: an impossible class that nobody asked for costs nothing */
        loss -= target != 0.0 ? target * ((double)x[j] - (double)max - log_sum) : 0.0;
        target_sum += target;
    }
    if (args->loss) {
        args->loss[r] = label < 0 ? 0.0F : (float)loss;
    }
    double scale = label < 0 ? 0.0 : (double)args->scale[r];
    for (size_t j = 0; j < cols; j++) {
        double target = t ? (double)t[j] : (int64_t)j == label ? 1.0 : 0.0;
        double p = math_exp((double)x[j] - (double)max - log_sum);
        if (args->dlogits) {
            args->dlogits[r * cols + j] = (float)(scale * (p * target_sum - target));
        }
        if (args->probs) {
            args->probs[r * cols + j] = (float)p;
        }
    }
}

void ref_rows_xent(const struct kernel_xent_args *args)
{
    for (size_t r = 0; r < args->rows; r++) {
        xent_row(args, r);
    }
}
