/* resize_kernel - the two passes of resize, compiled twice: for any x86-64 and with AVX2. Element
 * by element the same operations in the same order, so both give the same bits. */
#ifndef PIPELINE_IMAGE_RESIZE_KERNEL_H
#define PIPELINE_IMAGE_RESIZE_KERNEL_H

#include <stdint.h>

/* out[j] = sum over taps of weights[t] * rows[t * stride + j] */
static void vertical_bytes(const uint8_t *rows, int64_t stride, const float *weights, int64_t taps,
                           int64_t n, float *out)
{
    int64_t t = 0;
    if (taps == 1) {
        for (int64_t j = 0; j < n; j++) {
            out[j] = weights[0] * (float)rows[j];
        }
        return;
    }
    for (int64_t j = 0; j < n; j++) {
        out[j] = weights[0] * (float)rows[j] + weights[1] * (float)rows[stride + j];
    }
    for (t = 2; t < taps; t++) {
        const uint8_t *row = rows + t * stride;
        for (int64_t j = 0; j < n; j++) {
            out[j] += weights[t] * (float)row[j];
        }
    }
}

static void vertical_floats(const float *rows, int64_t stride, const float *weights, int64_t taps,
                            int64_t n, float *out)
{
    for (int64_t j = 0; j < n; j++) {
        out[j] = weights[0] * rows[j];
    }
    for (int64_t t = 1; t < taps; t++) {
        const float *row = rows + t * stride;
        for (int64_t j = 0; j < n; j++) {
            out[j] += weights[t] * row[j];
        }
    }
}

/* Rounds half to even and saturates. Adding and subtracting 1.5 * 2^23 is that rounding; NaN gives
 * 0. */
static void round_bytes(const float *in, int64_t n, uint8_t *out)
{
    for (int64_t j = 0; j < n; j++) {
        float v = in[j] > 0 ? in[j] : 0;
        v = v < 255 ? v : 255;
        v = (v + 12582912.0f) - 12582912.0f;
        out[j] = (uint8_t)(int32_t)v;
    }
}

#endif
