#include "trainer/kernel/blas/fast_cols.h"

#include "trainer/kernel/blas/fast_parts.h"
#include "trainer/kernel/blas/vec8.h"

#include <stdbool.h>

enum term { TERM_SUM, TERM_SHIFTED, TERM_SQUARES, TERM_DOT };

/* acc[j] += term, for one row of `width`. */
VEC8_INLINE void add_row(enum term term, size_t width, const float *restrict x,
                         const float *restrict mean, const float *restrict dy, float *restrict acc)
{
    for (size_t j = 0; j < width; j++) {
        switch (term) {
        case TERM_SUM: acc[j] += x[j]; break;
        case TERM_SHIFTED: acc[j] += x[j] - mean[j]; break;
        case TERM_SQUARES: acc[j] += (x[j] - mean[j]) * (x[j] - mean[j]); break;
        case TERM_DOT: acc[j] += dy[j] * (x[j] - mean[j]); break;
        }
    }
}

/* Rows that lie behind each other (stride == cols) are taken `fold` at a time. */
VEC8_INLINE void fold_columns(enum term term, size_t rows, size_t stride, size_t cols,
                              const float *x, const float *mean, const float *dy, double *total)
{
    size_t fold = stride == cols ? FAST_COLS_MAX / cols : 1;
    size_t width = fold * cols;
    float means[FAST_COLS_MAX] = {0};
    double wide[FAST_COLS_MAX] = {0};
    for (size_t j = 0; mean && j < width; j++) {
        means[j] = mean[j % cols];
    }
    size_t jump = fold * stride;
    for (size_t row = 0; row < rows; row += FAST_COLS_BLOCK * fold) {
        float acc[FAST_COLS_MAX] = {0};
        for (size_t i = 0; i < FAST_COLS_BLOCK && row + i * fold < rows; i++) {
            size_t left = rows - row - i * fold;
            size_t at = row / fold * jump + i * jump;
            add_row(term, left >= fold ? width : left * cols, x + at, means, dy ? dy + at : NULL,
                    acc);
        }
        for (size_t j = 0; j < width; j++) {
            wide[j] += (double)acc[j];
        }
    }
    for (size_t c = 0; c < cols; c++) {
        total[c] = 0.0;
        for (size_t j = c; j < width; j += cols) {
            total[c] += wide[j];
        }
    }
}

/* A function a term: inside of a parallel region a term would be a variable, asked for at each
 * number. */
typedef void columns(size_t rows, size_t stride, size_t cols, const float *x, const float *mean,
                     const float *dy, double *total);
#define COLUMNS(name, term)                                                                      \
    static void name(size_t rows, size_t stride, size_t cols, const float *x, const float *mean, \
                     const float *dy, double *total)                                             \
    {                                                                                            \
        fold_columns(term, rows, stride, cols, x, mean, dy, total);                              \
    }
COLUMNS(columns_sum, TERM_SUM)
COLUMNS(columns_shifted, TERM_SHIFTED)
COLUMNS(columns_squares, TERM_SQUARES)
COLUMNS(columns_dot, TERM_DOT)

/* In parts of rows, added up in their order. */
static void fold_parts(columns *fold, size_t rows, size_t stride, size_t cols, const float *x,
                       const float *mean, const float *dy, double *total)
{
    int parts = fast_parts(rows * cols);
    if (parts == 1) {
        fold(rows, stride, cols, x, mean, dy, total);
        return;
    }
    double part[FAST_PARTS_MAX][FAST_COLS_MAX];
#pragma omp parallel for schedule(static, 1) num_threads(parts)
    for (int p = 0; p < parts; p++) {
        size_t first = fast_parts_at(rows, p, parts, 1);
        size_t end = fast_parts_at(rows, p + 1, parts, 1);
        fold(end - first, stride, cols, x + first * stride, mean, dy ? dy + first * stride : NULL,
             part[p]);
    }
    for (size_t c = 0; c < cols; c++) {
        total[c] = 0.0;
        for (int p = 0; p < parts; p++) {
            total[c] += part[p][c];
        }
    }
}

void VEC8_NAME(fast_cols_sum)(size_t rows, size_t stride, size_t cols, const float *x,
                              double *total)
{
    fold_parts(columns_sum, rows, stride, cols, x, NULL, NULL, total);
}

void VEC8_NAME(fast_cols_shifted)(size_t rows, size_t stride, size_t cols, const float *x,
                                  const float *mean, double *total)
{
    fold_parts(columns_shifted, rows, stride, cols, x, mean, NULL, total);
}

