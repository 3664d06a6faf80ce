/* See direct.h. Blocks of registers: PIXELS outputs by V vectors of filters, all loops over
 * constants unrolled. */
#include "trainer/kernel/blas/direct.h"

#include "trainer/kernel/blas/vec8.h"

/* What 16 registers hold: 12 sums, the weights, the broadcast value. */
#define WIDE   6
#define NARROW 12

static ptrdiff_t round_up(ptrdiff_t n, ptrdiff_t unit)
{
    return (n + unit - 1) / unit * unit;
}

static ptrdiff_t min_of(ptrdiff_t a, ptrdiff_t b)
{
    return a < b ? a : b;
}

/* ---- forward. Packed weights: [k / 16][r * s * c][16], the last block 8 wide if k asks for no
 * more. ---- */

static size_t forward_weights(const struct direct_shape *shape)
{
    return (size_t)(shape->r * shape->sc * round_up(shape->k, 8));
}

/* Copies columns k0 .. of a (rows, k) matrix into (rows, width), zeros behind k. */
static void pack_columns(ptrdiff_t rows, ptrdiff_t k, ptrdiff_t k0, ptrdiff_t width, const float *w,
                         float *packed)
{
    ptrdiff_t n = min_of(width, k - k0);
    for (ptrdiff_t i = 0; i < rows; i++) {
        memcpy(packed + i * width, w + i * k + k0, sizeof(float) * (size_t)n);
        for (ptrdiff_t j = n; j < width; j++) {
            packed[i * width + j] = 0.0F;
        }
    }
}

static void pack_forward(const struct direct_shape *shape, const float *w, float *packed)
{
    ptrdiff_t rows = shape->r * shape->sc;
    for (ptrdiff_t k0 = 0; k0 < shape->k; k0 += 16) {
        pack_columns(rows, shape->k, k0, shape->k - k0 > 8 ? 16 : 8, w, packed + k0 * rows);
    }
}

/* One block of outputs. n: filters that are stored, at most V * 8. */
VEC8_INLINE void forward_block(const int pixels, const int v_count,
                               const struct direct_shape *shape, const float *x, const float *w,
                               const vec8 *bias, bool relu, ptrdiff_t n, float *y)
{
    vec8 acc[NARROW][2];
#pragma GCC unroll 12
    for (int p = 0; p < pixels; p++) {
#pragma GCC unroll 2
        for (int v = 0; v < v_count; v++) {
            acc[p][v] = bias[v];
        }
    }
    ptrdiff_t step = shape->step;
    for (ptrdiff_t r = 0; r < shape->r; r++) {
        const float *xr = x + r * shape->row;
        for (ptrdiff_t j = 0; j < shape->sc; j++, xr++, w += v_count * 8) {
            vec8 w0 = vec8_load(w);
            vec8 w1 = v_count > 1 ? vec8_load(w + 8) : w0;
#pragma GCC unroll 12
            for (int p = 0; p < pixels; p++) {
                vec8 value = vec8_set(xr[p * step]);
                acc[p][0] += value * w0;
                if (v_count > 1) {
                    acc[p][1] += value * w1;
                }
            }
        }
    }
    vec8 floor = relu ? vec8_set(0.0F) : vec8_set(-__builtin_inff());
#pragma GCC unroll 12
    for (int p = 0; p < pixels; p++) {
#pragma GCC unroll 2
        for (int v = 0; v < v_count; v++) {
            /* NaN stays: the comparison is false for it */
            vec8 value = vec8_select(acc[p][v] < floor, floor, acc[p][v]);
            ptrdiff_t left = n - v * 8;
            if (left >= 8) {
                vec8_store(y + p * shape->k + v * 8, value);
            } else {
                vec8_store_part(y + p * shape->k + v * 8, value, (size_t)left);
            }
        }
    }
}

#define BLOCK_CASE(P, V)                                        \
    case P:                                                     \
        if ((V) == 1 || (P) <= WIDE) {                          \
            forward_block(P, V, shape, x, w, bias, relu, n, y); \
        }                                                       \
        break;

#define BLOCK_CASES(V) \
    BLOCK_CASE(1, V)   \
    BLOCK_CASE(2, V)   \
    BLOCK_CASE(3, V)   \
    BLOCK_CASE(4, V)   \
    BLOCK_CASE(5, V)   \
    BLOCK_CASE(6, V)   \
    BLOCK_CASE(7, V)   \
    BLOCK_CASE(8, V)   \
    BLOCK_CASE(9, V)   \
    BLOCK_CASE(10, V)  \
    BLOCK_CASE(11, V)  \
    BLOCK_CASE(12, V)

