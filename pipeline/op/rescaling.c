/* rescaling - in * scale + offset, as Keras's Rescaling. */
#include "pipeline/op.h"

extern const struct op_desc op_rescaling;

struct rescaling {
    struct opt_floats scale, offset; /* one, or one a channel */
};
static const struct opt options[] = {
    OPT_FLOATS_ROW(rescaling, scale, NULL, 1, 0, 0, 0, "Factor; one number, or one a channel.",
                   .flags = OPT_REQUIRED),
    OPT_FLOATS_ROW(rescaling, offset, "0", 1, 0, 0, 0, "Term; one number, or one a channel."),
    OPT_END_ROW,
};

static int check_count(const char *row, const struct opt_floats *given, const struct op_spec *in,
                       struct err *err)
{
    const int64_t channels = in->shape.rank > 0 ? in->shape.d[in->shape.rank - 1] : 1;
    if (given->n == 1 || (int64_t)given->n == channels || channels < 0) {
        return 0;
    }
    char text[128];
    op_shape_text(in, text, sizeof text);
    return err_set_at(err, ERR_SHAPE, row, "%zu numbers do not fit the channels of %s", given->n,
                      text);
}

static int check(const void *ctx, const struct op_spec *in, struct op_spec *out, struct err *err)
{
    const struct rescaling *k = ctx;
    (void)out; /* unchanged shape, float32 */
    int r = check_count("scale", &k->scale, in, err);
    return r < 0 ? r : check_count("offset", &k->offset, in, err);
}

static void linear(const void *ctx, int64_t n, float *factor, float *term)
{
    const struct rescaling *k = ctx;
    for (int64_t i = 0; i < n; i++) {
        factor[i] = (float)k->scale.v[k->scale.n > 1 ? i : 0];
        term[i] = (float)k->offset.v[k->offset.n > 1 ? i : 0];
    }
}

static void run_bytes(const uint8_t *in, int64_t n, float scale, float offset, float *out)
{
    for (int64_t i = 0; i < n; i++) {
        out[i] = (float)in[i] * scale + offset;
    }
}

static void run_floats(const float *in, int64_t n, float scale, float offset, float *out)
{
    for (int64_t i = 0; i < n; i++) {
        out[i] = in[i] * scale + offset;
    }
}

static int run(const void *ctx, const float *params, const struct op_key *key,
               const struct tensor *in, struct tensor *out, struct op_scratch *scratch,
               struct err *err)
{
    const struct rescaling *k = ctx;
    (void)params, (void)key, (void)scratch;
    int64_t n;
    int r = shape_count(&in->shape, &n);
    if (r < 0) {
        return err_set(err, r, "the sample is too large");
    }
    if (k->scale.n == 1 && k->offset.n == 1) {
        if (in->dtype == DTYPE_U8) {
            run_bytes(in->data, n, (float)k->scale.v[0], (float)k->offset.v[0], out->data);
        } else if (in->dtype == DTYPE_F32) {
            run_floats(in->data, n, (float)k->scale.v[0], (float)k->offset.v[0], out->data);
        } else {
            op_to_floats(in, n, out->data);
            run_floats(out->data, n, (float)k->scale.v[0], (float)k->offset.v[0], out->data);
        }
        return 0;
    }
    float *to = out->data;
    const int64_t channels = (int64_t)(k->scale.n > 1 ? k->scale.n : k->offset.n);
    op_to_floats(in, n, to);
    for (int64_t i = 0; i < n; i += channels) {
        for (int64_t c = 0; c < channels; c++) {
            to[i + c] = to[i + c] * (float)k->scale.v[k->scale.n > 1 ? c : 0] +
                        (float)k->offset.v[k->offset.n > 1 ? c : 0];
        }
    }
    return 0;
}

const struct op_desc op_rescaling = {
    .name = "Rescaling",
    .summary = "Multiplies by `scale` and adds `offset`.",
    .options = options,
    .ctx_size = sizeof(struct rescaling),
    .flags = OP_CHANNELS,
    .check = check,
    .run = run,
    .linear = linear,
};
