/* random_color_degeneration - fades or strengthens the colours of pictures. */
#include "pipeline/op_colour.h"

extern const struct op_desc op_random_color_degeneration;

struct random_color_degeneration {
    struct opt_floats factor;
    float range[2];
    OP_COLOUR_RANGE_FIELD;
};
static const struct opt options[] = {
    OPT_FLOATS_ROW(random_color_degeneration, factor, NULL, 1, 2, 0, 0,
                   "How far towards grey: a number f is -f..f (below 0: more colour), or a pair.",
                   .flags = OPT_REQUIRED),
    OP_COLOUR_RANGE_ROW(random_color_degeneration),
    OPT_END_ROW,
};
static const struct op_param params[] = {{"factor", 1}, {NULL, 0}};

static int init(void *ctx, struct arena *arena, struct err *err)
{
    struct random_color_degeneration *k = ctx;
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
    const struct random_color_degeneration *k = ctx;
    (void)in;
    drawn[0] = rng_range(rng, k->range[0], k->range[1]);
}

static int run(const void *ctx, const float *drawn, const struct op_key *key,
               const struct tensor *in, struct tensor *out, struct op_scratch *scratch,
               struct err *err)
{
    const struct random_color_degeneration *k = ctx;
    (void)key, (void)scratch, (void)err;
    const int64_t n = op_colour_begin(in, out);
    float *v = out->data;
    for (int64_t i = 0; i < n; i += 3) {
        const float grey = op_colour_grey(v + i);
        for (int c = 0; c < 3; c++) {
            v[i + c] = v[i + c] + drawn[0] * (grey - v[i + c]);
        }
    }
    op_colour_clip(v, n, &k->value_range);
    return 0;
}

const struct op_desc op_random_color_degeneration = {
    .name = "RandomColorDegeneration",
    .summary = "Moves colours towards grey or away from it.",
    .options = options,
    .ctx_size = sizeof(struct random_color_degeneration),
    .flags = OP_RANDOM,
    .params = params,
    .init = init,
    .check = op_colour_check_rgb,
    .draw = draw,
    .run = run,
};
