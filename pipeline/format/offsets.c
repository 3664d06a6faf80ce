#include "pipeline/format/offsets.h"

#include <stdlib.h>

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
