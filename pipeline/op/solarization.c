/* solarization - turns the light parts of pictures into their negatives. */
#include "pipeline/op_colour.h"

extern const struct op_desc op_solarization;

struct solarization {
    struct opt_floats addition_factor;
    float addition[2];
    struct opt_floats threshold_factor;
    float threshold[2];
    OP_COLOUR_RANGE_FIELD;
};
static const struct opt options[] = {
    OPT_FLOATS_ROW(solarization, addition_factor, "0", 1, 2, 0, 0,
                   "What is added first, in 0..1 of 255: a number f is 0..f, or a pair."),
    OPT_FLOATS_ROW(solarization, threshold_factor, "0", 1, 2, 0, 0,
                   "Where values turn, in 0..1 of 255: a number f is 0..f, or a pair."),
    OP_COLOUR_RANGE_ROW(solarization),
    OPT_END_ROW,
};
static const struct op_param params[] = {{"additions", 1}, {"thresholds", 1}, {NULL, 0}};

static int init(void *ctx, struct arena *arena, struct err *err)
{
    struct solarization *k = ctx;
    (void)arena;
    static const struct op_bounds bounds = {0, 1, true, false};
    int r = op_factor(&k->addition_factor, "addition_factor", &bounds, k->addition, err);
    if (r < 0) {
        return r;
    }
    r = op_factor(&k->threshold_factor, "threshold_factor", &bounds, k->threshold, err);
    if (r < 0) {
        return r;
    }
    return op_colour_check_range(&k->value_range, err);
}

static void draw(const void *ctx, const struct op_spec *in, struct rng *rng, float *drawn)
{
    const struct solarization *k = ctx;
    (void)in;
    drawn[0] = rng_range(rng, k->addition[0], 255 * k->addition[1]);
    drawn[1] = rng_range(rng, k->threshold[0], 255 * k->threshold[1]);
}

static int run(const void *ctx, const float *drawn, const struct op_key *key,
               const struct tensor *in, struct tensor *out, struct op_scratch *scratch,
               struct err *err)
{
    const struct solarization *k = ctx;
    (void)key, (void)scratch, (void)err;
    const int64_t n = op_colour_begin(in, out);
    const float low = (float)k->value_range.v[0], span = (float)k->value_range.v[1] - low;
    float *v = out->data;
    for (int64_t i = 0; i < n; i++) {
        const float x = op_colour_clamp((v[i] - low) / span * 255 + drawn[0], 0, 255);
        v[i] = (x < drawn[1] ? x : 255 - x) / 255 * span + low;
    }
    return 0;
}

const struct op_desc op_solarization = {
    .name = "Solarization",
    .summary = "Inverts what is above a random threshold.",
    .options = options,
    .ctx_size = sizeof(struct solarization),
    .flags = OP_RANDOM,
    .params = params,
    .init = init,
    .check = op_colour_check,
    .draw = draw,
    .run = run,
};
