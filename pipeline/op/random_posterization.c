/* random_posterization - leaves fewer shades to pictures. */
#include "pipeline/op_colour.h"

extern const struct op_desc op_random_posterization;

struct random_posterization {
    struct opt_floats factor;
    float range[2];
    OP_COLOUR_RANGE_FIELD;
};
static const struct opt options[] = {
    OPT_FLOATS_ROW(random_posterization, factor, NULL, 1, 2, 0, 0,
                   "Bits that are kept: a number f is 1..f-1, a pair (a, b) is a..b-1.",
                   .flags = OPT_REQUIRED),
    OP_COLOUR_RANGE_ROW(random_posterization),
    OPT_END_ROW,
};
static const struct op_param params[] = {{"shift_factor", 1}, {NULL, 0}};

static int init(void *ctx, struct arena *arena, struct err *err)
{
    struct random_posterization *k = ctx;
    (void)arena;
    static const struct op_bounds bounds = {1, 8, false, false};
    int r = op_factor(&k->factor, "factor", &bounds, k->range, err);
    if (r < 0) {
        return r;
    }
    k->range[0] = k->factor.n == 1 ? 1 : k->range[0];
    return op_colour_check_range(&k->value_range, err);
}

static void draw(const void *ctx, const struct op_spec *in, struct rng *rng, float *drawn)
{
    const struct random_posterization *k = ctx;
    (void)in;
    const int64_t low = (int64_t)k->range[0], n = (int64_t)k->range[1] - low;
    drawn[0] = (float)(8 - low - (n > 0 ? (int64_t)rng_below(rng, (uint64_t)n) : 0));
}

static int run(const void *ctx, const float *drawn, const struct op_key *key,
               const struct tensor *in, struct tensor *out, struct op_scratch *scratch,
               struct err *err)
{
    const struct random_posterization *k = ctx;
    (void)key, (void)scratch, (void)err;
    const int64_t n = op_colour_begin(in, out);
    const float low = (float)k->value_range.v[0], span = (float)k->value_range.v[1] - low;
    const unsigned shift = (unsigned)op_colour_clamp(drawn[0], 0, 8);
    float *v = out->data;
    for (int64_t i = 0; i < n; i++) {
        const unsigned x = (unsigned)op_colour_clamp((v[i] - low) / span * 255, 0, 255);
        v[i] = (float)(x >> shift << shift) / 255 * span + low;
    }
    return 0;
}

const struct op_desc op_random_posterization = {
    .name = "RandomPosterization",
    .summary = "Keeps a random number of upper bits of each value.",
    .options = options,
    .ctx_size = sizeof(struct random_posterization),
    .flags = OP_RANDOM,
    .params = params,
    .init = init,
    .check = op_colour_check,
    .draw = draw,
    .run = run,
};
