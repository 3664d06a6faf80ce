#include "pipeline/format/offsets.h"

#include <stdlib.h>
#include <string.h>

void offsets_fini(struct offsets *offsets)
{
    if (offsets != NULL) {
        free(offsets->at);
        *offsets = (struct offsets){.n = 0};
    }
}

int offsets_add(struct offsets *o, int64_t offset, struct err *err)
{
    if (o->n == o->capacity) {
        if (o->n >= OFFSETS_MAX) {
            return err_set(err, ERR_LIMIT, "more than %d records in a file", OFFSETS_MAX);
        }
        const size_t more = o->capacity == 0 ? 256 : o->capacity * 2;
        int64_t *grown = realloc(o->at, more * sizeof *grown);
        if (grown == NULL) {
            return err_set(err, ERR_NO_MEMORY, "no memory for an index of %zu records", more);
        }
        o->at = grown;
        o->capacity = more;
    }
    o->at[o->n++] = offset;
    return 0;
}

bool offsets_set(struct offsets *o, const int64_t *at, size_t n, int64_t step, int64_t end)
{
    for (size_t i = 0; i < n; i++) {
        const bool rises = i == 0 ? at[0] >= 0 : at[i] > at[i - 1] && at[i] - at[i - 1] >= step;
        if (!rises || at[i] >= end) {
            return false;
        }
    }
    int64_t *copy = n <= OFFSETS_MAX ? malloc((n + 1) * sizeof *copy) : NULL;
    if (copy == NULL) {
        return false;
    }
    if (n > 0) {
        memcpy(copy, at, n * sizeof *copy);
    }
    *o = (struct offsets){.at = copy, .n = n, .capacity = n + 1};
    return true;
}
