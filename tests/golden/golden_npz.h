/* golden_npz - .npz files of the cases: zip archives of stored .npy members. */
#ifndef TESTS_GOLDEN_GOLDEN_NPZ_H
#define TESTS_GOLDEN_GOLDEN_NPZ_H

#include "tests/golden/golden.h"

struct golden_member {
    const char *name; /* without .npy */
    struct tensor array;
};

/* All members of numbers (others are left out), in the arena of the case. */
int golden_npz(struct golden_case *c, const char *file, struct golden_member **ret, int *ret_n, struct err *err);
const struct tensor *golden_npz_find(const struct golden_member *members, int n, const char *name);

#endif
