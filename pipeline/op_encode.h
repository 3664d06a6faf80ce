/* op_encode - numbers of categories to what a model takes: Keras's output modes, for all ops that
 * have one.
 *
 * Owns:     nothing.
 * Threads:  pure functions.
 * Errors:   op_encode_check: ERR_SHAPE, ERR_LIMIT.
 * Lifetime: the caller's.
 *
 * A sample of one number becomes one row of `depth`; of more axes, multi_hot, count and tf_idf sum
 * over the first one (Keras: the one behind the batch), and one_hot puts a new one behind the last,
 * unless that has one number only.
 */
#ifndef PIPELINE_OP_ENCODE_H
#define PIPELINE_OP_ENCODE_H

#include "base/opt.h"
#include "pipeline/op.h"

enum op_encode_mode {
    OP_ENCODE_INT,
    OP_ENCODE_ONE_HOT,
    OP_ENCODE_MULTI_HOT,
    OP_ENCODE_COUNT,
    OP_ENCODE_TF_IDF
};
extern const struct opt_name op_encode_modes[];          /* without tf_idf */
extern const struct opt_name op_encode_modes_weighted[]; /* with it */

struct op_encode {
    enum op_encode_mode mode;
    int64_t depth;
    enum dtype int_dtype, dtype; /* of OP_ENCODE_INT (int32 or int64); of the others */
    const float *weights;        /* OP_ENCODE_TF_IDF: one a category */
};

/* The result for indices of this shape; in->dtype is not looked at. */
int op_encode_check(const struct op_encode *encode, const struct op_spec *in, struct op_spec *out,
                    struct err *err);
/* An index below 0 or from `depth` on is of no category and leaves no trace. Not for
 * OP_ENCODE_INT with int64, which has nothing to do. */
void op_encode_run(const struct op_encode *encode, const int64_t *indices,
                   const struct shape *shape, struct tensor *out);
/* Where an op may write its indices: into the result, if they are the result; else into scratch. */
int64_t *op_encode_indices(const struct op_encode *encode, int64_t n, const struct tensor *out,
                           struct op_scratch *scratch);

#endif