void VEC8_NAME(fast_cols_squares)(size_t rows, size_t stride, size_t cols, const float *x,
                                  const float *mean, double *total)
{
    fold_parts(columns_squares, rows, stride, cols, x, mean, NULL, total);
}

void VEC8_NAME(fast_cols_dot)(size_t rows, size_t stride, size_t cols, const float *x,
                              const float *mean, const float *dy, double *total)
{
    fold_parts(columns_dot, rows, stride, cols, x, mean, dy, total);
}

/* What add_row adds for TERM_SUM and TERM_DOT, of one row of `width`. */
VEC8_INLINE void add_gradient(bool has_map, size_t width, const float *restrict x,
                              const float *restrict dy, const float *restrict mean,
                              const float *restrict a, const float *restrict b, float *restrict sum,
                              float *restrict dot)
{
    for (size_t j = 0; j < width; j++) {
        float d = x[j] - mean[j];
        float g = dy[j];
        if (has_map) {
            g *= d * a[j] + b[j] > 0.0F ? 1.0F : 0.0F;
        }
        sum[j] += g;
        dot[j] += g * d;
    }
}

static void repeat(float *to, const float *from, size_t cols, size_t width)
{
    for (size_t j = 0; from && j < width; j++) {
        to[j] = from[j % cols];
    }
}

/* As fold_columns. */
VEC8_INLINE void fold_gradient(bool has_map, size_t rows, size_t stride, size_t cols,
                               const struct fast_cols_gradient *of, double *ret_sum,
                               double *ret_dot)
{
    size_t fold = stride == cols ? FAST_COLS_MAX / cols : 1;
    size_t width = fold * cols, jump = fold * stride;
    float means[FAST_COLS_MAX], a[FAST_COLS_MAX], b[FAST_COLS_MAX];
    double sums[FAST_COLS_MAX] = {0}, dots[FAST_COLS_MAX] = {0};
    repeat(means, of->mean, cols, width);
    repeat(a, of->a, cols, width);
    repeat(b, of->b, cols, width);
    for (size_t row = 0; row < rows; row += FAST_COLS_BLOCK * fold) {
        float sum[FAST_COLS_MAX] = {0}, dot[FAST_COLS_MAX] = {0};
        for (size_t i = 0; i < FAST_COLS_BLOCK && row + i * fold < rows; i++) {
            size_t left = rows - row - i * fold, at = row / fold * jump + i * jump;
            add_gradient(has_map, left >= fold ? width : left * cols, of->x + at, of->dy + at,
                         means, a, b, sum, dot);
        }
        for (size_t j = 0; j < width; j++) {
            sums[j] += (double)sum[j];
            dots[j] += (double)dot[j];
        }
    }
    for (size_t c = 0; c < cols; c++) {
        ret_sum[c] = 0.0;
        ret_dot[c] = 0.0;
        for (size_t j = c; j < width; j += cols) {
            ret_sum[c] += sums[j];
            ret_dot[c] += dots[j];
        }
    }
}

static void gradient_plain(size_t rows, size_t stride, size_t cols,
                           const struct fast_cols_gradient *of, double *sum, double *dot)
{
    fold_gradient(false, rows, stride, cols, of, sum, dot);
}

static void gradient_mapped(size_t rows, size_t stride, size_t cols,
                            const struct fast_cols_gradient *of, double *sum, double *dot)
{
    fold_gradient(true, rows, stride, cols, of, sum, dot);
}

void VEC8_NAME(fast_cols_gradient)(size_t rows, size_t stride, size_t cols,
                                   const struct fast_cols_gradient *of, double *sum, double *dot)
{
    int parts = fast_parts(rows * cols);
    double part[FAST_PARTS_MAX][2][FAST_COLS_MAX];
#pragma omp parallel for schedule(static, 1) num_threads(parts) if (parts > 1)
    for (int p = 0; p < parts; p++) {
        size_t first = fast_parts_at(rows, p, parts, 1);
        size_t n = fast_parts_at(rows, p + 1, parts, 1) - first;
        struct fast_cols_gradient own = *of;
        own.x += first * stride;
        own.dy += first * stride;
        (of->a ? gradient_mapped : gradient_plain)(n, stride, cols, &own, part[p][0], part[p][1]);
    }
    for (size_t c = 0; c < cols; c++) {
        sum[c] = part[0][0][c];
        dot[c] = part[0][1][c];
        for (int p = 1; p < parts; p++) {
            sum[c] += part[p][0][c];
            dot[c] += part[p][1][c];
        }
    }
}
