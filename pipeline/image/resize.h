/* resize - an image to another size, the ways of tf.image.resize: a weighted mean a row, then a
 * column.
 *
 * Owns:     weights live in memory of the caller.
 * Threads:  pure functions.
 * Errors:   ERR_LIMIT for weights that no memory holds.
 * Lifetime: none.
 *
 * Half-pixel centres. Without antialias bilinear, bicubic and area follow TensorFlow's own kernels
 * for them, the others its scale-and-translate kernel. An image that has the size already is
 * copied, but for the two methods that smooth.
 */
#ifndef PIPELINE_IMAGE_RESIZE_H
#define PIPELINE_IMAGE_RESIZE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/tensor.h"

enum resize_method {
    RESIZE_NEAREST,
    RESIZE_BILINEAR,
    RESIZE_BICUBIC,
    RESIZE_AREA,
    RESIZE_LANCZOS3,
    RESIZE_LANCZOS5,
    RESIZE_GAUSSIAN,
    RESIZE_MITCHELLCUBIC,
};

/* Part of an image: rows top.. of columns left... */
struct resize_image {
    enum dtype dtype; /* DTYPE_U8, DTYPE_F32 */
    int64_t height, width, channels;
    int64_t stride; /* elements from row to row */
    const void *data;
};

/* What of an image is resized, in pixels and parts of them: from its top and left on. */
struct resize_box {
    float top, left, height, width;
};

/* Bytes of scratch that a run needs; 0 when it overflows. */
size_t resize_scratch(const struct resize_image *in, int64_t height, int64_t width,
                      enum resize_method method, bool antialias);
/* out: height x width x channels of the input's element type, rows `out_stride` elements apart.
 * uint8 is rounded half to even. */
void resize_run(const struct resize_image *in, int64_t height, int64_t width,
                enum resize_method method, bool antialias, void *scratch, void *out,
                int64_t out_stride);
/* The same of a box that takes up the image but for less than a pixel on each side. */
void resize_box_run(const struct resize_image *in, const struct resize_box *box, int64_t height,
                    int64_t width, enum resize_method method, bool antialias, void *scratch,
                    void *out, int64_t out_stride);

#endif
