/* random_translation - shifts pictures. */
#include "pipeline/op_fill.h"

extern const struct op_desc op_random_translation;

struct random_translation {
    struct opt_floats height_factor, width_factor;
    OP_FILL_FIELDS;
    float height[2], width[2];
};
static const struct opt options[] = {
    OPT_FLOATS_ROW(
        random_translation, height_factor, NULL, 1, 2, 0, 0,
        "Shift as a part of the height: a number f is -f..f, or a pair. Positive is down.",
        .flags = OPT_REQUIRED),
    OPT_FLOATS_ROW(random_translation, width_factor, NULL, 1, 2, 0, 0,
                   "Shift as a part of the width. Positive is right.", .flags = OPT_REQUIRED),
    OP_FILL_ROWS(random_translation),
    OPT_END_ROW,
};
static const struct op_param params[] = {{"translations", 2}, {NULL, 0}}; /* dx, dy in pixels */

static int init(void *ctx, struct arena *arena, struct err *err)
{
    static const struct op_bounds bounds = {-1, 1, true, false};
    struct random_translation *k = ctx;
    (void)arena;
    int r = op_factor(&k->height_factor, "height_factor", &bounds, k->height, err);
    return r < 0 ? r : op_factor(&k->width_factor, "width_factor", &bounds, k->width, err);
}

static void draw(const void *ctx, const struct op_spec *in, struct rng *rng, float *drawn)
{
    const struct random_translation *k = ctx;
    drawn[1] = (float)in->shape.d[0] * rng_range(rng, k->height[0], k->height[1]);
    drawn[0] = (float)in->shape.d[1] * rng_range(rng, k->width[0], k->width[1]);
}

static void affine(const void *ctx, const float *drawn, int64_t height, int64_t width,
                   struct affine *ret)
{
    const struct random_translation *k = ctx;
    (void)height, (void)width;
    *ret = (struct affine){
        .fill = k->fill_mode, .interpolation = k->interpolation, .fill_value = k->fill_value};
    affine_translation(ret->m, drawn[1], drawn[0]);
}

const struct op_desc op_random_translation = {
    .name = "RandomTranslation",
    .summary = "Shifts each picture.",
    .options = options,
    .ctx_size = sizeof(struct random_translation),
    .flags = OP_RANDOM | OP_GEOMETRIC,
    .params = params,
    .init = init,
    .draw = draw,
    .affine = affine,
};
