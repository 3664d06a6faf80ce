#include "pipeline/image/resize.h"

#include <emmintrin.h>
#include <math.h>
#include <string.h>

#include "base/math.h"
#include "pipeline/image/resize_impl.h"
#include "pipeline/image/resize_kernel.h"

static const struct resize_passes plain_passes = {vertical_bytes, vertical_floats, round_bytes};

/* What is read of one axis of an image: `length` pixels from `from` on, of `n`. */
struct extent {
    int64_t n;
    float from, length;
};

/* Where an output pixel of one axis comes from: `taps` weights from `start` on. */
struct axis {
    int32_t *start, *taps;
    float *weights; /* span an output pixel */
    int64_t span;
};

static float kernel_radius(enum resize_method method)
{
    static const float radii[] = {
        [RESIZE_BILINEAR] = 1, [RESIZE_BICUBIC] = 2,     [RESIZE_LANCZOS3] = 3,
        [RESIZE_LANCZOS5] = 5, [RESIZE_GAUSSIAN] = 1.5f, [RESIZE_MITCHELLCUBIC] = 2};
    return radii[method];
}

static float lanczos(float x, float radius)
{
    const double pi = 3.14159265358979323846;
    if (x > radius) {
        return 0;
    }
    if (x <= 1e-3f) {
        return 1;
    }
    return (float)((double)radius * math_sin(pi * (double)x) *
                   math_sin(pi * (double)x / (double)radius) / (pi * pi * (double)x * (double)x));
}

/* x >= 0 */
static float kernel(enum resize_method method, float x)
{
    switch (method) {
    case RESIZE_BICUBIC:
        if (x >= 2) {
            return 0;
        }
        return x >= 1 ? ((-0.5f * x + 2.5f) * x - 4) * x + 2 : ((1.5f * x - 2.5f) * x) * x + 1;
    case RESIZE_LANCZOS3: return lanczos(x, 3);
    case RESIZE_LANCZOS5: return lanczos(x, 5);
    case RESIZE_GAUSSIAN:
        return x >= 1.5f ? 0 : (float)math_exp(-(double)x * (double)x / (2 * 0.5 * 0.5));
    case RESIZE_MITCHELLCUBIC:
        if (x >= 2) {
            return 0;
        }
        return x >= 1 ? ((-7.0f / 18 * x + 2) * x - 10.0f / 3) * x + 16.0f / 9
                      : ((7.0f / 6 * x - 2) * x) * x + 8.0f / 9;
    case RESIZE_BILINEAR:
    case RESIZE_NEAREST:
    case RESIZE_AREA: break;
    }
    return x < 1 ? 1 - x : 0;
}

static bool is_spans(enum resize_method method, bool antialias)
{
    return method >= RESIZE_LANCZOS3 ||
           (antialias && (method == RESIZE_BILINEAR || method == RESIZE_BICUBIC));
}

static int64_t span_of(int64_t in, int64_t out, enum resize_method method, bool antialias)
{
    const float scale = (float)in / (float)out;
    int64_t span;
    if (method == RESIZE_NEAREST) {
        span = 1;
    } else if (is_spans(method, antialias)) {
        const float wide = antialias && scale > 1 ? scale : 1;
        span = 2 * (int64_t)ceilf(kernel_radius(method) * wide) + 1;
    } else if (method == RESIZE_AREA) {
        span = (int64_t)ceilf(scale) + 2;
    } else {
        span = method == RESIZE_BICUBIC ? 4 : 2;
    }
    return span < in ? span : in;
}

static void axis_nearest(struct axis *axis, const struct extent *in, int64_t out)
{
    const float scale = in->length / (float)out;
    for (int64_t i = 0; i < out; i++) {
        const int64_t at = (int64_t)floorf(((float)i + 0.5f) * scale + in->from);
        axis->start[i] = (int32_t)(at < in->n - 1 ? at : in->n - 1);
        axis->taps[i] = 1;
        axis->weights[i * axis->span] = 1;
    }
}

