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
