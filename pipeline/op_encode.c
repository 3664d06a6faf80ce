#include "pipeline/op_encode.h"

#include <string.h>

const struct opt_name op_encode_modes[] = {
    {"int", OP_ENCODE_INT},     {"one_hot", OP_ENCODE_ONE_HOT},  {"multi_hot", OP_ENCODE_MULTI_HOT},
    {"count", OP_ENCODE_COUNT}, {"binary", OP_ENCODE_MULTI_HOT}, {NULL, 0},
};
const struct opt_name op_encode_modes_weighted[] = {
    {"int", OP_ENCODE_INT},
    {"one_hot", OP_ENCODE_ONE_HOT},
    {"multi_hot", OP_ENCODE_MULTI_HOT},
    {"count", OP_ENCODE_COUNT},
    {"tf_idf", OP_ENCODE_TF_IDF},
    {"tf-idf", OP_ENCODE_TF_IDF},
    {"binary", OP_ENCODE_MULTI_HOT},
    {NULL, 0},
};

/* The shape of the result, of known or unknown axes. */
static struct shape shape_out(const struct op_encode *encode, const struct shape *in)
{
    struct shape out = *in;
    if (encode->mode == OP_ENCODE_INT) {
        return out;
    }
    if (encode->mode == OP_ENCODE_ONE_HOT) {
        out.rank += out.rank == 0 || out.d[out.rank - 1] != 1;
    } else if (out.rank == 0) {
        out.rank = 1;
    } else {
        memmove(out.d, out.d + 1, (size_t)(out.rank - 1) * sizeof out.d[0]);
    }
    out.d[out.rank - 1] = encode->depth;
    return out;
}

int op_encode_check(const struct op_encode *encode, const struct op_spec *in, struct op_spec *out,
                    struct err *err)
{
    if (in->shape.rank == SHAPE_RANK_MAX) {
        return err_set(err, ERR_SHAPE, "takes at most %d axes", SHAPE_RANK_MAX - 1);
    }
    out->shape = shape_out(encode, &in->shape);
    out->dtype = encode->mode == OP_ENCODE_INT ? encode->int_dtype : encode->dtype;
    return 0;
}

#define ENCODE(type, one, sum)                                                 \
    do {                                                                       \
        type *to = out->data;                                                  \
        memset(to, 0, (size_t)(rows * depth) * sizeof *to);                    \
        for (int64_t row = 0; row < rows; row++, to += depth) {                \
            for (int64_t i = row; i < n; i += rows) {                          \
                const int64_t at = indices[i];                                 \
                if (at >= 0 && at < depth) {                                   \
                    to[at] = (type)(sum ? to[at] + (type)(one) : (type)(one)); \
                }                                                              \
            }                                                                  \
        }                                                                      \
    } while (0)

/* Counts times weights, a product each as in Keras. */
static void weigh(const struct op_encode *encode, int64_t rows, float *to)
{
    for (int64_t row = 0; row < rows; row++, to += encode->depth) {
        for (int64_t i = 0; i < encode->depth; i++) {
            to[i] *= encode->weights[i];
        }
    }
}

void op_encode_run(const struct op_encode *encode, const int64_t *indices,
                   const struct shape *shape, struct tensor *out)
{
    const int64_t depth = encode->depth;
    const bool is_sum = encode->mode == OP_ENCODE_COUNT || encode->mode == OP_ENCODE_TF_IDF;
    int64_t n = 0;
    BUG_ON(shape_count(shape, &n) < 0);
    out->shape = shape_out(encode, shape);
    out->dtype = encode->mode == OP_ENCODE_INT ? encode->int_dtype : encode->dtype;
    if (encode->mode == OP_ENCODE_INT) {
        for (int64_t i = 0; encode->int_dtype == DTYPE_I32 && i < n; i++) {
            ((int32_t *)out->data)[i] = (int32_t)indices[i];
        }
        return;
    }
    int64_t rows = 1;
    for (int i = 0; i + 1 < out->shape.rank; i++) {
        rows *= out->shape.d[i];
    }
    if (encode->mode == OP_ENCODE_TF_IDF) {
        ENCODE(float, 1, true);
        weigh(encode, rows, out->data);
    } else if (encode->dtype == DTYPE_I64) {
        ENCODE(int64_t, 1, is_sum);
    } else {
        ENCODE(float, 1, is_sum);
    }
}

int64_t *op_encode_indices(const struct op_encode *encode, int64_t n, const struct tensor *out,
                           struct op_scratch *scratch)
{
    return encode->mode == OP_ENCODE_INT && encode->int_dtype == DTYPE_I64
               ? out->data
               : op_scratch_need(scratch, ((size_t)n + 1) * sizeof(int64_t));
}
