/* category_encoding - numbers of categories to columns, as Keras's CategoryEncoding. */
#include <string.h>

#include "pipeline/op_encode.h"

extern const struct op_desc op_category_encoding;

struct category_encoding {
    int64_t num_tokens;
    int output_mode;
    bool count_weights, sparse;
    struct op_encode encode;
};
static const struct opt_name modes[] = {{"one_hot", OP_ENCODE_ONE_HOT},
                                        {"multi_hot", OP_ENCODE_MULTI_HOT},
                                        {"count", OP_ENCODE_COUNT},
                                        {"binary", OP_ENCODE_MULTI_HOT},
                                        {NULL, 0}};
static const struct opt options[] = {
    OPT_I64_ROW(category_encoding, num_tokens, 0, 1, 1 << 30,
                "Categories; a number from there on is of none and leaves no trace.",
                .flags = OPT_REQUIRED),
    OPT_ENUM_ROW(category_encoding, output_mode, OP_ENCODE_MULTI_HOT, modes,
                 "What a category becomes."),
    OPT_BOOL_ROW(category_encoding, count_weights, false,
                 "Takes a second field: for each number what it counts (output_mode count)."),
    OPT_BOOL_ROW(category_encoding, sparse, false, "Accepted; batches are dense.",
                 .flags = OPT_IGNORED),
    OPT_END_ROW,
};

static int init(void *ctx, struct arena *arena, struct err *err)
{
    struct category_encoding *k = ctx;
    (void)arena;
    if (k->count_weights && k->output_mode != OP_ENCODE_COUNT) {
        return err_set_at(err, ERR_INVALID, "count_weights", "is for output_mode count");
    }
    k->encode = (struct op_encode){.mode = (enum op_encode_mode)k->output_mode,
                                   .depth = k->num_tokens,
                                   .int_dtype = DTYPE_I64,
                                   .dtype = DTYPE_F32};
    return 0;
}

static int check(const void *ctx, const struct op_spec *in, struct op_spec *out, struct err *err)
{
    const struct category_encoding *k = ctx;
    return in->dtype == DTYPE_STR
               ? err_set(err, ERR_SHAPE,
                         "takes numbers of categories, not texts; put StringLookup "
                         "or Hashing before it")
               : op_encode_check(&k->encode, in, out, err);
}

static int read_index(const struct category_encoding *k, const struct tensor *in, int64_t i,
                      int64_t *ret, struct err *err)
{
    *ret = op_integer(in, i);
    return *ret >= 0 || k->output_mode == OP_ENCODE_ONE_HOT
               ? 0
               : err_set(err, ERR_VALUE, "category %lld at %lld: they are counted from 0",
                         (long long)*ret, (long long)i);
}

static unsigned flags_of(const void *ctx)
{
    return ((const struct category_encoding *)ctx)->count_weights ? OP_JOIN : 0;
}

static int check_all(const void *ctx, const struct op_spec *in, int n, struct op_spec *out,
                     struct err *err)
{
    if (n != 2 || !shape_equal(&in[0].shape, &in[1].shape) || in[1].dtype == DTYPE_STR) {
        return err_set(err, ERR_SHAPE, "takes two fields of one shape: the categories and numbers");
    }
    return check(ctx, &in[0], out, err);
}

static int run_all(const void *ctx, const struct tensor *in, int n, struct tensor *out,
                   struct op_scratch *scratch, struct err *err)
{
    const struct category_encoding *k = ctx;
    const struct op_spec specs[] = {{in[0].dtype, in[0].shape}, {in[1].dtype, in[1].shape}};
    struct op_spec made;
    int64_t count = 0, rows = 0;
    int r = check_all(ctx, specs, n, &made, err);
    r = r < 0 ? r : shape_count(&in[0].shape, &count);
    r = r < 0 ? r : shape_count(&made.shape, &rows);
    if (r < 0) {
        return r;
    }
    float *to = out->data, *weights = op_scratch_need(scratch, ((size_t)count + 1) * sizeof *to);
    const int64_t depth = k->num_tokens;
    out->dtype = made.dtype;
    out->shape = made.shape;
    op_to_floats(&in[1], count, weights);
    memset(to, 0, (size_t)rows * sizeof *to);
    for (int64_t i = 0; i < count && r == 0; i++) {
        int64_t at = 0;
        r = read_index(k, &in[0], i, &at, err);
        if (r == 0 && at < depth) {
            to[i % (rows / depth) * depth + at] += weights[i];
        }
    }
    return r;
}

static int run(const void *ctx, const float *params, const struct op_key *key,
               const struct tensor *in, struct tensor *out, struct op_scratch *scratch,
               struct err *err)
{
    const struct category_encoding *k = ctx;
    int64_t n = 0;
    (void)params, (void)key;
    int r = shape_count(&in->shape, &n);
    if (r < 0) {
        return err_set(err, r, "the sample is too large");
    }
    int64_t *indices = op_encode_indices(&k->encode, n, out, scratch);
    for (int64_t i = 0; i < n && r == 0; i++) {
        r = read_index(k, in, i, &indices[i], err);
    }
    if (r == 0) {
        op_encode_run(&k->encode, indices, &in->shape, out);
    }
    return r;
}

const struct op_desc op_category_encoding = {
    .name = "CategoryEncoding",
    .summary = "Turns numbers of categories into columns.",
    .options = options,
    .ctx_size = sizeof(struct category_encoding),
    .flags = OP_TEXTS,
    .init = init,
    .check = check,
    .run = run,
    .flags_of = flags_of,
    .check_all = check_all,
    .run_all = run_all,
};
