/* integer_lookup - whole numbers to their places in a vocabulary, as Keras's IntegerLookup. */
#include "pipeline/op_lookup.h"

extern const struct op_desc op_integer_lookup;

static const struct opt_name methods[] = {
    {"floormod", OP_OOV_FLOORMOD}, {"farmhash", OP_OOV_FARMHASH}, {NULL, 0}};
static const struct opt options[] = {
    OP_LOOKUP_ROWS("number", "-1"),
    OPT_ENUM_ROW(op_lookup, oov_method, OP_OOV_FLOORMOD, methods,
                 "How unknown numbers fall into several places: by value, or by a hash of their "
                 "decimal text."),
    OPT_DOC_ROW(op_lookup, salt, "Key of that hash.", .flags = OPT_NULLABLE),
    OPT_STR_ROW(op_lookup, vocabulary_dtype, NULL, "int64 alone.", .flags = OPT_NULLABLE),
    OPT_END_ROW,
};

static int init(void *ctx, struct arena *arena, struct err *err)
{
    struct op_lookup *k = ctx;
    k->is_number = true;
    return op_lookup_init(k, arena, err);
}

static int check(const void *ctx, const struct op_spec *in, struct op_spec *out, struct err *err)
{
    return op_lookup_check(ctx, in, out, err);
}

static int run(const void *ctx, const float *params, const struct op_key *key,
               const struct tensor *in, struct tensor *out, struct op_scratch *scratch,
               struct err *err)
{
    const struct op_lookup *k = ctx;
    int64_t n = 0;
    (void)params, (void)key;
    int r = shape_count(&in->shape, &n);
    if (r < 0) {
        return err_set(err, r, "the sample is too large");
    }
    int64_t *indices = op_encode_indices(&k->encode, n, out, scratch);
    for (int64_t i = 0; i < n && r == 0; i++) {
        const int64_t number = op_integer(in, i);
        if (k->invert) {
            indices[i] = op_lookup_number_at(k, number);
        } else {
            r = op_lookup_number(k, number, &indices[i], err);
        }
    }
    if (r == 0) {
        op_encode_run(&k->encode, indices, &in->shape, out);
    }
    return r;
}

const struct op_desc op_integer_lookup = {
    .name = "IntegerLookup",
    .summary = "Turns whole numbers into their places in a vocabulary, or into columns of it.",
    .options = options,
    .ctx_size = sizeof(struct op_lookup),
    .flags = OP_TEXTS,
    .init = init,
    .check = check,
    .run = run,
    .learn = &op_lookup_learn,
};
