/* direct - convolution without im2col: the inner loops, built once an instruction set. Private to
 * trainer/kernel/blas.
 *
 * Owns:     nothing.
 * Threads:  reentrant; a call works on one image.
 * Errors:   none.
 * Lifetime: const tables.
 *
 * NHWC makes the taps of one kernel row contiguous: s * c floats of x, each with k weights beside
 * each other. So a convolution is, for every output pixel and kernel row, a (s*c) by k product
 * whose left side is read where it lies. No dilation, one group. Images are given with the padding
 * written out: rows of `row` floats, `DIRECT_SLACK` floats behind the last one may be read.
 */
#ifndef TRAINER_KERNEL_BLAS_DIRECT_H
#define TRAINER_KERNEL_BLAS_DIRECT_H

#include "trainer/kernel/kernel_act.h"

#include <stdbool.h>
#include <stddef.h>

#define DIRECT_SLACK 16

struct direct_shape {
    ptrdiff_t row;  /* floats from one row of the padded image to the next */
    ptrdiff_t step; /* floats from one output's window to the next: stride_w * c */
    ptrdiff_t stride_h;
    ptrdiff_t r;
    ptrdiff_t sc; /* s * c */
    ptrdiff_t k;
    ptrdiff_t out_h, out_w;
};

struct direct_ops {
    const char *isa;
    /* Floats of the packed weights. */
    size_t (*forward_weights)(const struct direct_shape *shape);
    size_t (*data_weights)(const struct direct_shape *shape);
    /* Floats of the sum of one thread's weight gradient, as weights_reduce reads them. */
    size_t (*gradient_size)(const struct direct_shape *shape);
    void (*pack_forward)(const struct direct_shape *shape, const float *w, float *packed);
    void (*pack_data)(const struct direct_shape *shape, const float *w, float *packed);
    /* y = relu?(x * w + b) of one image; b may be NULL. */
    void (*forward)(const struct direct_shape *shape, const float *x, const float *packed,
                    const float *b, bool relu, float *y);
    /* dx += of one image, padded, with slack. */
    void (*data)(const struct direct_shape *shape, const float *dy, const float *packed, float *dx);
    /* sum += of one image; dy must be readable for DIRECT_SLACK floats behind its end unless k
     * divides by 16. */
    void (*weights)(const struct direct_shape *shape, const float *x, const float *dy, float *sum);
    /* sum (k rounded up to 8) += dy over the pixels of one image; reads behind dy as `weights`. */
    void (*bias)(const struct direct_shape *shape, const float *dy, float *sum);
    /* dw = sum over parts in their order, each part_size floats apart. */
    void (*weights_reduce)(const struct direct_shape *shape, int parts, ptrdiff_t part_size,
                           const float *sum, float *dw);
};

extern const struct direct_ops direct_base;
#ifdef KERNEL_X86
extern const struct direct_ops direct_avx2;
#endif

#endif
