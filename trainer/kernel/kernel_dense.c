#include "trainer/kernel/kernel_dense.h"

#include <stdint.h>

int kernel_dense_check(const struct kernel_dense_desc *desc, struct err *err)
{
    if (desc->n < 1 || desc->in < 1 || desc->out < 1) {
        return err_set(err, ERR_SHAPE, "a matrix product with an empty axis");
    }
    if ((int64_t)desc->n * desc->in > INT32_MAX || (int64_t)desc->n * desc->out > INT32_MAX ||
        (int64_t)desc->in * desc->out > INT32_MAX) {
        return err_set(err, ERR_LIMIT, "a matrix of more than 2^31 elements");
    }
    if (!kernel_act_is_fusible(desc->act.kind)) {
        return err_set(err, ERR_UNSUPPORTED,
                       "this activation cannot be fused with a matrix product");
    }
    return 0;
}
