/* random_saturation - fades or strengthens colours by their saturation. */
#include "pipeline/op_colour.h"

extern const struct op_desc op_random_saturation;

static const struct opt options[] = {
    OP_COLOUR_FACTOR_ROWS("0 grey, 0.5 as it is, 1 full colour: a number f is -f..f, or a pair."),
    OPT_END_ROW,
};
static const struct op_param params[] = {{"factor", 1}, {NULL, 0}};

static void draw(const void *ctx, const struct op_spec *in, struct rng *rng, float *drawn)
{
    const struct op_colour_factor *k = ctx;
    (void)in;
    const float u = rng_range(rng, k->range[0], k->range[1]);
    drawn[0] = u / (1 - u + 1e-7f);
}

static int run(const void *ctx, const float *drawn, const struct op_key *key,
               const struct tensor *in, struct tensor *out, struct op_scratch *scratch,
               struct err *err)
{
    const struct op_colour_factor *k = ctx;
    (void)key, (void)scratch, (void)err;
    const int64_t n = op_colour_begin(in, out);
    const float low = (float)k->value_range.v[0], high = (float)k->value_range.v[1];
    float *v = out->data;
    for (int64_t i = 0; i < n; i += 3) {
        float hsv[3];
        op_colour_to_hsv(v + i, hsv);
        hsv[1] = op_colour_clamp(hsv[1] * drawn[0], low, high);
        op_colour_from_hsv(hsv, v + i);
    }
    return 0;
}

const struct op_desc op_random_saturation = {
    .name = "RandomSaturation",
    .summary = "Multiplies the saturation of all of a picture.",
    .options = options,
    .ctx_size = sizeof(struct op_colour_factor),
    .flags = OP_RANDOM,
    .params = params,
    .init = op_colour_init_signed,
    .check = op_colour_check_rgb_float,
    .draw = draw,
    .run = run,
};
