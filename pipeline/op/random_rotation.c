/* random_rotation - turns pictures about their middle. */
#include "pipeline/op_fill.h"

extern const struct op_desc op_random_rotation;

struct random_rotation {
    struct opt_floats factor;
    OP_FILL_FIELDS;
    float range[2];
};
static const struct opt options[] = {
    OPT_FLOATS_ROW(
        random_rotation, factor, NULL, 1, 2, 0, 0,
        "Fraction of a full turn: a number f is -f..f, or a pair. Positive is counter-clockwise.",
        .flags = OPT_REQUIRED),
    OP_FILL_ROWS(random_rotation),
    OPT_END_ROW,
};
static const struct op_param params[] = {{"angle", 1}, {NULL, 0}}; /* degrees */

static int init(void *ctx, struct arena *arena, struct err *err)
{
    static const struct op_bounds bounds = {-1, 1, false, false};
    struct random_rotation *k = ctx;
    (void)arena;
    return op_factor(&k->factor, "factor", &bounds, k->range, err);
}

static void draw(const void *ctx, const struct op_spec *in, struct rng *rng, float *drawn)
{
    const struct random_rotation *k = ctx;
    (void)in;
    drawn[0] = rng_range(rng, 360 * k->range[0], 360 * k->range[1]);
}

static void affine(const void *ctx, const float *drawn, int64_t height, int64_t width,
                   struct affine *ret)
{
    const struct random_rotation *k = ctx;
    *ret = (struct affine){
        .fill = k->fill_mode, .interpolation = k->interpolation, .fill_value = k->fill_value};
    affine_rotation(ret->m, drawn[0], height, width);
}

const struct op_desc op_random_rotation = {
    .name = "RandomRotation",
    .summary = "Turns each picture about its middle by a random angle.",
    .options = options,
    .ctx_size = sizeof(struct random_rotation),
    .flags = OP_RANDOM | OP_GEOMETRIC,
    .params = params,
    .init = init,
    .draw = draw,
    .affine = affine,
};
