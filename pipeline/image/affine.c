#include "pipeline/image/affine.h"

#include <math.h>
#include <string.h>

#include "base/math.h"

void affine_identity(float m[8])
{
    static const float identity[8] = {1, 0, 0, 0, 1, 0, 0, 0};
    memcpy(m, identity, sizeof identity);
}

void affine_flip(float m[8], bool across, bool down, int64_t height, int64_t width)
{
    affine_identity(m);
    if (across) {
        m[0] = -1;
        m[2] = (float)(width - 1);
    }
    if (down) {
        m[4] = -1;
        m[5] = (float)(height - 1);
    }
}

void affine_rotation(float m[8], float degrees, int64_t height, int64_t width)
{
    /* Keras's angle is a float in radians: at half a turn its sine is -8.7e-8, and wrapping shows
     * that. */
    const double turn = (double)(degrees * 3.14159274F / 180.0F);
    const float c = (float)math_cos(turn), s = (float)math_sin(turn);
    const float cx = (float)(width - 1) / 2, cy = (float)(height - 1) / 2;
    affine_identity(m);
    m[0] = c;
    m[1] = -s;
    m[2] = cx - cx * c + cy * s;
    m[3] = s;
    m[4] = c;
    m[5] = cy - cx * s - cy * c;
}

void affine_zoom(float m[8], float zoom_y, float zoom_x, int64_t height, int64_t width)
{
    affine_identity(m);
    m[0] = zoom_x;
    m[2] = (float)(width - 1) / 2 * (1 - zoom_x);
    m[4] = zoom_y;
    m[5] = (float)(height - 1) / 2 * (1 - zoom_y);
}

void affine_translation(float m[8], float dy, float dx)
{
    affine_identity(m);
    m[2] = -dx;
    m[5] = -dy;
}

void affine_compose(const float first[8], const float second[8], float m[8])
{
    /* A pixel of the last image is looked up in the middle one, and that place in the first. */
    const double a = (double)second[0], b = (double)second[1], c = (double)second[2];
    const double d = (double)second[3], e = (double)second[4], f = (double)second[5];
    for (int row = 0; row < 2; row++) {
        const double p = (double)first[3 * row], q = (double)first[3 * row + 1],
                     r = (double)first[3 * row + 2];
        m[3 * row] = (float)(p * a + q * d);
        m[3 * row + 1] = (float)(p * b + q * e);
        m[3 * row + 2] = (float)(p * c + q * f + r);
    }
    m[6] = m[7] = 0;
}

static inline float clamp(float v, float hi)
{
    v = v > 0 ? v : 0; /* a NaN becomes 0 */
    return v < hi ? v : hi;
}

static float fold(float v, float n, int fill)
{
    if (fill == AFFINE_CONSTANT) {
        return v;
    }
    if (fill == AFFINE_REFLECT) {
        const float period = 2 * n;
        if (v < 0) {
            v = v + period * truncf(-v / period);
            v = v < -n ? v + period : -v - 1;
        } else if (v > n - 1) {
            v = v - period * truncf(v / period);
            v = v >= n ? period - v - 1 : v;
        }
    } else if (fill == AFFINE_WRAP && n > 1) {
        /* The divisor is n - 1 and the step n: odd, yet that is the rule. */
        const float size = n - 1;
        if (v < 0) {
            v = v + n * (truncf(-v / size) + 1);
        } else if (v > n - 1) {
            v = v - n * truncf(v / size);
        }
    }
    return clamp(v, n - 1);
}

struct place {
    int64_t i0, i1; /* -1 = outside */
    float w0, w1;
};

static inline int64_t index_of(float v, float last)
{
    return v >= 0 && v <= last ? (int64_t)v : -1;
}

static struct place place_bilinear(float v, int64_t n, int fill)
{
    const float last = (float)(n - 1), low = floorf(v);
    struct place p = {.w0 = low + 1 - v, .w1 = v - low};
    p.i0 = index_of(low, last);
    p.i1 = fill != AFFINE_CONSTANT && low + 1 > last ? p.i0 : index_of(low + 1, last);
    return p;
}

/* Half away from zero. Adding the float below one half, not one half, keeps 0.49999997 at 0. */
static inline float round_half_away(float v)
{
    return truncf(v + copysignf(0x1.fffffep-2f, v));
}

static inline float read_at(const struct affine_image *image, int64_t index)
{
    return image->dtype == DTYPE_U8 ? (float)((const unsigned char *)image->data)[index]
                                    : ((const float *)image->data)[index];
}

static inline float pixel(const struct affine *affine, const struct affine_image *image, int64_t y,
                          int64_t x, int64_t c)
{
    return y < 0 || x < 0 ? affine->fill_value
                          : read_at(image, (y * image->width + x) * image->channels + c);
}

static void sample_bilinear(const struct affine *affine, const struct affine_image *image, float y,
                            float x, float *out)
{
    const struct place px = place_bilinear(x, image->width, affine->fill);
    const struct place py = place_bilinear(y, image->height, affine->fill);
    for (int64_t c = 0; c < image->channels; c++) {
        const float top = px.w0 * pixel(affine, image, py.i0, px.i0, c) +
                          px.w1 * pixel(affine, image, py.i0, px.i1, c);
        const float low = px.w0 * pixel(affine, image, py.i1, px.i0, c) +
                          px.w1 * pixel(affine, image, py.i1, px.i1, c);
        out[c] = py.w0 * top + py.w1 * low;
    }
}

static void sample_nearest(const struct affine *affine, const struct affine_image *image, float y,
                           float x, float *out)
{
    const int64_t ix = index_of(round_half_away(x), (float)(image->width - 1));
    const int64_t iy = index_of(round_half_away(y), (float)(image->height - 1));
    for (int64_t c = 0; c < image->channels; c++) {
        out[c] = pixel(affine, image, iy, ix, c);
    }
}