static void axis_bilinear(struct axis *axis, const struct extent *in, int64_t out)
{
    const float scale = in->length / (float)out;
    for (int64_t i = 0; i < out; i++) {
        const float at = ((float)i + 0.5f) * scale - 0.5f + in->from, low = floorf(at);
        const int64_t first = low > 0 ? (int64_t)low : 0;
        const int64_t last = (int64_t)ceilf(at) < in->n - 1 ? (int64_t)ceilf(at) : in->n - 1;
        float *w = &axis->weights[i * axis->span];
        axis->start[i] = (int32_t)(first < last ? first : last);
        axis->taps[i] = last > first ? 2 : 1;
        w[0] = last > first ? 1 - (at - low) : 1;
        if (last > first) {
            w[1] = at - low;
        }
    }
}

/* Weights outside the image are left out and the rest made to sum to 1. */
static void normalise(float *w, int64_t n)
{
    float sum = 0;
    for (int64_t k = 0; k < n; k++) {
        sum += w[k];
    }
    if (fabsf(sum) >= 1000 * 1.17549435e-38f) {
        const float by = 1 / sum;
        for (int64_t k = 0; k < n; k++) {
            w[k] *= by;
        }
    }
}

static void axis_bicubic(struct axis *axis, const struct extent *in, int64_t out)
{
    const float scale = in->length / (float)out;
    for (int64_t i = 0; i < out; i++) {
        const float at = ((float)i + 0.5f) * scale - 0.5f + in->from;
        const int64_t low = (int64_t)floorf(at);
        /* TensorFlow looks its weights up in a table of 1,024 steps. */
        const float step = rintf((at - (float)low) * 1024) / 1024;
        const float all[4] = {kernel(RESIZE_BICUBIC, 1 + step), kernel(RESIZE_BICUBIC, step),
                              kernel(RESIZE_BICUBIC, 1 - step), kernel(RESIZE_BICUBIC, 2 - step)};
        int64_t first = low - 1, n = 0;
        float *w = &axis->weights[i * axis->span];
        for (int k = 0; k < 4; k++) {
            if (first + k >= 0 && first + k < in->n) {
                w[n++] = all[k];
            }
        }
        axis->start[i] = (int32_t)(first > 0 ? first : 0);
        axis->taps[i] = (int32_t)n;
        normalise(w, n);
    }
}

static void axis_area(struct axis *axis, const struct extent *in, int64_t out)
{
    const float scale = in->length / (float)out;
    for (int64_t i = 0; i < out; i++) {
        const float a = (float)i * scale + in->from, b = (float)(i + 1) * scale + in->from;
        const int64_t first = (int64_t)floorf(a) < in->n - 1 ? (int64_t)floorf(a) : in->n - 1;
        int64_t n = 0;
        float *w = &axis->weights[i * axis->span];
        for (int64_t v = (int64_t)floorf(a); v < (int64_t)ceilf(b); v++) {
            const float lo = (float)v < a ? a : (float)v,
                        hi = (float)(v + 1) > b ? b : (float)(v + 1);
            const int64_t at = v < in->n - 1 ? v : in->n - 1;
            if (at - first >= n) {
                w[n++] = 0;
            }
            w[at - first] += (hi - lo) / scale;
        }
        axis->start[i] = (int32_t)first;
        axis->taps[i] = (int32_t)n;
    }
}