static void forward_narrow(int pixels, const struct direct_shape *shape, const float *x,
                           const float *w, const vec8 *bias, bool relu, ptrdiff_t n, float *y)
{
    switch (pixels) {
        BLOCK_CASES(1)
    default: break;
    }
}

static void forward_wide(int pixels, const struct direct_shape *shape, const float *x,
                         const float *w, const vec8 *bias, bool relu, ptrdiff_t n, float *y)
{
    switch (pixels) {
        BLOCK_CASES(2)
    default: break;
    }
}

/* All outputs of one block of filters; rows are cut into blocks of nearly equal length. */
static void forward_filters(const struct direct_shape *shape, const float *x, const float *w,
                            const vec8 *bias, bool relu, ptrdiff_t n, float *y)
{
    ptrdiff_t most = n > 8 ? WIDE : NARROW;
    ptrdiff_t blocks = (shape->out_w + most - 1) / most;
    for (ptrdiff_t oh = 0; oh < shape->out_h; oh++) {
        const float *xr = x + oh * shape->stride_h * shape->row;
        float *yr = y + oh * shape->out_w * shape->k;
        for (ptrdiff_t i = 0; i < blocks; i++) {
            ptrdiff_t ow = i * shape->out_w / blocks;
            int pixels = (int)((i + 1) * shape->out_w / blocks - ow);
            if (n > 8) {
                forward_wide(pixels, shape, xr + ow * shape->step, w, bias, relu, n,
                             yr + ow * shape->k);
            } else {
                forward_narrow(pixels, shape, xr + ow * shape->step, w, bias, relu, n,
                               yr + ow * shape->k);
            }
        }
    }
}

static void forward(const struct direct_shape *shape, const float *x, const float *packed,
                    const float *b, bool relu, float *y)
{
    for (ptrdiff_t k0 = 0; k0 < shape->k; k0 += 16) {
        ptrdiff_t n = min_of(16, shape->k - k0);
        float lanes[16] = {0};
        if (b) {
            memcpy(lanes, b + k0, sizeof(float) * (size_t)n);
        }
        vec8 bias[2] = {vec8_load(lanes), vec8_load(lanes + 8)};
        forward_filters(shape, x, packed + k0 * shape->r * shape->sc, bias, relu, n, y + k0);
    }
}

/* ---- backward data: every output adds k products to its windows. Packed: [r][sc / 32][k][up to
 * 32]. ---- */

#define DATA_PIXELS 3

static size_t data_weights(const struct direct_shape *shape)
{
    return (size_t)(shape->r * shape->k * round_up(shape->sc, 8));
}

static void pack_data(const struct direct_shape *shape, const float *w, float *packed)
{
    for (ptrdiff_t r = 0; r < shape->r; r++) {
        for (ptrdiff_t j0 = 0; j0 < shape->sc; j0 += 32) {
            ptrdiff_t n = min_of(32, shape->sc - j0);
            ptrdiff_t width = round_up(n, 8);
            for (ptrdiff_t k = 0; k < shape->k; k++, packed += width) {
                const float *from = w + (r * shape->sc + j0) * shape->k + k;
                for (ptrdiff_t j = 0; j < width; j++) {
                    packed[j] = j < n ? from[j * shape->k] : 0.0F;
                }
            }
        }
    }
}

VEC8_INLINE void data_block(const int pixels, const int v_count, const struct direct_shape *shape,
                            ptrdiff_t spacing, const float *dy, const float *w, float *dx)
{
    vec8 acc[DATA_PIXELS][4];
#pragma GCC unroll 3
    for (int p = 0; p < pixels; p++) {
#pragma GCC unroll 4
        for (int v = 0; v < v_count; v++) {
            acc[p][v] = vec8_set(0.0F);
        }
    }
    for (ptrdiff_t k = 0; k < shape->k; k++, w += v_count * 8) {
        vec8 wv[4];
#pragma GCC unroll 4
        for (int v = 0; v < v_count; v++) {
            wv[v] = vec8_load(w + v * 8);
        }
#pragma GCC unroll 3
        for (int p = 0; p < pixels; p++) {
            vec8 value = vec8_set(dy[p * spacing * shape->k + k]);
#pragma GCC unroll 4
            for (int v = 0; v < v_count; v++) {
                acc[p][v] += value * wv[v];
            }
        }
    }
#pragma GCC unroll 3
    for (int p = 0; p < pixels; p++) {
#pragma GCC unroll 4
        for (int v = 0; v < v_count; v++) {
            float *to = dx + p * spacing * shape->step + v * 8;
            vec8_store(to, vec8_load(to) + acc[p][v]);
        }
    }
}

