/* string_lookup - texts to their places in a vocabulary, as Keras's StringLookup. */
#include "pipeline/op_lookup.h"

extern const struct op_desc op_string_lookup;

static const struct opt options[] = {
    OP_LOOKUP_ROWS("text", "`[UNK]`"),
    OPT_DOC_ROW(op_lookup, salt, "Key of the hash over several places for unknown texts.",
                .flags = OPT_NULLABLE),
    OPT_STR_ROW(op_lookup, encoding, "utf-8", "utf-8 alone.", .flags = OPT_NULLABLE),
    OPT_STR_ROW(op_lookup, vocabulary_dtype, NULL, "string alone.", .flags = OPT_NULLABLE),
    OPT_END_ROW,
};

static int init(void *ctx, struct arena *arena, struct err *err)
{
    return op_lookup_init(ctx, arena, err);
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
    if (k->invert) {
        struct tensor_text *to = out->data;
        for (int64_t i = 0; i < n; i++) {
            to[i] = op_lookup_text_at(k, op_integer(in, i));
        }
        out->dtype = DTYPE_STR;
        out->shape = in->shape;
        return 0;
    }
    const struct tensor_text *texts = in->data;
    int64_t *indices = op_encode_indices(&k->encode, n, out, scratch);
    for (int64_t i = 0; i < n && r == 0; i++) {
        r = op_lookup_text(k, &texts[i], &indices[i], err);
    }
    if (r == 0) {
        op_encode_run(&k->encode, indices, &in->shape, out);
    }
    return r;
}

const struct op_desc op_string_lookup = {
    .name = "StringLookup",
    .summary = "Turns texts into their places in a vocabulary, or into columns of it.",
    .options = options,
    .ctx_size = sizeof(struct op_lookup),
    .flags = OP_TEXTS,
    .init = init,
    .check = check,
    .run = run,
    .learn = &op_lookup_learn,
};
