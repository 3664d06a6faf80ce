/* random_saturation - fades or strengthens colours by their saturation. */
#include "pipeline/op_colour.h"

extern const struct op_desc op_random_saturation;

struct random_saturation {
    struct opt_floats factor;
    float range[2];
    OP_COLOUR_RANGE_FIELD;
};
static const struct opt options[] = {
    OPT_FLOATS_ROW(random_saturation, factor, NULL, 1, 2, 0, 0,
                   "0 grey, 0.5 as it is, 1 full colour: a number f is -f..f, or a pair.",
                   .flags = OPT_REQUIRED),
    OP_COLOUR_RANGE_ROW(random_saturation),
    OPT_END_ROW,
};
static const struct op_param params[] = {{"factor", 1}, {NULL, 0}};

static int init(void *ctx, struct arena *arena, struct err *err)
{
    struct random_saturation *k = ctx;
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
    const struct random_saturation *k = ctx;
    (void)in;
    const float u = rng_range(rng, k->range[0], k->range[1]);
    drawn[0] = u / (1 - u + 1e-7f);
}

static int run(const void *ctx, const float *drawn, const struct op_key *key,
               const struct tensor *in, struct tensor *out, struct op_scratch *scratch,
               struct err *err)
{
    const struct random_saturation *k = ctx;
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
    .ctx_size = sizeof(struct random_saturation),
    .flags = OP_RANDOM,
    .params = params,
    .init = init,
    .check = op_colour_check_rgb_float,
    .draw = draw,
    .run = run,
};
