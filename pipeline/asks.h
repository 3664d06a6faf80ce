/* asks - elements that are not stored yet, because a client still has to feed them.
 *
 * Owns:     the list's memory is its maker's.
 * Threads:  one.
 * Errors:   a source that adds to the list gives ERR_FEED; `wait` gives 0 when all of them are
 * stored. Lifetime: the worker's.
 *
 * While a chunk is made its rows are tried one by one and what is missing is collected; then it is
 * asked for at once, and the rows that failed are made again. Whoever reads outside of a chunk (an
 * index that a stage makes) waits in the source, for some elements ahead.
 */
#ifndef PIPELINE_ASKS_H
#define PIPELINE_ASKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { ASKS_MAX = 16384, ASKS_AHEAD = 256 };

struct ask {
    const char *feed; /* id; equal ones are the same pointer */
    int64_t epoch, index;
};
struct asks;
typedef int asks_fn(void *context, struct asks *asks, struct err *err);

struct asks {
    asks_fn *wait; /* empties the list */
    void *context;
    bool collects; /* a chunk is being made */
    size_t n;
    struct ask v[ASKS_MAX];
};

/* What does not go into the list is asked for in the next round. */
static inline void asks_add(struct asks *asks, const char *feed, int64_t epoch, int64_t index)
{
    if (asks->n < ASKS_MAX) {
        asks->v[asks->n++] = (struct ask){feed, epoch, index};
    }
}

#endif
