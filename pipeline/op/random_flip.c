/* random_flip - mirrors half of the pictures. */
#include "pipeline/op.h"

#include <string.h>

extern const struct op_desc op_random_flip;

enum { ACROSS = 1, DOWN = 2 };
struct random_flip {
    const char *mode;
    int axes; /* of mode */
};
static const struct opt_name modes[] = {{"horizontal_and_vertical", ACROSS | DOWN},
                                        {"horizontal", ACROSS},
                                        {"vertical", DOWN},
                                        {NULL, 0}};
static const struct opt options[] = {
    OPT_STR_ROW(random_flip, mode, "horizontal_and_vertical",
                "horizontal, vertical, or horizontal_and_vertical: one coin for both, half of the "
                "pictures are turned by 180 "
                "degrees. As in Keras, another text does nothing."),
    OPT_END_ROW,
};
static const struct op_param params[] = {{"flips", 1}, {NULL, 0}};

static int init(void *ctx, struct arena *arena, struct err *err)
{
    struct random_flip *k = ctx;
    (void)arena, (void)err;
    for (const struct opt_name *row = modes; row->name; row++) {
        k->axes |= strcmp(row->name, k->mode) == 0 ? row->value : 0;
    }
    return 0;
}

static void draw(const void *ctx, const struct op_spec *in, struct rng *rng, float *drawn)
{
    (void)ctx, (void)in;
    drawn[0] = rng_f32(rng) <= 0.5f;
}

static void affine(const void *ctx, const float *drawn, int64_t height, int64_t width,
                   struct affine *ret)
{
    const struct random_flip *k = ctx;
    const bool flips = drawn[0] > 0;
    *ret = (struct affine){.fill = AFFINE_EDGE, .interpolation = AFFINE_NEAREST};
    affine_flip(ret->m, flips && (k->axes & ACROSS) != 0, flips && (k->axes & DOWN) != 0, height,
                width);
}

const struct op_desc op_random_flip = {
    .name = "RandomFlip",
    .summary = "Mirrors each picture with probability one half.",
    .options = options,
    .ctx_size = sizeof(struct random_flip),
    .flags = OP_RANDOM | OP_GEOMETRIC | OP_EXACT_PLACES,
    .params = params,
    .init = init,
    .draw = draw,
    .affine = affine,
};
