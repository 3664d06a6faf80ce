#include "base/tensor.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    size_t bytes;
} dtypes[] = {
#define DTYPE_ROW(symbol, name, bytes) [DTYPE_##symbol] = {(name), (bytes)},
#include "base/dtypes.h"
#undef DTYPE_ROW
};

size_t dtype_bytes(enum dtype dtype)
{
    BUG_ON((unsigned)dtype >= DTYPE_MAX_);
    return dtypes[dtype].bytes;
}

const char *dtype_name(enum dtype dtype)
{
    BUG_ON((unsigned)dtype >= DTYPE_MAX_);
    return dtypes[dtype].name;
}

int dtype_find(const char *name)
{
    for (int i = 0; i < (int)DTYPE_MAX_; i++) {
        if (strcmp(dtypes[i].name, name) == 0) {
            return i;
        }
    }
    return ERR_UNKNOWN;
}

struct shape shape_make(int rank, const int64_t *d)
{
    struct shape shape = {.rank = rank};
    BUG_ON(rank < 0 || rank > SHAPE_RANK_MAX);
    for (int i = 0; i < rank; i++) {
        shape.d[i] = d[i];
    }
    return shape;
}

bool shape_equal(const struct shape *a, const struct shape *b)
{
    if (a->rank != b->rank) {
        return false;
    }
    for (int i = 0; i < a->rank; i++) {
        if (a->d[i] != b->d[i]) {
            return false;
        }
    }
    return true;
}

int shape_count(const struct shape *shape, int64_t *ret)
{
    int64_t count = 1;
    bool is_empty = false;
    if (shape->rank < 0 || shape->rank > SHAPE_RANK_MAX) {
        return ERR_SHAPE;
    }
    for (int i = 0; i < shape->rank; i++) {
        if (shape->d[i] < 0) {
            return ERR_SHAPE;
        }
        if (shape->d[i] == 0) {
            is_empty = true;
        } else if (__builtin_mul_overflow(count, shape->d[i], &count)) {
            return ERR_LIMIT; /* even beside a 0: no stride would hold it */
        }
    }
    *ret = is_empty ? 0 : count;
    return 0;
}

int shape_bytes(const struct shape *shape, enum dtype dtype, size_t *ret)
{
    int64_t count = 0;
    int r = shape_count(shape, &count);
    if (r < 0) {
        return r;
    }
    return __builtin_mul_overflow(count, dtype_bytes(dtype), ret) ? ERR_LIMIT : 0;
}

void shape_format(const struct shape *shape, char *buf, size_t size)
{
    char text[256] = "(";
    size_t at = 1;
    for (int i = 0; i < shape->rank && i < SHAPE_RANK_MAX; i++) {
        const char *comma = i > 0 ? ", " : "";
        int n = shape->d[i] < 0 ? snprintf(text + at, sizeof(text) - at, "%sNone", comma)
                                : snprintf(text + at, sizeof(text) - at, "%s%lld", comma,
                                           (long long)shape->d[i]);
        at += (size_t)n;
    }
    (void)snprintf(buf, size, "%s%s)", text, shape->rank == 1 ? "," : "");
}