#define DATA_CASE(P, V) \
    case P: data_block(P, V, shape, spacing, dy + ow * shape->k, w, dx + ow * shape->step); break;

/* The pixels of a block lie as far apart as they can: neighbours' windows overlap, and a load from
 * what was just stored in other pieces has to wait for the store. */
#define DATA_ROW(V)                                                                             \
    static void data_row_##V(const struct direct_shape *shape, const float *dy, const float *w, \
                             float *dx)                                                         \
    {                                                                                           \
        ptrdiff_t spacing = (shape->out_w + DATA_PIXELS - 1) / DATA_PIXELS;                     \
        for (ptrdiff_t ow = 0; ow < spacing; ow++) {                                            \
            switch ((shape->out_w - ow + spacing - 1) / spacing) {                              \
                DATA_CASE(1, V)                                                                 \
                DATA_CASE(2, V)                                                                 \
                DATA_CASE(3, V)                                                                 \
            default: break;                                                                     \
            }                                                                                   \
        }                                                                                       \
    }

DATA_ROW(1)
DATA_ROW(2)
DATA_ROW(3)
DATA_ROW(4)

static void data(const struct direct_shape *shape, const float *dy, const float *packed, float *dx)
{
    for (ptrdiff_t r = 0; r < shape->r; r++) {
        for (ptrdiff_t j0 = 0; j0 < shape->sc; j0 += 32) {
            ptrdiff_t vectors = round_up(min_of(32, shape->sc - j0), 8) / 8;
            for (ptrdiff_t oh = 0; oh < shape->out_h; oh++) {
                const float *from = dy + oh * shape->out_w * shape->k;
                float *to = dx + (oh * shape->stride_h + r) * shape->row + j0;
                switch (vectors) {
                case 1: data_row_1(shape, from, packed, to); break;
                case 2: data_row_2(shape, from, packed, to); break;
                case 3: data_row_3(shape, from, packed, to); break;
                default: data_row_4(shape, from, packed, to); break;
                }
            }
            packed += vectors * 8 * shape->k;
        }
    }
}

/* ---- backward weights. Sum: [k / 16][r * s * c][16 or 8], like the packed weights of forward.
 * ---- */

VEC8_INLINE void weights_block(const int taps, const int v_count, const struct direct_shape *shape,
                               const float *x, const float *dy, float *sum)
{
    vec8 acc[NARROW][2];
#pragma GCC unroll 12
    for (int t = 0; t < taps; t++) {
#pragma GCC unroll 2
        for (int v = 0; v < v_count; v++) {
            acc[t][v] = vec8_set(0.0F);
        }
    }
    for (ptrdiff_t oh = 0; oh < shape->out_h; oh++) {
        const float *xr = x + oh * shape->stride_h * shape->row;
        for (ptrdiff_t ow = 0; ow < shape->out_w; ow++, xr += shape->step, dy += shape->k) {
            vec8 d0 = vec8_load(dy);
            vec8 d1 = v_count > 1 ? vec8_load(dy + 8) : d0;
#pragma GCC unroll 12
            for (int t = 0; t < taps; t++) {
                vec8 value = vec8_set(xr[t]);
                acc[t][0] += value * d0;
                if (v_count > 1) {
                    acc[t][1] += value * d1;
                }
            }
        }
    }
#pragma GCC unroll 12
    for (int t = 0; t < taps; t++) {
#pragma GCC unroll 2
        for (int v = 0; v < v_count; v++) {
            float *to = sum + (t * v_count + v) * 8;
            vec8_store(to, vec8_load(to) + acc[t][v]);
        }
    }
}

#define WEIGHTS_CASE(T, V)                              \
    case T:                                             \
        if ((V) == 1 || (T) <= WIDE) {                  \
            weights_block(T, V, shape, x + j, dy, sum); \
        }                                               \
        break;

