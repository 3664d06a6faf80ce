/* random_erasing - puts noise or one colour into a box of pictures. */
#include <math.h>

#include "pipeline/op_colour.h"

extern const struct op_desc op_random_erasing;

struct random_erasing {
    struct opt_floats factor, scale, fill_value;
    float chance[2], range[2];
    OP_COLOUR_RANGE_FIELD;
};
static const struct opt options[] = {
    OPT_FLOATS_ROW(
        random_erasing, factor, "1", 1, 2, 0, 0,
        "Chance of a picture to be changed, itself drawn: a number f is 0..f, or a pair."),
    OPT_FLOATS_ROW(random_erasing, scale, "[0.02,0.33]", 1, 2, 0, 0,
                   "Part of the picture that is erased: the box's sides are roots of two draws."),
    OPT_FLOATS_ROW(random_erasing, fill_value, NULL, 1, 64, 0, 0,
                   "What the box is filled with, one number or one a channel; noise if not given.",
                   .flags = OPT_NULLABLE),
    OP_COLOUR_RANGE_ROW(random_erasing),
    OPT_END_ROW,
};
/* The box: x0 <= x < x0 + width, y likewise, none of them rounded. */
static const struct op_param params[] = {{"apply_erasing", 1}, {"x0", 1},     {"y0", 1},
                                         {"width", 1},         {"height", 1}, {NULL, 0}};

static int init(void *ctx, struct arena *arena, struct err *err)
{
    static const struct op_bounds bounds = {0, 1, false, false};
    struct random_erasing *k = ctx;
    (void)arena;
    int r = op_factor(&k->factor, "factor", &bounds, k->chance, err);
    r = r < 0 ? r : op_factor(&k->scale, "scale", &bounds, k->range, err);
    return r < 0 ? r : op_colour_check_range(&k->value_range, err);
}

static int check(const void *ctx, const struct op_spec *in, struct op_spec *out, struct err *err)
{
    const struct random_erasing *k = ctx;
    int r = op_colour_check(ctx, in, out, err);
    if (r == 0 && k->fill_value.n > 1 && in->shape.d[2] != (int64_t)k->fill_value.n) {
        char text[128];
        op_shape_text(in, text, sizeof text);
        return err_set_at(err, ERR_SHAPE, "fill_value", "has %zu numbers for pictures of %s",
                          k->fill_value.n, text);
    }
    return r;
}

static void draw(const void *ctx, const struct op_spec *in, struct rng *rng, float *drawn)
{
    const struct random_erasing *k = ctx;
    const float height = (float)in->shape.d[0], width = (float)in->shape.d[1];
    const float chance = rng_range(rng, k->chance[0], k->chance[1]);
    drawn[0] = rng_f32(rng) < chance ? 1 : 0;
    drawn[3] = sqrtf(rng_range(rng, k->range[0], k->range[1])) * width;
    drawn[4] = sqrtf(rng_range(rng, k->range[0], k->range[1])) * height;
    drawn[1] = rng_f32(rng) * (width - drawn[3]);
    drawn[2] = rng_f32(rng) * (height - drawn[4]);
}

/* The first whole number from `at` on, within 0..n. */
static int64_t edge(float at, int64_t n)
{
    return (int64_t)op_colour_clamp(ceilf(at), 0, (float)n);
}

static int run(const void *ctx, const float *drawn, const struct op_key *key,
               const struct tensor *in, struct tensor *out, struct op_scratch *scratch,
               struct err *err)
{
    const struct random_erasing *k = ctx;
    const int64_t height = in->shape.d[0], width = in->shape.d[1], channels = in->shape.d[2];
    const int64_t n = op_colour_begin(in, out);
    const float low = (float)k->value_range.v[0], high = (float)k->value_range.v[1];
    float *v = out->data;
    struct rng rng;
    (void)scratch, (void)err;
    op_colour_clip(v, n, &k->value_range);
    if (!(drawn[0] > 0)) {
        return 0;
    }
    const int64_t left = edge(drawn[1], width), right = edge(drawn[1] + drawn[3], width),
                  top = edge(drawn[2], height), bottom = edge(drawn[2] + drawn[4], height);
    op_noise(key, 0, &rng);
    for (int64_t y = top; y < bottom; y++) {
        for (int64_t i = left * channels; i < right * channels; i++) {
            const size_t at = k->fill_value.n > 1 ? (size_t)(i % channels) : 0;
            const float fill =
                k->fill_value.n > 0 ? (float)k->fill_value.v[at] : rng_normal(&rng) * high;
            v[y * width * channels + i] = op_colour_clamp(fill, low, high);
        }
    }
    return 0;
}

const struct op_desc op_random_erasing = {
    .name = "RandomErasing",
    .summary = "Fills a box of some pictures with noise or one colour.",
    .options = options,
    .ctx_size = sizeof(struct random_erasing),
    .flags = OP_RANDOM,
    .params = params,
    .init = init,
    .check = check,
    .draw = draw,
    .run = run,
};
