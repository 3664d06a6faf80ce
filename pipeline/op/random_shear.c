/* random_shear - slants pictures. */
#include "pipeline/op_fill.h"

extern const struct op_desc op_random_shear;

struct random_shear {
    struct opt_floats x_factor, y_factor;
    OP_FILL_FIELDS;
    float x[2], y[2];
};
static const struct opt options[] = {
    OPT_FLOATS_ROW(random_shear, x_factor, "0", 1, 2, 0, 0,
                   "Shift across for each row: a number f is -f..f, a pair one of its numbers to "
                   "either side."),
    OPT_FLOATS_ROW(random_shear, y_factor, "0", 1, 2, 0, 0,
                   "Shift down for each column, likewise."),
    OP_FILL_ROWS(random_shear),
    OPT_END_ROW,
};
static const struct op_param params[] = {{"shear_factor", 2}, {NULL, 0}}; /* x, y */

static int read_factor(const struct opt_floats *given, const char *row, float ret[2],
                       struct err *err)
{
    static const struct op_bounds bounds = {0, 1, true, false};
    int r = op_factor(given, row, &bounds, ret, err);
    if (given->n == 1) {
        ret[0] = -ret[1];
    }
    return r;
}

static int init(void *ctx, struct arena *arena, struct err *err)
{
    struct random_shear *k = ctx;
    (void)arena;
    int r = read_factor(&k->x_factor, "x_factor", k->x, err);
    return r < 0 ? r : read_factor(&k->y_factor, "y_factor", k->y, err);
}

static void draw(const void *ctx, const struct op_spec *in, struct rng *rng, float *drawn)
{
    const struct random_shear *k = ctx;
    (void)in;
    const float sign = rng_f32(rng) > 0.5f ? -1.0f : 1.0f;
    drawn[0] = sign * rng_range(rng, k->x[0], k->x[1]);
    drawn[1] = sign * rng_range(rng, k->y[0], k->y[1]);
}

/* About the corner (0, 0), not the middle: Keras's rule. */
static void affine(const void *ctx, const float *drawn, int64_t height, int64_t width,
                   struct affine *ret)
{
    const struct random_shear *k = ctx;
    (void)height, (void)width;
    *ret = (struct affine){
        .fill = k->fill_mode, .interpolation = k->interpolation, .fill_value = k->fill_value};
    affine_identity(ret->m);
    ret->m[1] = drawn[0];
    ret->m[3] = drawn[1];
}

const struct op_desc op_random_shear = {
    .name = "RandomShear",
    .summary = "Slants each picture about its upper left corner.",
    .options = options,
    .ctx_size = sizeof(struct random_shear),
    .flags = OP_RANDOM | OP_GEOMETRIC,
    .params = params,
    .init = init,
    .draw = draw,
    .affine = affine,
};
