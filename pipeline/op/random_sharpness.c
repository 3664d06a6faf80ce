/* random_sharpness - smooths or sharpens pictures. */
#include <string.h>

#include "pipeline/op_colour.h"

extern const struct op_desc op_random_sharpness;

static const struct opt options[] = {
    OP_COLOUR_FACTOR_ROWS("0 smooth, 0.5 as it is, 1 sharp: a number f is 0..f, or a pair."),
    OPT_END_ROW,
};
static const struct op_param params[] = {{"factor", 1}, {NULL, 0}};

static int run(const void *ctx, const float *drawn, const struct op_key *key,
               const struct tensor *in, struct tensor *out, struct op_scratch *scratch,
               struct err *err)
{
    const struct op_colour_factor *k = ctx;
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
    .ctx_size = sizeof(struct op_colour_factor),
    .flags = OP_RANDOM,
    .params = params,
    .init = op_colour_init_unsigned,
    .check = op_colour_check,
    .draw = op_colour_draw,
    .run = run,
};
