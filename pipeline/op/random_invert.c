/* random_invert - turns pictures into their negatives. */
#include "pipeline/op_colour.h"

extern const struct op_desc op_random_invert;

struct random_invert {
    struct opt_floats factor;
    float range[2];
    OP_COLOUR_RANGE_FIELD;
};
static const struct opt options[] = {
    OPT_FLOATS_ROW(random_invert, factor, "1", 1, 2, 0, 0,
                   "Chance: a number f is a chance drawn from 0..f, or a pair."),
    OP_COLOUR_RANGE_ROW(random_invert),
    OPT_END_ROW,
};
static const struct op_param params[] = {{"apply_inversion", 1}, {NULL, 0}};

static int init(void *ctx, struct arena *arena, struct err *err)
{
    struct random_invert *k = ctx;
    (void)arena;
    static const struct op_bounds bounds = {0, 1, false, false};
    int r = op_factor(&k->factor, "factor", &bounds, k->range, err);
    if (r < 0) {
        return r;
    }
    return op_colour_check_range(&k->value_range, err);
}

static void draw(const void *ctx, const struct op_spec *in, struct rng *rng, float *drawn)
{
    const struct random_invert *k = ctx;
    (void)in;
    const float chance = rng_range(rng, k->range[0], k->range[1]);
    drawn[0] = rng_f32(rng) < chance;
}

static int run(const void *ctx, const float *drawn, const struct op_key *key,
               const struct tensor *in, struct tensor *out, struct op_scratch *scratch,
               struct err *err)
{
    const struct random_invert *k = ctx;
    (void)key, (void)scratch, (void)err;
    const int64_t n = op_colour_begin(in, out);
    float *v = out->data;
    for (int64_t i = 0; drawn[0] > 0 && i < n; i++) {
        v[i] = (float)k->value_range.v[1] - v[i];
    }
    return 0;
}

const struct op_desc op_random_invert = {
    .name = "RandomInvert",
    .summary = "Takes some pictures from the greatest value: their negatives.",
    .options = options,
    .ctx_size = sizeof(struct random_invert),
    .flags = OP_RANDOM,
    .params = params,
    .init = init,
    .check = op_colour_check,
    .draw = draw,
    .run = run,
};
