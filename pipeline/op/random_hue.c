/* random_hue - turns the hues of pictures. */
#include "pipeline/op_colour.h"

extern const struct op_desc op_random_hue;

static const struct opt options[] = {
    OP_COLOUR_FACTOR_ROWS(
        "Half turns of the hue: a number f is 0..f, or a pair; either way round."),
    OPT_END_ROW,
};
static const struct op_param params[] = {{"factor", 1}, {NULL, 0}};

static void draw(const void *ctx, const struct op_spec *in, struct rng *rng, float *drawn)
{
    const struct op_colour_factor *k = ctx;
    (void)in;
    const float sign = rng_f32(rng) > 0.5f ? -1.0f : 1.0f;
    drawn[0] = sign * rng_range(rng, k->range[0], k->range[1]) * 0.5f;
}

static int run(const void *ctx, const float *drawn, const struct op_key *key,
               const struct tensor *in, struct tensor *out, struct op_scratch *scratch,
               struct err *err)
{
    const struct op_colour_factor *k = ctx;
    (void)key, (void)scratch, (void)err;
    const int64_t n = op_colour_begin(in, out);
    const float low = (float)k->value_range.v[0], span = (float)k->value_range.v[1] - low;
    float *v = out->data;
    for (int64_t i = 0; i < n; i += 3) {
        float rgb[3] = {(v[i] - low) / span, (v[i + 1] - low) / span, (v[i + 2] - low) / span},
              hsv[3];
        op_colour_to_hsv(rgb, hsv);
        hsv[0] += drawn[0];
        hsv[0] = hsv[0] > 1 ? hsv[0] - 1 : hsv[0] < 0 ? hsv[0] + 1 : hsv[0];
        op_colour_from_hsv(hsv, rgb);
        for (int c = 0; c < 3; c++) {
            v[i + c] = op_colour_clamp(rgb[c], 0, 1) * span + low;
        }
    }
    return 0;
}

const struct op_desc op_random_hue = {
    .name = "RandomHue",
    .summary = "Turns the hue of all of a picture.",
    .options = options,
    .ctx_size = sizeof(struct op_colour_factor),
    .flags = OP_RANDOM,
    .params = params,
    .init = op_colour_init_unsigned,
    .check = op_colour_check_rgb,
    .draw = draw,
    .run = run,
};
