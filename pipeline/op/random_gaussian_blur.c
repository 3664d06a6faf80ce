/* random_gaussian_blur - blurs some of the pictures, all of a batch alike. */
#include <string.h>

#include "base/math.h"
#include "pipeline/op_colour.h"

extern const struct op_desc op_random_gaussian_blur;

enum { SIZE_MAX_ = 63 };
struct random_gaussian_blur {
    struct opt_floats factor;
    float range[2];
    struct opt_ints kernel_size;
    struct opt_floats sigma;
    OP_COLOUR_RANGE_FIELD;
};
static const struct opt options[] = {
    OPT_FLOATS_ROW(random_gaussian_blur, factor, "1", 1, 2, 0, 0,
                   "Chance: a number f is a chance drawn from 0..f, or a pair."),
    OPT_INTS_ROW(random_gaussian_blur, kernel_size, "3", 2, 2, 1, SIZE_MAX_,
                 "Odd numbers of pixels that are mixed, across and down.", .unit = "pixels"),
    OPT_FLOATS_ROW(random_gaussian_blur, sigma, "1", 2, 2, 0, 1000,
                   "Greatest width of the bell, across and down.", .unit = "pixels"),
    OP_COLOUR_RANGE_ROW(random_gaussian_blur),
    OPT_END_ROW,
};
static const struct op_param params[] = {{"should_apply_blur", 1}, {"blur_factor", 2}, {NULL, 0}};

static int init(void *ctx, struct arena *arena, struct err *err)
{
    static const struct op_bounds bounds = {0, 1, false, false};
    struct random_gaussian_blur *k = ctx;
    (void)arena;
    int r = op_factor(&k->factor, "factor", &bounds, k->range, err);
    if (r < 0) {
        return r;
    }
    if (k->kernel_size.v[0] % 2 == 0 || k->kernel_size.v[1] % 2 == 0) {
        return err_set_at(err, ERR_INVALID, "kernel_size", "takes odd numbers, not %lld and %lld",
                          (long long)k->kernel_size.v[0], (long long)k->kernel_size.v[1]);
    }
    return op_colour_check_range(&k->value_range, err);
}

static void draw(const void *ctx, const struct op_spec *in, struct rng *rng, float *drawn)
{
    const struct random_gaussian_blur *k = ctx;
    (void)in;
    const float chance = rng_range(rng, k->range[0], k->range[1]);
    drawn[0] = rng_f32(rng) < chance;
}

static void draw_batch(const void *ctx, struct rng *rng, float *drawn)
{
    const struct random_gaussian_blur *k = ctx;
    drawn[1] = rng_range(rng, 0, (float)k->sigma.v[0]) + 1e-6f;
    drawn[2] = rng_range(rng, 0, (float)k->sigma.v[1]) + 1e-6f;
}

static void bell(int64_t n, float sigma, float *ret)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        const double x = (double)(i - n / 2) / (double)sigma;
        ret[i] = (float)math_exp(x * x > 1400 ? -700 : -x * x / 2);
        sum += (double)ret[i];
    }
    for (int64_t i = 0; i < n; i++) {
        ret[i] = (float)((double)ret[i] / sum);
    }
}

/* Beside the picture is black. `kernel` has `height` rows of `width`. */
static void blur(const struct tensor *in, const float *from, const float *kernel, int64_t height,
                 int64_t width, float *out)
{
    const int64_t rows = in->shape.d[0], columns = in->shape.d[1], channels = in->shape.d[2];
    for (int64_t y = 0; y < rows; y++) {
        for (int64_t x = 0; x < columns; x++) {
            float *to = out + (y * columns + x) * channels;
            memset(to, 0, (size_t)channels * sizeof *to);
            for (int64_t i = 0; i < height * width; i++) {
                const int64_t v = y + i / width - height / 2, u = x + i % width - width / 2;
                if (v < 0 || v >= rows || u < 0 || u >= columns) {
                    continue;
                }
                const float *p = from + (v * columns + u) * channels;
                for (int64_t c = 0; c < channels; c++) {
                    to[c] += kernel[i] * p[c];
                }
            }
        }
    }
}

static int run(const void *ctx, const float *drawn, const struct op_key *key,
               const struct tensor *in, struct tensor *out, struct op_scratch *scratch,
               struct err *err)
{
    const struct random_gaussian_blur *k = ctx;
    (void)key, (void)err;
    const int64_t n = op_colour_begin(in, out);
    const int64_t nx = k->kernel_size.v[0], ny = k->kernel_size.v[1];
    if (drawn[0] > 0) {
        float bx[SIZE_MAX_], by[SIZE_MAX_];
        const size_t bytes = (size_t)n * sizeof(float);
        float *from = op_scratch_need(scratch, bytes + (size_t)(nx * ny) * sizeof(float));
        float *kernel = from + n;
        bell(nx, drawn[1], bx);
        bell(ny, drawn[2], by);
        /* Keras lays ny rows of nx out as nx rows of ny; alike only for a square kernel. */
        for (int64_t i = 0; i < nx * ny; i++) {
            kernel[i] = by[i / nx] * bx[i % nx];
        }
        memcpy(from, out->data, bytes);
        blur(in, from, kernel, nx, ny, out->data);
    }
    op_colour_clip(out->data, n, &k->value_range);
    return 0;
}

const struct op_desc op_random_gaussian_blur = {
    .name = "RandomGaussianBlur",
    .summary = "Blurs some pictures, all of a batch by the same bell.",
    .options = options,
    .ctx_size = sizeof(struct random_gaussian_blur),
    .flags = OP_RANDOM,
    .params = params,
    .init = init,
    .check = op_colour_check,
    .draw = draw,
    .draw_batch = draw_batch,
    .run = run,
};