static void axis_spans(struct axis *axis, const struct extent *in, int64_t out,
                       enum resize_method method, bool antialias)
{
    const float inverse = 1 / ((float)out / in->length);
    const float wide = antialias && inverse > 1 ? inverse : 1, narrow = 1 / wide;
    const float radius = kernel_radius(method) * wide;
    for (int64_t i = 0; i < out; i++) {
        const float at = ((float)i + 0.5f) * inverse + in->from;
        int64_t first = (int64_t)ceilf(at - radius - 0.5f),
                last = (int64_t)floorf(at + radius - 0.5f);
        float *w = &axis->weights[i * axis->span];
        first = first < 0 ? 0 : first > in->n - 1 ? in->n - 1 : first;
        last = last < 0 ? 0 : last > in->n - 1 ? in->n - 1 : last;
        int64_t n = last - first + 1;
        n = n < axis->span ? n : axis->span;
        for (int64_t k = 0; k < n; k++) {
            w[k] = kernel(method, fabsf(((float)(first + k) + 0.5f - at) * narrow));
        }
        axis->start[i] = (int32_t)first;
        axis->taps[i] = (int32_t)n;
        normalise(w, n);
    }
}

static void axis_make(struct axis *axis, const struct extent *in, int64_t out,
                      enum resize_method method, bool antialias)
{
    if (method == RESIZE_NEAREST) {
        axis_nearest(axis, in, out);
    } else if (is_spans(method, antialias)) {
        axis_spans(axis, in, out, method, antialias);
    } else if (method == RESIZE_AREA) {
        axis_area(axis, in, out);
    } else if (method == RESIZE_BICUBIC) {
        axis_bicubic(axis, in, out);
    } else {
        axis_bilinear(axis, in, out);
    }
}

static size_t axis_bytes(int64_t in, int64_t out, enum resize_method method, bool antialias)
{
    return (size_t)out * (8 + (size_t)span_of(in, out, method, antialias) * sizeof(float)) + 64;
}

size_t resize_scratch(const struct resize_image *in, int64_t height, int64_t width,
                      enum resize_method method, bool antialias)
{
    if (height > 1 << 20 || width > 1 << 20 || in->height > 1 << 24 || in->width > 1 << 24 ||
        in->channels > 1 << 16) {
        return 0;
    }
    return axis_bytes(in->height, height, method, antialias) +
           axis_bytes(in->width, width, method, antialias) +
           (size_t)(in->width + 4) * (size_t)in->channels * sizeof(float) +
           (size_t)(width + 4) * (size_t)in->channels * sizeof(float) + 256;
}

static float *take(unsigned char **at, size_t bytes)
{
    float *p = (float *)(void *)*at;
    *at += (bytes + 31) / 32 * 32;
    return p;
}

static void axis_place(struct axis *axis, unsigned char **at, const struct extent *in, int64_t out,
                       enum resize_method method, bool antialias)
{
    axis->span = span_of(in->n, out, method, antialias);
    axis->weights = take(at, (size_t)(out * axis->span) * sizeof(float));
    axis->start = (int32_t *)(void *)take(at, (size_t)out * 4);
    axis->taps = (int32_t *)(void *)take(at, (size_t)out * 4);
    axis_make(axis, in, out, method, antialias);
}

/* Four lanes hold three or four channels; with three the last lane is rubbish that the next pixel
 * writes over. */
static void horizontal_lanes(const struct axis *axis, const float *row, int64_t width,
                             int64_t channels, float *out)
{
    for (int64_t i = 0; i < width; i++) {
        const float *w = &axis->weights[i * axis->span], *p = row + axis->start[i] * channels;
        __m128 sum = _mm_mul_ps(_mm_set1_ps(w[0]), _mm_loadu_ps(p));
        for (int32_t t = 1; t < axis->taps[i]; t++) {
            sum = _mm_add_ps(sum, _mm_mul_ps(_mm_set1_ps(w[t]), _mm_loadu_ps(p + t * channels)));
        }
        _mm_storeu_ps(out + i * channels, sum);
    }
}

static void horizontal_any(const struct axis *axis, const float *row, int64_t width,
                           int64_t channels, float *out)
{
    for (int64_t i = 0; i < width; i++) {
        const float *w = &axis->weights[i * axis->span], *p = row + axis->start[i] * channels;
        for (int64_t c = 0; c < channels; c++) {
            float sum = w[0] * p[c];
            for (int32_t t = 1; t < axis->taps[i]; t++) {
                sum += w[t] * p[t * channels + c];
            }
            out[i * channels + c] = sum;
        }
    }
}