#define WEIGHTS_ROW(V, MOST)                                                                       \
    static void weights_row_##V(const struct direct_shape *shape, const float *x, const float *dy, \
                                float *sum)                                                        \
    {                                                                                              \
        ptrdiff_t blocks = (shape->sc + (MOST)-1) / (MOST);                                        \
        for (ptrdiff_t i = 0; i < blocks; i++) {                                                   \
            ptrdiff_t j = i * shape->sc / blocks;                                                  \
            ptrdiff_t taps = (i + 1) * shape->sc / blocks - j;                                     \
            switch (taps) {                                                                        \
                WEIGHTS_CASE(1, V)                                                                 \
                WEIGHTS_CASE(2, V)                                                                 \
                WEIGHTS_CASE(3, V)                                                                 \
                WEIGHTS_CASE(4, V)                                                                 \
                WEIGHTS_CASE(5, V)                                                                 \
                WEIGHTS_CASE(6, V)                                                                 \
                WEIGHTS_CASE(7, V)                                                                 \
                WEIGHTS_CASE(8, V)                                                                 \
                WEIGHTS_CASE(9, V)                                                                 \
                WEIGHTS_CASE(10, V)                                                                \
                WEIGHTS_CASE(11, V)                                                                \
                WEIGHTS_CASE(12, V)                                                                \
            default: break;                                                                        \
            }                                                                                      \
            sum += taps * (V)*8;                                                                   \
        }                                                                                          \
    }

WEIGHTS_ROW(1, NARROW)
WEIGHTS_ROW(2, WIDE)

static void weights(const struct direct_shape *shape, const float *x, const float *dy, float *sum)
{
    for (ptrdiff_t k0 = 0; k0 < shape->k; k0 += 16) {
        ptrdiff_t width = shape->k - k0 > 8 ? 16 : 8;
        for (ptrdiff_t r = 0; r < shape->r; r++, sum += shape->sc * width) {
            if (width > 8) {
                weights_row_2(shape, x + r * shape->row, dy + k0, sum);
            } else {
                weights_row_1(shape, x + r * shape->row, dy + k0, sum);
            }
        }
    }
}

/* Bias: dy summed over the pixels, four sums at a time. */
VEC8_INLINE void bias_block(const struct direct_shape *shape, const float *dy, float *sum)
{
    vec8 acc[4] = {{0}};
    ptrdiff_t pixels = shape->out_h * shape->out_w;
    ptrdiff_t p = 0;
    for (; p + 4 <= pixels; p += 4, dy += 4 * shape->k) {
        acc[0] += vec8_load(dy);
        acc[1] += vec8_load(dy + shape->k);
        acc[2] += vec8_load(dy + 2 * shape->k);
        acc[3] += vec8_load(dy + 3 * shape->k);
    }
    for (; p < pixels; p++, dy += shape->k) {
        acc[0] += vec8_load(dy);
    }
    vec8_store(sum, vec8_load(sum) + ((acc[0] + acc[1]) + (acc[2] + acc[3])));
}

static void bias(const struct direct_shape *shape, const float *dy, float *sum)
{
    for (ptrdiff_t k = 0; k < shape->k; k += 8) {
        bias_block(shape, dy + k, sum + k);
    }
}

static void weights_reduce(const struct direct_shape *shape, int parts, ptrdiff_t part_size,
                           const float *sum, float *dw)
{
    ptrdiff_t rows = shape->r * shape->sc;
    for (ptrdiff_t k0 = 0; k0 < shape->k; k0 += 16) {
        ptrdiff_t width = shape->k - k0 > 8 ? 16 : 8;
        ptrdiff_t n = min_of(width, shape->k - k0);
        for (ptrdiff_t i = 0; i < rows; i++) {
            for (ptrdiff_t j = 0; j < n; j++) {
                const float *from = sum + k0 * rows + i * width + j;
                float total = from[0];
                for (ptrdiff_t p = 1; p < parts; p++) {
                    total += from[p * part_size];
                }
                dw[i * shape->k + k0 + j] = total;
            }
        }
    }
}

const struct direct_ops VEC8_NAME(direct) = {
    .isa = VEC8_TEXT(KERNEL_ISA),
    .forward_weights = forward_weights,
    .data_weights = data_weights,
    .gradient_size = forward_weights,
    .pack_forward = pack_forward,
    .pack_data = pack_data,
    .forward = forward,
    .data = data,
    .weights = weights,
    .bias = bias,
    .weights_reduce = weights_reduce,
};
