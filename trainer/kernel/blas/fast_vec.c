/* Flat vectors for the vectoriser. Elementwise: the same operations as ref_vec.c, so the same bits
 * (no contraction in this file). ivdep: arrays are either the same or apart. */
#include "trainer/kernel/blas/blas.h"
#include "trainer/kernel/blas/fast_parts.h"
#include "trainer/kernel/blas/vec8.h"

#include <math.h>

#define EACH(statement)                                    \
    _Pragma("omp simd") for (size_t i = 0; i < count; i++) \
    {                                                      \
        statement;                                         \
    }

static void fill(size_t count, float value, float *y)
{
    EACH(y[i] = value)
}

static void add_part(size_t count, const float *x, const float *y, float *z)
{
    EACH(z[i] = x[i] + y[i])
}

/* The one that is long in a step: shortcuts and gradients that meet. */
static void add(size_t count, const float *x, const float *y, float *z)
{
    int parts = fast_parts(count);
#pragma omp parallel for schedule(static, 1) num_threads(parts) if (parts > 1)
    for (int p = 0; p < parts; p++) {
        size_t first = fast_parts_at(count, p, parts, 16);
        add_part(fast_parts_at(count, p + 1, parts, 16) - first, x + first, y + first, z + first);
    }
}

static void add_relu_part(size_t count, const float *x, const float *y, float *z)
{
    EACH(float sum = x[i] + y[i]; z[i] = sum < 0.0F ? 0.0F : sum)
}

static void add_relu(size_t count, const float *x, const float *y, float *z)
{
    int parts = fast_parts(count);
#pragma omp parallel for schedule(static, 1) num_threads(parts) if (parts > 1)
    for (int p = 0; p < parts; p++) {
        size_t first = fast_parts_at(count, p, parts, 16);
        add_relu_part(fast_parts_at(count, p + 1, parts, 16) - first, x + first, y + first,
                      z + first);
    }
}

static void relu_split_part(size_t count, const float *y, const float *dy, float *a, float *b)
{
    if (b) {
        EACH(float g = dy[i] * (y[i] > 0.0F ? 1.0F : 0.0F); a[i] = g; b[i] = g)
    } else {
        EACH(a[i] = dy[i] * (y[i] > 0.0F ? 1.0F : 0.0F))
    }
}

static void relu_split(size_t count, const float *y, const float *dy, float *a, float *b)
{
    int parts = fast_parts(count);
#pragma omp parallel for schedule(static, 1) num_threads(parts) if (parts > 1)
    for (int p = 0; p < parts; p++) {
        size_t first = fast_parts_at(count, p, parts, 16);
        relu_split_part(fast_parts_at(count, p + 1, parts, 16) - first, y + first, dy + first,
                        a + first, b ? b + first : NULL);
    }
}

static void sub(size_t count, const float *x, const float *y, float *z)
{
    EACH(z[i] = x[i] - y[i])
}

static void mul(size_t count, const float *x, const float *y, float *z)
{
    EACH(z[i] = x[i] * y[i])
}

static void scale(size_t count, float a, const float *x, float *y)
{
    EACH(y[i] = a * x[i])
}

static void affine(size_t count, float a, float b, const float *x, float *y)
{
    EACH(y[i] = a * x[i] + b)
}

static void axpy(size_t count, float a, const float *x, float *y)
{
    EACH(y[i] += a * x[i])
}

static void lerp(size_t count, float a, const float *x, float *y)
{
    EACH(y[i] = y[i] * a + x[i] * (1.0F - a))
}

static void clip(size_t count, float lo, float hi, const float *x, float *y)
{
    vec8 low = vec8_set(lo);
    vec8 high = vec8_set(hi);
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        vec8 v = vec8_load(x + i);
        v = vec8_select(v < low, low, v);
        vec8_store(y + i, vec8_select(v > high, high, v));
    }
    for (; i < count; i++) {
        float v = x[i] < lo ? lo : x[i];
        y[i] = v > hi ? hi : v;
    }
}

/* Narrow rows are too short for the vectoriser: the vector is written out to many rows first. */
#define ROW_FLAT 256

static size_t spread(size_t cols, const float *b, float *flat)
{
    size_t n = ROW_FLAT / cols;
    for (size_t r = 0; r < n; r++) {
        memcpy(flat + r * cols, b, sizeof(float) * cols);
    }
    return n;
}

static void row_add(size_t rows, size_t cols, const float *x, const float *b, float *y)
{
    float flat[ROW_FLAT];
    size_t n = 1;
    if (cols <= ROW_FLAT / 4) {
        n = spread(cols, b, flat);
        b = flat;
    }
    for (size_t r = 0; r < rows; r += n) {
        size_t count = cols * (rows - r < n ? rows - r : n);
        add(count, x + r * cols, b, y + r * cols);
    }
}

static void multiply_add(size_t count, const float *x, const float *a, const float *b, float *y)
{
    EACH(y[i] = x[i] * a[i] + b[i])
}

static void row_affine(size_t rows, size_t cols, const float *x, const float *a, const float *b,
                       float *y)
{
    float flat_a[ROW_FLAT];
    float flat_b[ROW_FLAT];
    size_t n = 1;
    if (cols <= ROW_FLAT / 4) {
        n = spread(cols, a, flat_a);
        spread(cols, b, flat_b);
        a = flat_a;
        b = flat_b;
    }
    for (size_t r = 0; r < rows; r += n) {
        size_t count = cols * (rows - r < n ? rows - r : n);
        multiply_add(count, x + r * cols, a, b, y + r * cols);
    }
}

/* 16 sums in double, added up in the order of their lanes. */
static double dot(size_t count, const float *x, const float *y)
{
    double lanes[16] = {0};
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        for (size_t j = 0; j < 16; j++) {
            lanes[j] += (double)x[i + j] * (double)y[i + j];
        }
    }
    for (; i < count; i++) {
        lanes[i % 16] += (double)x[i] * (double)y[i];
    }
    double total = 0.0;
    for (size_t j = 0; j < 16; j++) {
        total += lanes[j];
    }
    return total;
}

static double sum(size_t count, const float *x)
{
    double lanes[16] = {0};
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        for (size_t j = 0; j < 16; j++) {
            lanes[j] += (double)x[i + j];
        }
    }
    for (; i < count; i++) {
        lanes[i % 16] += (double)x[i];
    }
    double total = 0.0;
    for (size_t j = 0; j < 16; j++) {
        total += lanes[j];
    }
    return total;
}

static double sum_squares(size_t count, const float *x)
{
    return dot(count, x, x);
}

/* An exponent of all ones is an infinity or NaN. */
static bool is_finite(size_t count, const float *x)
{
    uint32_t bad = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, sizeof(bits));
        bad |= (bits & 0x7f800000U) == 0x7f800000U;
    }
    return bad == 0;
}

static void col_sum(size_t rows, size_t cols, const float *x, float *y)
{
    double total[FAST_COLS_MAX];
    for (size_t c0 = 0; c0 < cols; c0 += FAST_COLS_MAX) {
        size_t n = cols - c0 < FAST_COLS_MAX ? cols - c0 : FAST_COLS_MAX;
        VEC8_NAME(fast_cols_sum)(rows, cols, n, x + c0, total);
        for (size_t c = 0; c < n; c++) {
            y[c0 + c] = (float)total[c];
        }
    }
}

const struct kernel_vec_ops VEC8_NAME(fast_vec) = {
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
