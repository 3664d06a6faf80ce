/* random_contrast - raises or lowers the contrast of pictures. */
#include "pipeline/op_colour.h"

extern const struct op_desc op_random_contrast;

struct random_contrast {
    struct opt_floats factor;
    float range[2];
    OP_COLOUR_RANGE_FIELD;
};
static const struct opt options[] = {
    OPT_FLOATS_ROW(random_contrast, factor, NULL, 1, 2, 0, 0,
                   "A number f: contrast 1..1+f; a pair (l, u): 1-l..1+u.", .flags = OPT_REQUIRED),
    OP_COLOUR_RANGE_ROW(random_contrast),
    OPT_END_ROW,
};
static const struct op_param params[] = {{"contrast_factor", 1}, {NULL, 0}};

static int init(void *ctx, struct arena *arena, struct err *err)
{
    struct random_contrast *k = ctx;
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
    const struct random_contrast *k = ctx;
    (void)in;
    drawn[0] = rng_range(rng, 1 - k->range[0], 1 + k->range[1]);
}

static int run(const void *ctx, const float *drawn, const struct op_key *key,
               const struct tensor *in, struct tensor *out, struct op_scratch *scratch,
               struct err *err)
{
    const struct random_contrast *k = ctx;
    (void)key, (void)scratch, (void)err;
    const int64_t n = op_colour_begin(in, out), channels = in->shape.d[2];
    float *v = out->data;
    for (int64_t c = 0; c < channels; c++) {
        double sum = 0;
        for (int64_t i = c; i < n; i += channels) {
            sum += (double)v[i];
        }
        const float mean = (float)(sum / (double)(n / channels));
        for (int64_t i = c; i < n; i += channels) {
            v[i] = (v[i] - mean) * drawn[0] + mean;
        }
    }
    op_colour_clip(v, n, &k->value_range);
    return 0;
}

const struct op_desc op_random_contrast = {
    .name = "RandomContrast",
    .summary = "Moves each channel away from its mean or towards it.",
    .options = options,
    .ctx_size = sizeof(struct random_contrast),
    .flags = OP_RANDOM,
    .params = params,
    .init = init,
    .check = op_colour_check_float,
    .draw = draw,
    .run = run,
};
