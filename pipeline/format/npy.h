/* npy - NumPy's .npy files: rows of an array at random; the literal in front is parsed and never
 * evaluated.
 *
 * Owns:     nothing; the input is borrowed.
 * Threads:  opened, it is read-only.
 * Errors:   ERR_EMPTY, ERR_BAD_MAGIC, ERR_TRUNCATED, ERR_CORRUPT, ERR_UNSUPPORTED (records, texts,
 *           dates, complex), ERR_UNSAFE_TYPE (objects), ERR_LIMIT, ERR_NOT_FINITE, ERR_VALUE.
 * Lifetime: the input's.
 *
 * Source: NumPy enhancement proposal 1, versions 1 to 3. Either byte order and order of dimensions;
 * what is given is in this machine's order, row by row. bool and integers as they are, but uint32
 * and uint64 as int64 (over 2^63: ERR_VALUE); float16 as float32; float32, float64. Bytes behind
 * the array are not looked at, as NumPy does.
 */
#ifndef FORMAT_NPY_H
#define FORMAT_NPY_H

#include "base/tensor.h"
#include "pipeline/format/input.h"

enum { NPY_HEADER_MAX = 65536 };

struct npy_type; /* of an element in the file */
struct npy {
    struct input in;
    const struct npy_type *type;
    enum dtype dtype; /* of what is given */
    struct shape shape;
    int64_t begin;  /* of the numbers */
    int64_t n_rows; /* 1 for a single number */
    int64_t row;    /* numbers in a row */
    bool swaps, is_fortran;
};
int npy_open(struct npy *npy, const struct input *in, struct err *err);
/* Rows first .. first + n to numbers of `dtype`; numbers that are not finite only with takes_all.
 */
int npy_read(const struct npy *npy, int64_t first, int64_t n, bool takes_all, void *ret,
             struct err *err);
/* Where all rows lie as npy_read gives them, or NULL: then they have to be read. */
const void *npy_memory(const struct npy *npy);
/* Of n rows that were copied from there: are all numbers finite? */
bool npy_is_finite(const struct npy *npy, int64_t n, const void *rows);

#endif
