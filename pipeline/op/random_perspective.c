/* random_perspective - pictures as if seen from another side. */
#include <string.h>

#include "pipeline/op_fill.h"

extern const struct op_desc op_random_perspective;

struct random_perspective {
    struct opt_floats factor, scale;
    int interpolation;
    float fill_value;
    float chance[2], range[2];
};
static const struct opt options[] = {
    OPT_FLOATS_ROW(
        random_perspective, factor, "1", 1, 2, 0, 0,
        "Chance of a picture to be changed, itself drawn: a number f is 0..f, or a pair."),
    OPT_FLOATS_ROW(random_perspective, scale, "1", 1, 1, 0, 1,
                   "How far a corner moves at most, in halves of its distance from the first one."),
    OPT_ENUM_ROW(random_perspective, interpolation, AFFINE_BILINEAR, op_fill_interpolations,
                 "Between pixels: a mean, or the nearest one."),
    OPT_F32_ROW(random_perspective, fill_value, 0, -1e30, 1e30, "Value beside the picture."),
    OPT_END_ROW,
};
static const struct op_param params[] = {{"apply_perspective", 1}, {"end_points", 8}, {NULL, 0}};

static int init(void *ctx, struct arena *arena, struct err *err)
{
    static const struct op_bounds bounds = {0, 1, false, false};
    struct random_perspective *k = ctx;
    (void)arena;
    k->range[1] = (float)k->scale.v[0] / 2;
    k->range[0] = -k->range[1];
    return op_factor(&k->factor, "factor", &bounds, k->chance, err);
}

/* x and y of the corners: above left, above right, below left, below right. */
static void corners(int64_t height, int64_t width, float ret[8])
{
    const float right = (float)(width - 1), bottom = (float)(height - 1);
    const float all[8] = {0, 0, right, 0, 0, bottom, right, bottom};
    memcpy(ret, all, sizeof all);
}

static void draw(const void *ctx, const struct op_spec *in, struct rng *rng, float *drawn)
{
    const struct random_perspective *k = ctx;
    const float chance = rng_range(rng, k->chance[0], k->chance[1]);
    drawn[0] = rng_f32(rng) < chance ? 1 : 0;
    corners(in->shape.d[0], in->shape.d[1], drawn + 1);
    for (int i = 1; i <= 8; i++) {
        drawn[i] += drawn[i] * rng_range(rng, k->range[0], k->range[1]);
    }
}

static int check(const void *ctx, const struct op_spec *in, struct op_spec *out, struct err *err)
{
    (void)ctx, (void)out; /* float32 of the same shape */
    return op_check_image(in, err);
}

static int run(const void *ctx, const float *drawn, const struct op_key *key,
               const struct tensor *in, struct tensor *out, struct op_scratch *scratch,
               struct err *err)
{
    const struct random_perspective *k = ctx;
    const struct affine_image image = {in->dtype, in->shape.d[0], in->shape.d[1], in->shape.d[2],
                                       in->data};
    struct affine affine = {
        .fill = AFFINE_CONSTANT, .interpolation = k->interpolation, .fill_value = k->fill_value};
    (void)key, (void)scratch, (void)err;
    affine_identity(affine.m);
    if (drawn[0] > 0) {
        float start[8];
        corners(image.height, image.width, start);
        affine_perspective(affine.m, drawn + 1, start);
    }
    affine_run(&affine, &image, out->data);
    return 0;
}

const struct op_desc op_random_perspective = {
    .name = "RandomPerspective",
    .summary = "Moves the corners of some pictures, each in proportion to its distance from the "
               "upper left one, which stays.",
    .options = options,
    .ctx_size = sizeof(struct random_perspective),
    .flags = OP_RANDOM,
    .params = params,
    .init = init,
    .check = check,
    .draw = draw,
    .run = run,
};
