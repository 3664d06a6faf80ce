#include "pipeline/op_colour.h"

#include <math.h>

int op_colour_check(const void *ctx, const struct op_spec *in, struct op_spec *out, struct err *err)
{
    (void)ctx, (void)out; /* float32 of the same shape */
    return op_check_image(in, err);
}

int op_colour_check_float(const void *ctx, const struct op_spec *in, struct op_spec *out,
                          struct err *err)
{
    int r = op_colour_check(ctx, in, out, err);
    return r == 0 && in->dtype == DTYPE_U8
               ? err_set(err, ERR_SHAPE, "takes float32, not uint8; put Rescaling before it")
               : r;
}

int op_colour_check_rgb(const void *ctx, const struct op_spec *in, struct op_spec *out,
                        struct err *err)
{
    int r = op_colour_check(ctx, in, out, err);
    if (r == 0 && in->shape.d[2] != 3) {
        char text[128];
        op_shape_text(in, text, sizeof text);
        return err_set(err, ERR_SHAPE, "takes pictures of three channels, not %s", text);
    }
    return r;
}

int op_colour_check_rgb_float(const void *ctx, const struct op_spec *in, struct op_spec *out,
                              struct err *err)
{
    int r = op_colour_check_float(ctx, in, out, err);
    return r < 0 ? r : op_colour_check_rgb(ctx, in, out, err);
}

int op_colour_check_range(const struct opt_floats *range, struct err *err)
{
    return range->v[0] < range->v[1] ? 0
                                     : err_set_at(err, ERR_RANGE, "value_range",
                                                  "its first value is not below its second");
}

static int init_factor(struct op_colour_factor *k, double low, struct err *err)
{
    const struct op_bounds bounds = {low, 1, false, false};
    int r = op_factor(&k->factor, "factor", &bounds, k->range, err);
    return r < 0 ? r : op_colour_check_range(&k->value_range, err);
}

int op_colour_init_signed(void *ctx, struct arena *arena, struct err *err)
{
    (void)arena;
    return init_factor(ctx, -1, err);
}

int op_colour_init_unsigned(void *ctx, struct arena *arena, struct err *err)
{
    (void)arena;
    return init_factor(ctx, 0, err);
}

void op_colour_draw(const void *ctx, const struct op_spec *in, struct rng *rng, float *drawn)
{
    const struct op_colour_factor *k = ctx;
    (void)in;
    drawn[0] = rng_range(rng, k->range[0], k->range[1]);
}

int64_t op_colour_begin(const struct tensor *in, struct tensor *out)
{
    const int64_t n = in->shape.d[0] * in->shape.d[1] * in->shape.d[2];
    op_to_floats(in, n, out->data);
    return n;
}

float op_colour_clamp(float v, float low, float high)
{
    v = v > low ? v : low;
    return v < high ? v : high;
}

void op_colour_clip(float *v, int64_t n, const struct opt_floats *range)
{
    const float low = (float)range->v[0], high = (float)range->v[1];
    for (int64_t i = 0; i < n; i++) {
        v[i] = op_colour_clamp(v[i], low, high);
    }
}

float op_colour_grey(const float rgb[3])
{
    return 0.2989f * rgb[0] + 0.5870f * rgb[1] + 0.1140f * rgb[2];
}

void op_colour_to_hsv(const float rgb[3], float hsv[3])
{
    const float r = rgb[0], g = rgb[1], b = rgb[2];
    const float most = r > g ? (r > b ? r : b) : (g > b ? g : b),
                least = r < g ? (r < b ? r : b) : (g < b ? g : b);
    const float span = most - least;
    float h = 0;
    if (span > 0) {
        const float by = 1 / (6 * span);
        if (!(most > r)) {
            h = by * (g - b);
        } else if (!(most > g)) {
            h = by * (b - r) + 2.0f / 6;
        } else {
            h = by * (r - g) + 4.0f / 6;
        }
        h = h < 0 ? h + 1 : h;
    }
    hsv[0] = h;
    hsv[1] = most > 0 ? span / most : 0;
    hsv[2] = most;
}

void op_colour_from_hsv(const float hsv[3], float rgb[3])
{
    const float h = hsv[0] * 6, s = hsv[1], v = hsv[2];
    const float d[3] = {op_colour_clamp(fabsf(h - 3) - 1, 0, 1),
                        op_colour_clamp(2 - fabsf(h - 2), 0, 1),
                        op_colour_clamp(2 - fabsf(h - 4), 0, 1)};
    for (int c = 0; c < 3; c++) {
        rgb[c] = ((1 - s) + s * d[c]) * v;
    }
}
