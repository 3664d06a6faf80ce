/* random_grayscale - takes the colours out of pictures. */
#include "pipeline/op_colour.h"

extern const struct op_desc op_random_grayscale;

struct random_grayscale {
    float factor;
};
static const struct opt options[] = {
    OPT_F32_ROW(random_grayscale, factor, 0.5, 0, 1, "Chance."),
    OPT_END_ROW,
};
static const struct op_param params[] = {{"should_apply", 1}, {NULL, 0}};

static void draw(const void *ctx, const struct op_spec *in, struct rng *rng, float *drawn)
{
    const struct random_grayscale *k = ctx;
    (void)in;
    drawn[0] = rng_f32(rng) < k->factor;
}

static int run(const void *ctx, const float *drawn, const struct op_key *key,
               const struct tensor *in, struct tensor *out, struct op_scratch *scratch,
               struct err *err)
{
    (void)ctx;
    (void)key, (void)scratch, (void)err;
    const int64_t n = op_colour_begin(in, out);
    float *v = out->data;
    for (int64_t i = 0; drawn[0] > 0 && i < n; i += 3) {
        v[i] = v[i + 1] = v[i + 2] = op_colour_grey(v + i);
    }
    return 0;
}

const struct op_desc op_random_grayscale = {
    .name = "RandomGrayscale",
    .summary = "Makes some pictures grey; they keep three channels.",
    .options = options,
    .ctx_size = sizeof(struct random_grayscale),
    .flags = OP_RANDOM,
    .params = params,
    .check = op_colour_check_rgb,
    .draw = draw,
    .run = run,
};
