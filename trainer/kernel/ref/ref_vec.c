/* Flat vectors. Elementwise results are the correctly rounded float operations, one by one, so that
 * any vector version is equal bit for bit; sums are in double from first to last. */
#include "trainer/kernel/backends.h"

#include <math.h>

static void fill(size_t count, float value, float *y)
{
    for (size_t i = 0; i < count; i++) {
        y[i] = value;
    }
}

static void add(size_t count, const float *x, const float *y, float *z)
{
    for (size_t i = 0; i < count; i++) {
        z[i] = x[i] + y[i];
    }
}

static float relu(float x)
{
    return x < 0.0F ? 0.0F : x;
}

static void add_relu(size_t count, const float *x, const float *y, float *z)
{
    for (size_t i = 0; i < count; i++) {
        z[i] = relu(x[i] + y[i]);
    }
}

static void relu_split(size_t count, const float *y, const float *dy, float *a, float *b)
{
    for (size_t i = 0; i < count; i++) {
        a[i] = dy[i] * (y[i] > 0.0F ? 1.0F : 0.0F);
        if (b) {
            b[i] = a[i];
        }
    }
}

static void sub(size_t count, const float *x, const float *y, float *z)
{
    for (size_t i = 0; i < count; i++) {
        z[i] = x[i] - y[i];
    }
}

static void mul(size_t count, const float *x, const float *y, float *z)
{
    for (size_t i = 0; i < count; i++) {
        z[i] = x[i] * y[i];
    }
}

static void scale(size_t count, float a, const float *x, float *y)
{
    for (size_t i = 0; i < count; i++) {
        y[i] = a * x[i];
    }
}

static void affine(size_t count, float a, float b, const float *x, float *y)
{
    for (size_t i = 0; i < count; i++) {
        y[i] = a * x[i] + b;
    }
}

static void axpy(size_t count, float a, const float *x, float *y)
{
    for (size_t i = 0; i < count; i++) {
        y[i] += a * x[i];
    }
}

static void lerp(size_t count, float a, const float *x, float *y)
{
    for (size_t i = 0; i < count; i++) {
        y[i] = y[i] * a + x[i] * (1.0F - a);
    }
}

static void clip(size_t count, float lo, float hi, const float *x, float *y)
{
    for (size_t i = 0; i < count; i++) {
        float v = x[i] < lo ? lo : x[i];
        y[i] = v > hi ? hi : v;
    }
}

static void row_add(size_t rows, size_t cols, const float *x, const float *b, float *y)
{
    for (size_t r = 0; r < rows; r++, x += cols, y += cols) {
        add(cols, x, b, y);
    }
}

static void row_affine(size_t rows, size_t cols, const float *x, const float *a, const float *b,
                       float *y)
{
    for (size_t r = 0; r < rows; r++, x += cols, y += cols) {
        for (size_t c = 0; c < cols; c++) {
            y[c] = x[c] * a[c] + b[c];
        }
    }
}

static double sum(size_t count, const float *x)
{
    double s = 0.0;
    for (size_t i = 0; i < count; i++) {
        s += (double)x[i];
    }
    return s;
}

static double dot(size_t count, const float *x, const float *y)
{
    double s = 0.0;
    for (size_t i = 0; i < count; i++) {
        s += (double)x[i] * (double)y[i];
    }
    return s;
}

static double sum_squares(size_t count, const float *x)
{
    return dot(count, x, x);
}

static bool is_finite(size_t count, const float *x)
{
    bool finite = true;
    for (size_t i = 0; i < count; i++) {
        finite = finite && isfinite(x[i]);
    }
    return finite;
}

static void col_sum(size_t rows, size_t cols, const float *x, float *y)
{
    for (size_t c = 0; c < cols; c++) {
        double s = 0.0;
        for (size_t r = 0; r < rows; r++) {
            s += (double)x[r * cols + c];
        }
        y[c] = (float)s;
    }
}

const struct kernel_vec_ops ref_vec = {
    .fill = fill,
    .add = add,
    .add_relu = add_relu,
    .relu_split = relu_split,
    .sub = sub,
    .mul = mul,
    .scale = scale,
    .affine = affine,
    .axpy = axpy,
    .lerp = lerp,
    .clip = clip,
    .row_add = row_add,
    .row_affine = row_affine,
    .sum = sum,
    .sum_squares = sum_squares,
    .dot = dot,
    .is_finite = is_finite,
    .col_sum = col_sum,
};

static void sgd(size_t count, float rate, float momentum, bool nesterov, const float *g,
                float *velocity, float *w)
{
    for (size_t i = 0; i < count; i++) {
        float step = rate * g[i];
        if (!velocity) {
            w[i] -= step;
            continue;
        }
        velocity[i] = momentum * velocity[i] - step;
        w[i] += nesterov ? momentum * velocity[i] - step : velocity[i];
    }
}

static void adam(size_t count, float alpha, float beta1, float beta2, float epsilon, const float *g,
                 float *m, float *v, float *vhat, float *w)
{
    for (size_t i = 0; i < count; i++) {
        m[i] += (g[i] - m[i]) * (1.0F - beta1);
        v[i] += (g[i] * g[i] - v[i]) * (1.0F - beta2);
        float second = v[i];
        if (vhat) {
            vhat[i] = vhat[i] > second ? vhat[i] : second;
            second = vhat[i];
        }
        w[i] -= m[i] * alpha / (sqrtf(second) + epsilon);
    }
}

const struct kernel_optim_ops ref_optim = {.sgd = sgd, .adam = adam};
