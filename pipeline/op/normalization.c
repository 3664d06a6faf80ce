/* normalization - (in - mean) / deviation with given numbers, as Keras's Normalization after adapt.
 */
#include <math.h>

#include "pipeline/op.h"

extern const struct op_desc op_normalization;

struct normalization {
    const struct doc *axis;
    struct opt_floats mean, variance;
    bool invert;
    float *middle, *deviation; /* one, or one a channel */
    int64_t n;
};
static const struct opt options[] = {
    OPT_DOC_ROW(normalization, axis, "-1 (the channels) or null (one number for all).",
                .flags = OPT_NULLABLE),
    OPT_FLOATS_ROW(normalization, mean, NULL, 1, 0, 0, 0, "Mean; one number, or one a channel.",
                   .flags = OPT_REQUIRED),
    OPT_FLOATS_ROW(normalization, variance, NULL, 1, 0, 0, 1e30, "Variance, as many numbers.",
                   .flags = OPT_REQUIRED),
    OPT_BOOL_ROW(normalization, invert, false, "Undo it: in * deviation + mean."),
    OPT_END_ROW,
};

static int init(void *ctx, struct arena *arena, struct err *err)
{
    struct normalization *k = ctx;
    if (k->axis != NULL && k->axis->type != DOC_NULL &&
        !(k->axis->type == DOC_INT && k->axis->i == -1)) {
        return err_set_at(err, ERR_UNSUPPORTED, "axis", "in the pipeline it is -1 or null");
    }
    if (k->mean.n != k->variance.n) {
        return err_set_at(err, ERR_SHAPE, "variance", "%zu numbers beside %zu of mean",
                          k->variance.n, k->mean.n);
    }
    k->n = (int64_t)k->mean.n;
    k->middle = arena_array(arena, k->mean.n, sizeof *k->middle);
    k->deviation = arena_array(arena, k->mean.n, sizeof *k->deviation);
    for (size_t i = 0; i < k->mean.n; i++) {
        const float deviation = sqrtf((float)k->variance.v[i]);
        k->middle[i] = (float)k->mean.v[i];
        k->deviation[i] = deviation > 1e-7f ? deviation : 1e-7f;
    }
    return 0;
}

static int check(const void *ctx, const struct op_spec *in, struct op_spec *out, struct err *err)
{
    const struct normalization *k = ctx;
    char text[128];
    (void)out;
    const int64_t channels = in->shape.rank > 0 ? in->shape.d[in->shape.rank - 1] : 1;
    op_shape_text(in, text, sizeof text);
    return k->n == 1 || k->n == channels || channels < 0
               ? 0
               : err_set_at(err, ERR_SHAPE, "mean", "%lld numbers do not fit the channels of %s",
                            (long long)k->n, text);
}

static int run(const void *ctx, const float *params, const struct op_key *key,
               const struct tensor *in, struct tensor *out, struct op_scratch *scratch,
               struct err *err)
{
    const struct normalization *k = ctx;
    float *to = out->data;
    int64_t n;
    (void)params, (void)key, (void)scratch;
    int r = shape_count(&in->shape, &n);
    if (r < 0) {
        return err_set(err, r, "the sample is too large");
    }
    op_to_floats(in, n, to);
    for (int64_t i = 0; i < n; i += k->n) {
        for (int64_t c = 0; c < k->n; c++) {
            to[i + c] = k->invert ? to[i + c] * k->deviation[c] + k->middle[c]
                                  : (to[i + c] - k->middle[c]) / k->deviation[c];
        }
    }
    return 0;
}

static void linear(const void *ctx, int64_t n, float *factor, float *term)
{
    const struct normalization *k = ctx;
    for (int64_t i = 0; i < n; i++) {
        const float middle = k->middle[k->n > 1 ? i : 0],
                    deviation = k->deviation[k->n > 1 ? i : 0];
        factor[i] = k->invert ? deviation : 1 / deviation;
        term[i] = k->invert ? middle : -middle / deviation;
    }
}

const struct op_desc op_normalization = {
    .name = "Normalization",
    .summary = "Subtracts `mean` and divides by the root of `variance`.",
    .options = options,
    .ctx_size = sizeof(struct normalization),
    .flags = OP_CHANNELS,
    .init = init,
    .check = check,
    .run = run,
    .linear = linear,
};
