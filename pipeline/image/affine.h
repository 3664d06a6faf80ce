/* affine - one resampling of an image under an affine or projective map of the plane.
 *
 * Owns:     nothing.
 * Threads:  pure functions.
 * Errors:   none; every coordinate, finite or not, has a value.
 * Lifetime: none.
 *
 * Eight numbers map an output pixel (x, y) to its place in the input: k = m6 x + m7 y + 1, x' = (m0
 * x + m1 y + m2) / k, y' = (m3 x + m4 y + m5) / k; pixel centres are whole numbers. The rules of
 * filling are those of Keras: shared/golden/doc/ augmentation_laws.md section 2. The AVX2 code
 * gives the bits of the plain code.
 */
#ifndef PIPELINE_IMAGE_AFFINE_H
#define PIPELINE_IMAGE_AFFINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/tensor.h"

enum affine_fill { AFFINE_CONSTANT, AFFINE_REFLECT, AFFINE_WRAP, AFFINE_EDGE };
enum affine_interpolation { AFFINE_NEAREST, AFFINE_BILINEAR };

struct affine {
    float m[8];
    int fill;          /* enum affine_fill; AFFINE_EDGE is Keras's "nearest" */
    int interpolation; /* enum affine_interpolation */
    float fill_value;
    const float *factor,
        *term; /* a channel each: what is read becomes read * factor + term; NULL = as it is */
};
struct affine_image { /* DTYPE_U8 or DTYPE_F32, rows densely packed; pixels x channels below 2^31 */
    enum dtype dtype;
    int64_t height, width, channels;
    const void *data;
};

/* The maps of Keras's layers for an image of height x width. */
void affine_identity(float m[8]);
void affine_flip(float m[8], bool across, bool down, int64_t height, int64_t width);
void affine_rotation(float m[8], float degrees, int64_t height, int64_t width);
void affine_zoom(float m[8], float zoom_y, float zoom_x, int64_t height, int64_t width);
void affine_translation(float m[8], float dy, float dx);
/* The map that takes four points (x, y) to four others; identity if none or many do. */
void affine_perspective(float m[8], const float from[8], const float to[8]);
/* The map that is `first`, then `second` on its result; neither projective. */
void affine_compose(const float first[8], const float second[8], float m[8]);

/* out: height x width x channels floats, as large as the input. */
void affine_run(const struct affine *affine, const struct affine_image *image, float *out);
/* The two behind it. The fast one takes what affine_has_avx2 says; it is never called otherwise. */
void affine_run_c(const struct affine *affine, const struct affine_image *image, float *out);
bool affine_has_avx2(const struct affine *affine, const struct affine_image *image);
void affine_run_avx2(const struct affine *affine, const struct affine_image *image, float *out);

#endif
