#include "base/perm_kernel.h"

perm_rounds_fn *const perm_avx2_rounds = rounds;
