/* tensor - element types, shapes, and a view of numbers in memory.
 *
 * Owns:     nothing; a tensor is a view.
 * Threads:  plain values.
 * Errors:   shape arithmetic returns ERR_LIMIT on overflow.
 * Lifetime: the memory's.
 *
 * Row-major, densely packed. Letters (docs/letters.md): N batch, H W spatial, C channels in, K channels out, R S kernel.
 */
#ifndef BASE_TENSOR_H
#define BASE_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum dtype {
#define DTYPE_ROW(symbol, name, bytes) DTYPE_##symbol,
#include "base/dtypes.h"
#undef DTYPE_ROW
    DTYPE_MAX_
};

enum { SHAPE_RANK_MAX = 8 };

struct shape {
    int rank;
    int64_t d[SHAPE_RANK_MAX]; /* -1 = unknown */
};

struct tensor {
    enum dtype dtype;
    struct shape shape;
    void *data;
};

struct tensor_text { /* an element of DTYPE_STR; in one process only: a slab holds none */
    const char *text; /* UTF-8, not terminated */
    size_t n;
};

size_t dtype_bytes(enum dtype dtype);
const char *dtype_name(enum dtype dtype); /* numpy's name: "uint8", "float32" */
int dtype_find(const char *name);         /* enum dtype or ERR_UNKNOWN */

struct shape shape_make(int rank, const int64_t *d);
bool shape_equal(const struct shape *a, const struct shape *b);
/* Product of the dimensions into *ret; ERR_LIMIT on overflow, ERR_SHAPE with an unknown one. Rank 0 gives 1. */
int shape_count(const struct shape *shape, int64_t *ret);
/* count * dtype_bytes, checked. */
int shape_bytes(const struct shape *shape, enum dtype dtype, size_t *ret);
/* "(28, 28, 1)", unknown as None, as Keras prints it. */
void shape_format(const struct shape *shape, char *buf, size_t size);

#endif
