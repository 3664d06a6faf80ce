/* auto_contrast - spreads the values of pictures over the whole range. */
#include "pipeline/op_colour.h"

extern const struct op_desc op_auto_contrast;

struct auto_contrast {
    OP_COLOUR_RANGE_FIELD;
};
static const struct opt options[] = {
    OP_COLOUR_RANGE_ROW(auto_contrast),
    OPT_END_ROW,
};

static int init(void *ctx, struct arena *arena, struct err *err)
{
    struct auto_contrast *k = ctx;
    (void)arena;
    return op_colour_check_range(&k->value_range, err);
}

static int run(const void *ctx, const float *drawn, const struct op_key *key,
               const struct tensor *in, struct tensor *out, struct op_scratch *scratch,
               struct err *err)
{
    const struct auto_contrast *k = ctx;
    (void)drawn, (void)key, (void)scratch, (void)err;
    const int64_t n = op_colour_begin(in, out), channels = in->shape.d[2];
    const float base = (float)k->value_range.v[0], span = (float)k->value_range.v[1] - base;
    float *v = out->data;
    for (int64_t c = 0; c < channels; c++) {
        float low = v[c], high = v[c];
        for (int64_t i = c; i < n; i += channels) {
            low = v[i] < low ? v[i] : low;
            high = v[i] > high ? v[i] : high;
        }
        for (int64_t i = c; high > low && i < n; i += channels) {
            v[i] = op_colour_clamp((v[i] - low) * (255 / (high - low)), 0, 255) / 255 * span + base;
        }
    }
    return 0;
}

const struct op_desc op_auto_contrast = {
    .name = "AutoContrast",
    .summary = "Stretches each channel of each picture to the whole value range; no draw.",
    .options = options,
    .ctx_size = sizeof(struct auto_contrast),
    .init = init,
    .check = op_colour_check,
    .run = run,
};
