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

/* Euclidean projection on the simplex (Martins and Astudillo 2016): y = max(x - tau, 0) with sum 1.
 * tau by bisection of the exact support: repeatedly drop what is below the tau of those left; ends
 * after at most cols rounds. */
static void sparsemax_row(size_t cols, const float *x, float *y)
{
    double max = (double)row_max(cols, x);
    double tau = -INFINITY;
    for (size_t round = 0; round <= cols; round++) {
        double sum = 0.0;
        size_t n = 0;
        for (size_t j = 0; j < cols; j++) {
            if ((double)x[j] - max > tau) {
                sum += (double)x[j] - max;
                n++;
            }
        }
        double next = (sum - 1.0) / (double)(n ? n : 1);
        if (!(next > tau)) {
            break;
        }
        tau = next;
    }
    for (size_t j = 0; j < cols; j++) {
        double v = (double)x[j] - max - tau;
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
    double sum = 0.0;
    size_t support = 0;
    for (size_t j = 0; j < cols; j++) {
        switch ((int)kind) {
        case KERNEL_ROWS_SOFTMAX: sum += (double)y[j] * (double)dy[j]; break;
        case KERNEL_ROWS_LOG_SOFTMAX: sum += (double)dy[j]; break;
        default:
            if (y[j] > 0.0F) {
                sum += (double)dy[j];
                support++;
            }
        }
    }
    for (size_t j = 0; j < cols; j++) {
        double g = (double)dy[j];
        switch ((int)kind) {
        case KERNEL_ROWS_SOFTMAX: g = (double)y[j] * (g - sum); break;
        case KERNEL_ROWS_LOG_SOFTMAX: g -= math_exp((double)y[j]) * sum; break;
        default: g = y[j] > 0.0F ? g - sum / (double)support : 0.0;
        }
        dx[j] = (float)g;
    }
}

void ref_rows_backward(enum kernel_rows_kind kind, size_t rows, size_t cols, const float *y,
                       const float *dy, float *dx)
{
    for (size_t r = 0; r < rows; r++) {
        backward_row(kind, cols, y + r * cols, dy + r * cols, dx + r * cols);
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
