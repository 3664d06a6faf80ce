/* vocabulary - texts and their numbers, in the order of their bytes.
 *
 * Owns:     its list and texts live in the arena given.
 * Threads:  const after the last add.
 * Errors:   ERR_LIMIT over VOCABULARY_MAX texts or their bytes.
 * Lifetime: {0} .. the arena's.
 */
#ifndef PIPELINE_SOURCE_VOCABULARY_H
#define PIPELINE_SOURCE_VOCABULARY_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

enum { VOCABULARY_MAX = 1 << 16, VOCABULARY_BYTES_MAX = 16 << 20 };

struct vocabulary {
    const char **v;
    size_t n, capacity, bytes;
    size_t *order; /* of texts that were given in another order; NULL: their own */
};
int vocabulary_add(struct vocabulary *vocabulary, const char *text, size_t n, struct arena *arena,
                   struct err *err);
/* The texts as they are given; ERR_INVALID if one stands there twice. */
int vocabulary_set(struct vocabulary *vocabulary, const char *const *v, size_t n,
                   struct arena *arena, struct err *err);
/* -1: none of them. */
int64_t vocabulary_find(const struct vocabulary *vocabulary, const char *text, size_t n);

#endif
