#include "proto/role.h"

#include <stddef.h>

const struct role_desc role_table[ROLE_MAX_] = {
#define ROLE_ROW(symbol, text, file, level, mib, times, window, delay, delay_max, grace, limit)                        \
    [ROLE_##symbol] = {.name = (text),                                                                                 \
                       .program = (file),                                                                              \
                       .nice = (level),                                                                                \
                       .memory_mib = (mib),                                                                            \
                       .burst = (times),                                                                               \
                       .window_s = (window),                                                                           \
                       .delay_ms = (delay),                                                                            \
                       .delay_max_ms = (delay_max),                                                                    \
                       .grace_s = (grace),                                                                             \
                       .limit_s = (limit)},
#include "proto/roles.h"
#undef ROLE_ROW
};

const char *const role_environment[] = {
    "OMP_WAIT_POLICY=passive", "GOMP_SPINCOUNT=0", "OMP_DYNAMIC=false", "HDF5_USE_FILE_LOCKING=FALSE", "LC_ALL=C.UTF-8", NULL,
};
