/* random_brightness - makes pictures lighter or darker. */
#include "pipeline/op_colour.h"

extern const struct op_desc op_random_brightness;

struct random_brightness {
    struct opt_floats factor;
    float range[2];
    OP_COLOUR_RANGE_FIELD;
};
static const struct opt options[] = {
    OPT_FLOATS_ROW(random_brightness, factor, NULL, 1, 2, 0, 0,
                   "Part of the value range that is added: a number f is -f..f, or a pair.",
                   .flags = OPT_REQUIRED),
    OP_COLOUR_RANGE_ROW(random_brightness),
    OPT_END_ROW,
};
static const struct op_param params[] = {{"rgb_delta", 1}, {NULL, 0}};

static int init(void *ctx, struct arena *arena, struct err *err)
{
    struct random_brightness *k = ctx;
    (void)arena;
    static const struct op_bounds bounds = {-1, 1, false, false};
    int r = op_factor(&k->factor, "factor", &bounds, k->range, err);
    if (r < 0) {
        return r;
    }
    return op_colour_check_range(&k->value_range, err);
}

static void draw(const void *ctx, const struct op_spec *in, struct rng *rng, float *drawn)
{
    const struct random_brightness *k = ctx;
    (void)in;
    drawn[0] = rng_range(rng, k->range[0], k->range[1]) *
               (float)(k->value_range.v[1] - k->value_range.v[0]);
}

static int run(const void *ctx, const float *drawn, const struct op_key *key,
               const struct tensor *in, struct tensor *out, struct op_scratch *scratch,
               struct err *err)
{
    const struct random_brightness *k = ctx;
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
    .ctx_size = sizeof(struct random_brightness),
    .flags = OP_RANDOM,
    .params = params,
    .init = init,
    .check = op_colour_check,
    .draw = draw,
    .run = run,
};
