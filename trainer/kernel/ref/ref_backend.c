#include "trainer/kernel/backends.h"

const struct kernel_backend kernel_backend_ref = {
    .name = "ref",
    .summary = "plain C with sums in double: slow, the truth that the others are tested against",
    .conv = &ref_conv,
    .dense = &ref_dense,
    .pool = &ref_pool,
    .act = &ref_act,
    .vec = &ref_vec,
    .norm = &ref_norm,
    .norm_relu = &ref_norm_relu,
    .optim = &ref_optim,
};
