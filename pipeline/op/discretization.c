/* discretization - numbers to bins between boundaries, as Keras's Discretization. */
#include <stdlib.h>

#include "pipeline/bins.h"
#include "pipeline/op_encode.h"

extern const struct op_desc op_discretization;

enum { COUNTED_MAX = 32 };

struct discretization {
    struct opt_floats bin_boundaries;
    int64_t num_bins;
    double epsilon;
    int output_mode;
    bool sparse;
    float *boundaries;
    int64_t n; /* of them; -1: to be learned */
    struct op_encode encode;
};
static const struct opt options[] = {
    OPT_FLOATS_ROW(discretization, bin_boundaries, NULL, 0, 1 << 20, 0, 0,
                   "Ascending boundaries; a value that equals one lies above it.",
                   .flags = OPT_NULLABLE),
    OPT_I64_ROW(discretization, num_bins, 0, 0, 1 << 20,
                "How many bins to learn from the data instead.", .flags = OPT_NULLABLE),
    OPT_F64_ROW(discretization, epsilon, 0.01, 1e-6, 1,
                "How coarsely the data is summarized for that: a share of it."),
    OPT_ENUM_ROW(discretization, output_mode, OP_ENCODE_INT, op_encode_modes,
                 "What a bin becomes."),
    OPT_BOOL_ROW(discretization, sparse, false, "Accepted; batches are dense.",
                 .flags = OPT_IGNORED),
    OPT_END_ROW,
};

static int init(void *ctx, struct arena *arena, struct err *err)
{
    struct discretization *k = ctx;
    k->n = k->bin_boundaries.n > 0 ? (int64_t)k->bin_boundaries.n : -1;
    if (k->n < 0 && k->num_bins == 0) {
        return err_set_at(err, ERR_MISSING, "num_bins",
                          "is not given, and bin_boundaries are not either; one of them");
    }
    if (k->n >= 0 && k->num_bins > 0) {
        return err_set_at(err, ERR_INVALID, "num_bins",
                          "is given together with bin_boundaries; one of them");
    }
    k->encode = (struct op_encode){.mode = (enum op_encode_mode)k->output_mode,
                                   .depth = k->n + 1,
                                   .int_dtype = DTYPE_I32,
                                   .dtype = DTYPE_F32};
    k->boundaries = arena_array(arena, k->bin_boundaries.n + 1, sizeof *k->boundaries);
    for (int64_t i = 0; i < k->n; i++) {
        k->boundaries[i] = (float)k->bin_boundaries.v[i];
        if (i > 0 && k->boundaries[i] < k->boundaries[i - 1]) {
            return err_set_at(err, ERR_INVALID, "bin_boundaries",
                              "descend at %lld: %g stands behind %g", (long long)i,
                              (double)k->boundaries[i], (double)k->boundaries[i - 1]);
        }
    }
    return 0;
}

static int check(const void *ctx, const struct op_spec *in, struct op_spec *out, struct err *err)
{
    const struct discretization *k = ctx;
    if (k->n < 0) {
        return err_set_at(err, ERR_MISSING, "bin_boundaries",
                          "are not given, and none were learned");
    }
    return in->dtype == DTYPE_STR ? err_set(err, ERR_SHAPE, "takes numbers, not texts")
                                  : op_encode_check(&k->encode, in, out, err);
}

/* A value goes beyond every boundary that it is not below; so does what is no number. */
static void find_bins(const struct discretization *k, const float *values, int64_t n, int32_t *bins)
{
    if (k->n <= COUNTED_MAX) {
        for (int64_t i = 0; i < n; i++) {
            bins[i] = 0;
        }
        for (int64_t b = 0; b < k->n; b++) {
            const float boundary = k->boundaries[b];
            for (int64_t i = 0; i < n; i++) {
                bins[i] += !(values[i] < boundary);
            }
        }
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        int64_t low = 0, left = k->n;
        while (left > 0) {
            const int64_t half = left / 2;
            const bool is_above = !(values[i] < k->boundaries[low + half]);
            low = is_above ? low + half + 1 : low;
            left = is_above ? left - half - 1 : half;
        }
        bins[i] = (int32_t)low;
    }
}

