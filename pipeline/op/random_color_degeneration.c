/* random_color_degeneration - fades or strengthens the colours of pictures. */
#include "pipeline/op_colour.h"

extern const struct op_desc op_random_color_degeneration;

static const struct opt options[] = {
    OP_COLOUR_FACTOR_ROWS(
        "How far towards grey: a number f is -f..f (below 0: more colour), or a pair."),
    OPT_END_ROW,
};
static const struct op_param params[] = {{"factor", 1}, {NULL, 0}};

static int run(const void *ctx, const float *drawn, const struct op_key *key,
               const struct tensor *in, struct tensor *out, struct op_scratch *scratch,
               struct err *err)
{
    const struct op_colour_factor *k = ctx;
    (void)key, (void)scratch, (void)err;
    const int64_t n = op_colour_begin(in, out);
    float *v = out->data;
    for (int64_t i = 0; i < n; i += 3) {
        const float grey = op_colour_grey(v + i);
        for (int c = 0; c < 3; c++) {
            v[i + c] = v[i + c] + drawn[0] * (grey - v[i + c]);
        }
    }
    op_colour_clip(v, n, &k->value_range);
    return 0;
}

const struct op_desc op_random_color_degeneration = {
    .name = "RandomColorDegeneration",
    .summary = "Moves colours towards grey or away from it.",
    .options = options,
    .ctx_size = sizeof(struct op_colour_factor),
    .flags = OP_RANDOM,
    .params = params,
    .init = op_colour_init_signed,
    .check = op_colour_check_rgb,
    .draw = op_colour_draw,
    .run = run,
};
