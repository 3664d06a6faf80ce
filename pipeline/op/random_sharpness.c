/* random_sharpness - smooths or sharpens pictures. */
#include <string.h>

#include "pipeline/op_colour.h"

extern const struct op_desc op_random_sharpness;

struct random_sharpness {
    struct opt_floats factor;
    float range[2];
    OP_COLOUR_RANGE_FIELD;
};
static const struct opt options[] = {
    OPT_FLOATS_ROW(random_sharpness, factor, NULL, 1, 2, 0, 0,
                   "0 smooth, 0.5 as it is, 1 sharp: a number f is 0..f, or a pair.",
                   .flags = OPT_REQUIRED),
    OP_COLOUR_RANGE_ROW(random_sharpness),
    OPT_END_ROW,
};
static const struct op_param params[] = {{"factor", 1}, {NULL, 0}};

static int init(void *ctx, struct arena *arena, struct err *err)
{
    struct random_sharpness *k = ctx;
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
    const struct random_sharpness *k = ctx;
    (void)in;
    drawn[0] = rng_range(rng, k->range[0], k->range[1]);
}

static int run(const void *ctx, const float *drawn, const struct op_key *key,
               const struct tensor *in, struct tensor *out, struct op_scratch *scratch,
               struct err *err)
{
    const struct random_sharpness *k = ctx;
    (void)key, (void)err;
    const int64_t n = op_colour_begin(in, out), height = in->shape.d[0], width = in->shape.d[1],
                  channels = in->shape.d[2];
    float *v = out->data, *from = op_scratch_need(scratch, (size_t)n * sizeof *from);
    memcpy(from, v, (size_t)n * sizeof *from);
    for (int64_t y = 0; y < height; y++) {
        for (int64_t x = 0; x < width; x++) {
            for (int64_t c = 0; c < channels; c++) {
                float sum = 0;
                for (int64_t i = y > 0 ? y - 1 : 0; i <= y + 1 && i < height; i++) {
                    for (int64_t j = x > 0 ? x - 1 : 0; j <= x + 1 && j < width; j++) {
                        sum += from[(i * width + j) * channels + c] *
                               (i == y && j == x ? 5.0f / 13 : 1.0f / 13);
                    }
                }
                float *to = &v[(y * width + x) * channels + c];
                *to = *to + (1 - 2 * drawn[0]) * (sum - *to);
            }
        }
    }
    op_colour_clip(v, n, &k->value_range);
    return 0;
}

const struct op_desc op_random_sharpness = {
    .name = "RandomSharpness",
    .summary = "Moves each pixel towards the mean of its neighbours or away from it.",
    .options = options,
    .ctx_size = sizeof(struct random_sharpness),
    .flags = OP_RANDOM,
    .params = params,
    .init = init,
    .check = op_colour_check,
    .draw = draw,
    .run = run,
};
