/* offsets - a growing list of positions in a file: the index of its records.
 *
 * Owns:     its list.
 * Threads:  one at a time; finished, it is read-only.
 * Errors:   ERR_LIMIT over OFFSETS_MAX, ERR_NO_MEMORY.
 * Lifetime: {0} .. offsets_fini.
 */
#ifndef FORMAT_OFFSETS_H
#define FORMAT_OFFSETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { OFFSETS_MAX = 1 << 28 };

struct offsets {
    int64_t *at;
    size_t n, capacity;
};
void offsets_fini(struct offsets *offsets);
int offsets_add(struct offsets *offsets, int64_t offset, struct err *err);
/* A copy of n that were added before, if they rise by at least `step` and end before `end`. */
bool offsets_set(struct offsets *offsets, const int64_t *at, size_t n, int64_t step, int64_t end);

#endif