static inline void scale(const struct affine *affine, int64_t channels, float *out)
{
    for (int64_t c = 0; affine->factor != NULL && c < channels; c++) {
        out[c] = out[c] * affine->factor[c] + affine->term[c];
    }
}

void affine_run_c(const struct affine *affine, const struct affine_image *image, float *out)
{
    const float *m = affine->m;
    const bool projective = m[6] != 0 || m[7] != 0;
    for (int64_t row = 0; row < image->height; row++) {
        const float v = (float)row;
        for (int64_t column = 0; column < image->width; column++, out += image->channels) {
            const float u = (float)column;
            float x = m[0] * u + m[1] * v + m[2], y = m[3] * u + m[4] * v + m[5];
            if (projective) {
                const float k = m[6] * u + m[7] * v + 1;
                if (!(k < 0 || k > 0)) {
                    for (int64_t c = 0; c < image->channels; c++) {
                        out[c] = affine->fill_value;
                    }
                    scale(affine, image->channels, out);
                    continue;
                }
                x /= k;
                y /= k;
            }
            x = fold(x, (float)image->width, affine->fill);
            y = fold(y, (float)image->height, affine->fill);
            if (affine->interpolation == AFFINE_BILINEAR) {
                sample_bilinear(affine, image, y, x, out);
            } else {
                sample_nearest(affine, image, y, x, out);
            }
            scale(affine, image->channels, out);
        }
    }
}

bool affine_has_avx2(const struct affine *affine, const struct affine_image *image)
{
    const int64_t channels = image->channels, n = image->height * image->width * channels;
    return __builtin_cpu_supports("avx2") && affine->m[6] == 0 && affine->m[7] == 0 &&
           (channels == 1 || channels == 3 || channels == 4) && n >= 4 && n <= INT32_MAX / 4;
}

/* ---- mirrors: every pixel of the result is a pixel, so none is weighed -------------------------
 */

struct mirror {
    bool across, down;
};

static bool is_turn(float slope, float start, int64_t n, bool *ret)
{
    *ret = slope < 0;
    return fabsf(slope) - 1 == 0 && start - (*ret ? (float)(n - 1) : 0.0f) == 0;
}

/* With weights 1 and 0 bytes give the same; a float that is not finite beside a pixel would not. */
static bool is_mirror(const struct affine *affine, const struct affine_image *image,
                      struct mirror *ret)
{
    const float *m = affine->m;
    return (affine->interpolation == AFFINE_NEAREST || image->dtype == DTYPE_U8) && m[1] == 0 &&
           m[3] == 0 && m[6] == 0 && m[7] == 0 && is_turn(m[0], m[2], image->width, &ret->across) &&
           is_turn(m[4], m[5], image->height, &ret->down);
}

static inline __attribute__((always_inline)) void mirror_row(const struct affine *affine,
                                                             const struct affine_image *image,
                                                             int64_t row, int64_t channels,
                                                             bool across, float *out)
{
    const int64_t width = image->width, begin = row * width * channels;
    for (int64_t x = 0; x < width; x++) {
        const int64_t from = begin + (across ? width - 1 - x : x) * channels;
        for (int64_t c = 0; c < channels; c++) {
            const float v = read_at(image, from + c);
            out[x * channels + c] =
                affine->factor != NULL ? v * affine->factor[c] + affine->term[c] : v;
        }
    }
}

/* One factor for all channels and no turn: a row is a run of numbers. */
static void straight_row(const struct affine_image *image, int64_t row, float factor, float term,
                         float *out)
{
    const int64_t n = image->width * image->channels;
    if (image->dtype == DTYPE_U8) {
        const unsigned char *in = (const unsigned char *)image->data + row * n;
        for (int64_t i = 0; i < n; i++) {
            out[i] = (float)in[i] * factor + term;
        }
    } else {
        const float *in = (const float *)image->data + row * n;
        for (int64_t i = 0; i < n; i++) {
            out[i] = in[i] * factor + term;
        }
    }
}

static bool has_one_factor(const struct affine *affine, int64_t channels)
{
    for (int64_t c = 1; affine->factor != NULL && c < channels; c++) {
        if (memcmp(&affine->factor[c], &affine->factor[0], sizeof *affine->factor) != 0 ||
            memcmp(&affine->term[c], &affine->term[0], sizeof *affine->term) != 0) {
            return false;
        }
    }
    return affine->factor != NULL;
}

static void run_mirror(const struct affine *affine, const struct affine_image *image,
                       const struct mirror *mirror, float *out)
{
    const int64_t channels = image->channels, stride = image->width * channels;
    const bool is_straight = !mirror->across && has_one_factor(affine, channels);
    for (int64_t y = 0; y < image->height; y++, out += stride) {
        const int64_t row = mirror->down ? image->height - 1 - y : y;
        if (is_straight) {
            straight_row(image, row, affine->factor[0], affine->term[0], out);
        } else if (channels == 1) {
            mirror_row(affine, image, row, 1, mirror->across, out);
        } else if (channels == 3) {
            mirror_row(affine, image, row, 3, mirror->across, out);
        } else {
            mirror_row(affine, image, row, channels, mirror->across, out);
        }
    }
}

void affine_run(const struct affine *affine, const struct affine_image *image, float *out)
{
    struct mirror mirror;
    if (is_mirror(affine, image, &mirror)) {
        run_mirror(affine, image, &mirror, out);
    } else if (affine_has_avx2(affine, image)) {
        affine_run_avx2(affine, image, out);
    } else {
        affine_run_c(affine, image, out);
    }
}
