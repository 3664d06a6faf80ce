/* hashed_crossing - several fields into bins by their combination, as Keras's HashedCrossing. */
#include "pipeline/hash/farm.h"
#include "pipeline/op_encode.h"

extern const struct op_desc op_hashed_crossing;

struct hashed_crossing {
    int64_t num_bins;
    int output_mode;
    bool sparse;
    struct op_encode encode;
};
static const struct opt_name modes[] = {
    {"int", OP_ENCODE_INT}, {"one_hot", OP_ENCODE_ONE_HOT}, {NULL, 0}};
static const struct opt options[] = {
    OPT_I64_ROW(hashed_crossing, num_bins, 0, 1, 1 << 30, "Number of bins.", .flags = OPT_REQUIRED),
    OPT_ENUM_ROW(hashed_crossing, output_mode, OP_ENCODE_INT, modes, "What a bin becomes."),
    OPT_BOOL_ROW(hashed_crossing, sparse, false, "Accepted; batches are dense.",
                 .flags = OPT_IGNORED),
    OPT_END_ROW,
};

static int init(void *ctx, struct arena *arena, struct err *err)
{
    struct hashed_crossing *k = ctx;
    (void)arena, (void)err;
    k->encode = (struct op_encode){.mode = (enum op_encode_mode)k->output_mode,
                                   .depth = k->num_bins,
                                   .int_dtype = DTYPE_I64,
                                   .dtype = DTYPE_F32};
    return 0;
}

static int check_all(const void *ctx, const struct op_spec *in, int n, struct op_spec *out,
                     struct err *err)
{
    const struct hashed_crossing *k = ctx;
    if (n < 2) {
        return err_set(err, ERR_INVALID, "takes two fields at least, not %d", n);
    }
    for (int i = 0; i < n; i++) {
        const bool is_one =
            in[i].shape.rank == 0 || (in[i].shape.rank == 1 && in[i].shape.d[0] == 1);
        char text[128];
        op_shape_text(&in[i], text, sizeof text);
        if (in[i].dtype == DTYPE_F32 || in[i].dtype == DTYPE_F64) {
            return err_set(err, ERR_SHAPE, "takes texts and whole numbers, not %s", text);
        }
        if (!is_one || !shape_equal(&in[i].shape, &in[0].shape)) {
            return err_set(err, ERR_SHAPE,
                           "takes one text or number of each field, all of the same shape, not %s",
                           text);
        }
    }
    return op_encode_check(&k->encode, in, out, err);
}

static int run_all(const void *ctx, const struct tensor *in, int n, struct tensor *out,
                   struct op_scratch *scratch, struct err *err)
{
    const struct hashed_crossing *k = ctx;
    uint64_t hash = 0xDECAFCAFFE;
    (void)err;
    for (int i = 0; i < n; i++) {
        const struct tensor_text *text = in[i].data;
        hash = farm_cat(hash, in[i].dtype == DTYPE_STR ? farm_fingerprint(text->text, text->n)
                                                       : (uint64_t)op_integer(&in[i], 0));
    }
    int64_t *bin = op_encode_indices(&k->encode, 1, out, scratch);
    *bin = (int64_t)(hash % (uint64_t)k->num_bins);
    op_encode_run(&k->encode, bin, &in[0].shape, out);
    return 0;
}

const struct op_desc op_hashed_crossing = {
    .name = "HashedCrossing",
    .summary = "Puts the combination of several fields into bins by a hash.",
    .options = options,
    .ctx_size = sizeof(struct hashed_crossing),
    .flags = OP_JOIN | OP_TEXTS,
    .init = init,
    .check_all = check_all,
    .run_all = run_all,
};
