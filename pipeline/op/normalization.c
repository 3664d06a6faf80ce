/* normalization - (in - mean) / deviation with given numbers, as Keras's Normalization after adapt.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/adapt.h"
#include "pipeline/op.h"

extern const struct op_desc op_normalization;

enum { TILE = 16 };

struct normalization {
    const struct doc *axis;
    struct opt_floats mean, variance;
    bool invert;
    float *middle, *deviation; /* one, or one a channel; TILE times, for long runs of channels */
    int64_t n;
};
static const struct opt options[] = {
    OPT_DOC_ROW(normalization, axis, "-1 (the channels) or null (one number for all).",
                .flags = OPT_NULLABLE),
    OPT_FLOATS_ROW(normalization, mean, NULL, 1, 0, 0, 0,
                   "Mean; one number, or one a channel. Without: learned from the data.",
                   .flags = OPT_NULLABLE),
    OPT_FLOATS_ROW(normalization, variance, NULL, 1, 0, 0, 1e30, "Variance, as many numbers.",
                   .flags = OPT_NULLABLE),
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
        const char *absent = k->mean.n == 0 ? "mean" : k->variance.n == 0 ? "variance" : NULL;
        return absent != NULL
                   ? err_set_at(err, ERR_MISSING, absent, "is not given beside the other one")
                   : err_set_at(err, ERR_SHAPE, "variance", "%zu numbers beside %zu of mean",
                                k->variance.n, k->mean.n);
    }
    k->n = (int64_t)k->mean.n;
    k->middle = arena_array(arena, k->mean.n * TILE, sizeof *k->middle);
    k->deviation = arena_array(arena, k->mean.n * TILE, sizeof *k->deviation);
    for (size_t i = 0; i < k->mean.n; i++) {
        const float deviation = sqrtf((float)k->variance.v[i]);
        k->middle[i] = (float)k->mean.v[i];
        k->deviation[i] = deviation > 1e-7f ? deviation : 1e-7f;
    }
    for (size_t i = k->mean.n; i < k->mean.n * TILE; i++) {
        k->middle[i] = k->middle[i - k->mean.n];
        k->deviation[i] = k->deviation[i - k->mean.n];
    }
    return 0;
}

/* n values, at most TILE of each channel. */
static void run_tile(const struct normalization *k, const float *in, int64_t n, float *out)
{
    const float *middle = k->middle, *deviation = k->deviation;
    if (k->invert) {
        for (int64_t i = 0; i < n; i++) {
            out[i] = in[i] * deviation[i] + middle[i];
        }
    } else {
        for (int64_t i = 0; i < n; i++) {
            out[i] = (in[i] - middle[i]) / deviation[i];
        }
    }
}

static int check(const void *ctx, const struct op_spec *in, struct op_spec *out, struct err *err)
{
    const struct normalization *k = ctx;
    (void)out;
    if (k->n == 0) {
        return err_set_at(err, ERR_MISSING, "mean", "is not given, and none was learned");
    }
    const int64_t channels = in->shape.rank > 0 ? in->shape.d[in->shape.rank - 1] : 1;
    if (k->n == 1 || k->n == channels || channels < 0) {
        return 0;
    }
    char text[128];
    op_shape_text(in, text, sizeof text);
    return err_set_at(err, ERR_SHAPE, "mean", "%lld numbers do not fit the channels of %s",
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
    const float *from = in->dtype == DTYPE_F32 ? in->data : to;
    const int64_t tile = k->n * TILE;
    if (in->dtype != DTYPE_F32) {
        op_to_floats(in, n, to);
    }
    for (int64_t i = 0; i < n; i += tile) {
        run_tile(k, from + i, n - i < tile ? n - i : tile, to + i);
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

/* ---- learning */

struct learned {
    const struct doc *axis;
    struct arena arena;
    struct adapt adapt; /* from the first sample on */
    bool has_shape;
};

static int create(const void *ctx, void **ret, struct err *err)
{
    const struct normalization *k = ctx;
    if (k->n > 0) {
        return err_set_at(err, ERR_INVALID, "mean", "is given; there is nothing to learn");
    }
    struct learned *state = calloc(1, sizeof *state);
    if (state == NULL) {
        return err_set(err, ERR_NO_MEMORY, "no memory to learn");
    }
    state->axis = k->axis;
    arena_init(&state->arena);
    *ret = state;
    return 0;
}

static void destroy(void *state)
{
    struct learned *k = state;
    if (k != NULL) {
        arena_fini(&k->arena);
        free(k);
    }
}

static int set_shape(struct learned *k, const struct shape *sample, struct err *err)
{
    static const struct doc all = {.type = DOC_NULL};
    if (k->has_shape) {
        return 0;
    }
    /* A single number has no axis to keep. */
    const struct doc *axis = sample->rank == 0 ? &all : k->axis;
    int r = adapt_init(&k->adapt, axis, sample, &k->arena, err);
    k->has_shape = r == 0;
    return r;
}

static int add(void *state, int64_t batch, const struct tensor *in, struct err *err)
{
    struct learned *k = state;
    (void)batch;
    int r = set_shape(k, &in->shape, err);
    return r < 0 ? r : adapt_add_sample(&k->adapt, in, err);
}

static int merge(void *state, void *other, struct err *err)
{
    struct learned *k = state, *from = other;
    if (!from->has_shape) {
        return 0;
    }
    int r = set_shape(k, &from->adapt.sample, err);
    return r < 0 ? r : adapt_merge(&k->adapt, &from->adapt, err);
}

static int finish(void *state, struct doc *options_of, struct arena *arena, struct err *err)
{
    struct learned *k = state;
    if (!k->has_shape || k->adapt.samples == 0) {
        return err_set(err, ERR_EMPTY, "there is no sample in the data");
    }
    float *mean = arena_array(arena, k->adapt.n, sizeof *mean),
          *variance = arena_array(arena, k->adapt.n, sizeof *variance);
    adapt_result(&k->adapt, mean, variance);
    struct doc *means = doc_new(arena), *variances = doc_new(arena);
    doc_set_list(means);
    doc_set_list(variances);
    for (size_t i = 0; i < k->adapt.n; i++) {
        doc_set_float(doc_push(means, arena), (double)mean[i]);
        doc_set_float(doc_push(variances, arena), (double)variance[i]);
    }
    *doc_put(options_of, arena, "mean") = *means;
    *doc_put(options_of, arena, "variance") = *variances;
    return 0;
}

/* The sample's shape, then the sums. */
static void save(void *state, struct buf *out)
{
    struct learned *k = state;
    if (k->has_shape) {
        buf_put(out, &k->adapt.sample, sizeof k->adapt.sample);
        adapt_save(&k->adapt, out);
    }
}

static int load(void *state, const void *data, size_t size, struct err *err)
{
    struct learned *k = state;
    struct shape sample;
    if (size == 0) {
        return 0;
    }
    if (size < sizeof sample) {
        return err_set(err, ERR_CORRUPT, "sums that are cut short");
    }
    memcpy(&sample, data, sizeof sample);
    if (sample.rank < 0 || sample.rank > SHAPE_RANK_MAX) {
        return err_set(err, ERR_CORRUPT, "sums of no shape");
    }
    int r = set_shape(k, &sample, err);
    return r < 0 ? r
                 : adapt_load(&k->adapt, (const char *)data + sizeof sample, size - sizeof sample,
                              err);
}

static const struct op_learn learning = {
    .create = create,
    .destroy = destroy,
    .add = add,
    .merge = merge,
    .finish = finish,
    .save = save,
    .load = load,
};

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
    .learn = &learning,
};
