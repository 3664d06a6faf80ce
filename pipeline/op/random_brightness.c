/* random_brightness - makes pictures lighter or darker. */
#include "pipeline/op_colour.h"

extern const struct op_desc op_random_brightness;

static const struct opt options[] = {
    OP_COLOUR_FACTOR_ROWS("Part of the value range that is added: a number f is -f..f, or a pair."),
    OPT_END_ROW,
};
static const struct op_param params[] = {{"rgb_delta", 1}, {NULL, 0}};

static void draw(const void *ctx, const struct op_spec *in, struct rng *rng, float *drawn)
{
    const struct op_colour_factor *k = ctx;
    (void)in;
    drawn[0] = rng_range(rng, k->range[0], k->range[1]) *
               (float)(k->value_range.v[1] - k->value_range.v[0]);
}

static int run(const void *ctx, const float *drawn, const struct op_key *key,
               const struct tensor *in, struct tensor *out, struct op_scratch *scratch,
               struct err *err)
{
    const struct op_colour_factor *k = ctx;
    (void)key, (void)scratch, (void)err;
    const int64_t n = op_colour_begin(in, out);
    float *v = out->data;
    for (int64_t i = 0; i < n; i++) {
        v[i] += drawn[0];
    }
    op_colour_clip(v, n, &k->value_range);
    return 0;
}

const struct op_desc op_random_brightness = {
    .name = "RandomBrightness",
    .summary = "Adds one random number to all of a picture.",
    .options = options,
    .ctx_size = sizeof(struct op_colour_factor),
    .flags = OP_RANDOM,
    .params = params,
    .init = op_colour_init_signed,
    .check = op_colour_check,
    .draw = draw,
    .run = run,
};