static int run(const void *ctx, const float *params, const struct op_key *key,
               const struct tensor *in, struct tensor *out, struct op_scratch *scratch,
               struct err *err)
{
    const struct discretization *k = ctx;
    const bool is_int = k->output_mode == OP_ENCODE_INT, is_float = in->dtype == DTYPE_F32;
    int64_t n = 0;
    (void)params, (void)key;
    int r = shape_count(&in->shape, &n);
    if (r < 0) {
        return err_set(err, r, "the sample is too large");
    }
    int64_t *indices = op_scratch_need(scratch, ((size_t)n + 8) * 2 * sizeof *indices);
    float *floats = (float *)(void *)(indices + n);
    int32_t *bins = is_int ? out->data : (int32_t *)(void *)(floats + n);
    const float *values = is_float ? in->data : floats;
    if (!is_float) {
        op_to_floats(in, n, floats);
    }
    find_bins(k, values, n, bins);
    if (is_int) {
        out->dtype = DTYPE_I32;
        out->shape = in->shape;
        return 0;
    }
    for (int64_t i = 0; i < n; i++) {
        indices[i] = bins[i];
    }
    op_encode_run(&k->encode, indices, &in->shape, out);
    return 0;
}

/* ---- learning */

struct learned {
    struct bins bins;
    int64_t n_bins;
    struct op_scratch values;
};

static int create(const void *ctx, void **ret, struct err *err)
{
    const struct discretization *k = ctx;
    if (k->n >= 0) {
        return err_set_at(err, ERR_INVALID, "bin_boundaries",
                          "are given; there is nothing to learn");
    }
    struct learned *state = calloc(1, sizeof *state);
    if (state == NULL) {
        return err_set(err, ERR_NO_MEMORY, "no memory to learn");
    }
    state->n_bins = k->num_bins;
    bins_init(&state->bins, k->epsilon);
    *ret = state;
    return 0;
}

static void destroy(void *state)
{
    struct learned *k = state;
    if (k != NULL) {
        bins_fini(&k->bins);
        op_scratch_fini(&k->values);
        free(k);
    }
}

static int add(void *state, int64_t batch, const struct tensor *in, struct err *err)
{
    struct learned *k = state;
    int64_t n = 0;
    if (in->dtype == DTYPE_STR || shape_count(&in->shape, &n) < 0) {
        return err_set(err, ERR_SHAPE, "takes numbers, not %s", dtype_name(in->dtype));
    }
    float *values = op_scratch_need(&k->values, ((size_t)n + 1) * sizeof *values);
    op_to_floats(in, n, values);
    return bins_add(&k->bins, batch, values, (size_t)n, err);
}

static int merge(void *state, void *other, struct err *err)
{
    return bins_merge(&((struct learned *)state)->bins, &((struct learned *)other)->bins, err);
}

static int finish(void *state, struct doc *options_of, struct arena *arena, struct err *err)
{
    struct learned *k = state;
    float *boundaries = NULL;
    size_t n = 0;
    int r = bins_boundaries(&k->bins, k->n_bins, &boundaries, &n, err);
    if (r < 0) {
        return r;
    }
    struct doc *list = doc_put(options_of, arena, "bin_boundaries");
    doc_set_list(list);
    for (size_t i = 0; i < n; i++) {
        doc_set_float(doc_push(list, arena), (double)boundaries[i]);
    }
    doc_set_null(doc_put(options_of, arena, "num_bins"));
    free(boundaries);
    return 0;
}

static void save(void *state, struct buf *out)
{
    bins_save(&((struct learned *)state)->bins, out);
}

static int load(void *state, const void *data, size_t size, struct err *err)
{
    return bins_load(&((struct learned *)state)->bins, data, size, err);
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

const struct op_desc op_discretization = {
    .name = "Discretization",
    .summary = "Puts numbers into bins between boundaries.",
    .options = options,
    .ctx_size = sizeof(struct discretization),
    .flags = OP_TEXTS,
    .init = init,
    .check = check,
    .run = run,
    .learn = &learning,
};
