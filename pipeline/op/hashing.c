/* hashing - texts and numbers into bins, as Keras's Hashing. */
#include <string.h>

#include "pipeline/op_encode.h"
#include "pipeline/op_salt.h"

extern const struct op_desc op_hashing;

struct hashing {
    int64_t num_bins;
    const struct doc *mask_value, *salt, *dtype;
    int output_mode;
    bool sparse;

    struct op_salt key;
    bool has_mask;
    struct tensor_text mask; /* or */
    int64_t mask_number;
    bool is_mask_number;
    struct op_encode encode;
};
static const struct opt options[] = {
    OPT_I64_ROW(hashing, num_bins, 0, 1, 1 << 30, "Number of bins.", .flags = OPT_REQUIRED),
    OPT_DOC_ROW(hashing, mask_value, "What goes into bin 0 alone; null: nothing does.",
                .flags = OPT_NULLABLE),
    OPT_DOC_ROW(hashing, salt,
                "Key of SipHash, a number or two; null: FarmHash's fingerprint without a key.",
                .flags = OPT_NULLABLE),
    OPT_ENUM_ROW(hashing, output_mode, OP_ENCODE_INT, op_encode_modes, "What a bin becomes."),
    OPT_BOOL_ROW(hashing, sparse, false, "Accepted; batches are dense.", .flags = OPT_IGNORED),
    OPT_DOC_ROW(hashing, dtype, "Of whole numbers where output_mode is int.",
                .flags = OPT_NULLABLE),
    OPT_END_ROW,
};

static int read_mask(struct hashing *k, struct err *err)
{
    const struct doc *mask = k->mask_value;
    k->has_mask = mask != NULL && mask->type != DOC_NULL && k->num_bins > 1;
    k->is_mask_number = k->has_mask && mask->type == DOC_INT;
    if (k->has_mask && mask->type != DOC_INT && mask->type != DOC_STR) {
        return err_set_at(err, ERR_INVALID, "mask_value", "takes a text or a whole number");
    }
    if (k->is_mask_number) {
        k->mask_number = mask->i;
    } else if (k->has_mask) {
        k->mask = (struct tensor_text){.text = mask->str, .n = mask->n};
    }
    return 0;
}

static int init(void *ctx, struct arena *arena, struct err *err)
{
    struct hashing *k = ctx;
    (void)arena;
    if (k->output_mode == OP_ENCODE_INT && k->dtype != NULL && k->dtype->type == DOC_STR &&
        strncmp(k->dtype->str, "int", 3) != 0) {
        return err_set_at(err, ERR_INVALID, "dtype", "is of whole numbers with output_mode int");
    }
    k->encode = (struct op_encode){.mode = (enum op_encode_mode)k->output_mode,
                                   .depth = k->num_bins,
                                   .int_dtype = DTYPE_I64,
                                   .dtype = DTYPE_F32};
    int r = op_salt_read(k->salt, &k->key, err);
    return r < 0 ? r : read_mask(k, err);
}

static int check(const void *ctx, const struct op_spec *in, struct op_spec *out, struct err *err)
{
    const struct hashing *k = ctx;
    if (k->has_mask && k->is_mask_number == (in->dtype == DTYPE_STR)) {
        return err_set_at(err, ERR_INVALID, "mask_value", "is %s, and the field is not",
                          k->is_mask_number ? "a number" : "a text");
    }
    return op_encode_check(&k->encode, in, out, err);
}

static int64_t bin_of(const struct hashing *k, uint64_t hash)
{
    const uint64_t bins = (uint64_t)k->num_bins;
    return (int64_t)(k->has_mask ? 1 + hash % (bins - 1) : hash % bins);
}

static int64_t bin_of_text(const struct hashing *k, const struct tensor_text *text)
{
    if (k->has_mask && text->n == k->mask.n && memcmp(text->text, k->mask.text, text->n) == 0) {
        return 0;
    }
    return bin_of(k, op_salt_hash(&k->key, text->text, text->n));
}

static int64_t bin_of_number(const struct hashing *k, int64_t number)
{
    if (k->has_mask && number == k->mask_number) {
        return 0;
    }
    return bin_of(k, op_salt_hash_number(&k->key, number));
}

static int run(const void *ctx, const float *params, const struct op_key *key,
               const struct tensor *in, struct tensor *out, struct op_scratch *scratch,
               struct err *err)
{
    const struct hashing *k = ctx;
    int64_t n = 0;
    (void)params, (void)key;
    int r = shape_count(&in->shape, &n);
    if (r < 0) {
        return err_set(err, r, "the sample is too large");
    }
    int64_t *bins = op_encode_indices(&k->encode, n, out, scratch);
    const struct tensor_text *texts = in->dtype == DTYPE_STR ? in->data : NULL;
    for (int64_t i = 0; i < n; i++) {
        bins[i] = texts != NULL ? bin_of_text(k, &texts[i]) : bin_of_number(k, op_integer(in, i));
    }
    op_encode_run(&k->encode, bins, &in->shape, out);
    return 0;
}

const struct op_desc op_hashing = {
    .name = "Hashing",
    .summary = "Puts texts or numbers into bins by a hash: a vocabulary that needs no learning.",
    .options = options,
    .ctx_size = sizeof(struct hashing),
    .flags = OP_TEXTS,
    .init = init,
    .check = check,
    .run = run,
};