static void copy_rows(const struct resize_image *in, void *out, int64_t out_stride)
{
    const size_t each = dtype_bytes(in->dtype);
    for (int64_t y = 0; y < in->height; y++) {
        memcpy((unsigned char *)out + (size_t)(y * out_stride) * each,
               (const unsigned char *)in->data + (size_t)(y * in->stride) * each,
               (size_t)(in->width * in->channels) * each);
    }
}

static void nearest_rows(const struct resize_image *in, const struct axis *ay,
                         const struct axis *ax, int64_t height, int64_t width, void *out,
                         int64_t out_stride)
{
    const size_t each = dtype_bytes(in->dtype), pixel = each * (size_t)in->channels;
    for (int64_t y = 0; y < height; y++) {
        const unsigned char *row =
            (const unsigned char *)in->data + (size_t)(ay->start[y] * in->stride) * each;
        unsigned char *to = (unsigned char *)out + (size_t)(y * out_stride) * each;
        for (int64_t x = 0; x < width; x++) {
            memcpy(to + (size_t)x * pixel, row + (size_t)ax->start[x] * pixel, pixel);
        }
    }
}

void resize_run(const struct resize_image *in, int64_t height, int64_t width,
                enum resize_method method, bool antialias, void *scratch, void *out,
                int64_t out_stride)
{
    const bool is_smoothing = method == RESIZE_GAUSSIAN || method == RESIZE_MITCHELLCUBIC;
    const struct resize_box all = {0, 0, (float)in->height, (float)in->width};
    if (in->height == height && in->width == width && !is_smoothing) {
        copy_rows(in, out, out_stride);
        return;
    }
    resize_box_run(in, &all, height, width, method, antialias, scratch, out, out_stride);
}

void resize_box_run(const struct resize_image *in, const struct resize_box *box, int64_t height,
                    int64_t width, enum resize_method method, bool antialias, void *scratch,
                    void *out, int64_t out_stride)
{
    const struct extent y_in = {in->height, box->top, box->height},
                        x_in = {in->width, box->left, box->width};
    const struct resize_passes *passes =
        __builtin_cpu_supports("avx2") ? &resize_avx2_passes : &plain_passes;
    unsigned char *at = scratch;
    struct axis ay, ax;
    axis_place(&ay, &at, &y_in, height, method, antialias);
    axis_place(&ax, &at, &x_in, width, method, antialias);
    if (method == RESIZE_NEAREST) {
        nearest_rows(in, &ay, &ax, height, width, out, out_stride);
        return;
    }
    const int64_t n = in->width * in->channels;
    float *row = take(&at, (size_t)(n + 4) * sizeof(float)),
          *made = take(&at, (size_t)(width * in->channels + 4) * sizeof(float));
    for (int k = 0; k < 4; k++) {
        row[n + k] = 0;
    }
    const bool is_lanes = in->channels == 3 || in->channels == 4;
    for (int64_t y = 0; y < height; y++) {
        const int64_t from = ay.start[y] * in->stride;
        const float *w = &ay.weights[y * ay.span];
        if (in->dtype == DTYPE_U8) {
            passes->vertical_bytes((const uint8_t *)in->data + from, in->stride, w, ay.taps[y], n,
                                   row);
        } else {
            passes->vertical_floats((const float *)in->data + from, in->stride, w, ay.taps[y], n,
                                    row);
        }
        (is_lanes ? horizontal_lanes : horizontal_any)(&ax, row, width, in->channels, made);
        if (in->dtype == DTYPE_U8) {
            passes->round_bytes(made, width * in->channels, (uint8_t *)out + y * out_stride);
        } else {
            memcpy((float *)out + y * out_stride, made,
                   (size_t)(width * in->channels) * sizeof(float));
        }
    }
}
