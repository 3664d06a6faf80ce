/* random_zoom - enlarges or shrinks pictures about their middle. */
#include "pipeline/op_fill.h"

extern const struct op_desc op_random_zoom;

struct random_zoom {
    struct opt_floats height_factor, width_factor;
    OP_FILL_FIELDS;
    float height[2], width[2];
};
static const struct opt options[] = {
    OPT_FLOATS_ROW(random_zoom, height_factor, NULL, 1, 2, 0, 0,
                   "Range of the zoom less 1: a number f is -f..f, or a pair. Above 0 shows more, "
                   "below 0 less.",
                   .flags = OPT_REQUIRED),
    OPT_FLOATS_ROW(random_zoom, width_factor, NULL, 1, 2, 0, 0,
                   "The same across; without it the picture keeps its proportions.",
                   .flags = OPT_NULLABLE),
    OP_FILL_ROWS(random_zoom),
    OPT_END_ROW,
};
static const struct op_param params[] = {{"height_zoom", 1}, {"width_zoom", 1}, {NULL, 0}};

static int init(void *ctx, struct arena *arena, struct err *err)
{
    static const struct op_bounds bounds = {-1, 1, true, true};
    struct random_zoom *k = ctx;
    (void)arena;
    int r = op_factor(&k->height_factor, "height_factor", &bounds, k->height, err);
    return r < 0 || k->width_factor.n == 0
               ? r
               : op_factor(&k->width_factor, "width_factor", &bounds, k->width, err);
}

static void draw(const void *ctx, const struct op_spec *in, struct rng *rng, float *drawn)
{
    const struct random_zoom *k = ctx;
    (void)in;
    drawn[0] = rng_range(rng, 1 + k->height[0], 1 + k->height[1]);
    drawn[1] = k->width_factor.n > 0 ? rng_range(rng, 1 + k->width[0], 1 + k->width[1]) : drawn[0];
}

static void affine(const void *ctx, const float *drawn, int64_t height, int64_t width,
                   struct affine *ret)
{
    const struct random_zoom *k = ctx;
    *ret = (struct affine){
        .fill = k->fill_mode, .interpolation = k->interpolation, .fill_value = k->fill_value};
    affine_zoom(ret->m, drawn[0], drawn[1], height, width);
}

const struct op_desc op_random_zoom = {
    .name = "RandomZoom",
    .summary = "Enlarges or shrinks each picture about its middle.",
    .options = options,
    .ctx_size = sizeof(struct random_zoom),
    .flags = OP_RANDOM | OP_GEOMETRIC,
    .params = params,
    .init = init,
    .draw = draw,
    .affine = affine,
};
