/* resize_impl - the passes of resize_kernel.h, by instruction set. */
#ifndef PIPELINE_IMAGE_RESIZE_IMPL_H
#define PIPELINE_IMAGE_RESIZE_IMPL_H

#include <stdint.h>

struct resize_passes {
    void (*vertical_bytes)(const uint8_t *rows, int64_t stride, const float *weights, int64_t taps,
                           int64_t n, float *out);
    void (*vertical_floats)(const float *rows, int64_t stride, const float *weights, int64_t taps,
                            int64_t n, float *out);
    void (*round_bytes)(const float *in, int64_t n, uint8_t *out);
};
extern const struct resize_passes resize_avx2_passes;

#endif
