/* npz - several arrays in a zip: x.npy, y.npy, ..., rows at random.
 *
 * Owns:     the arrays that were deflated, in memory; stored ones are read in their place.
 * Threads:  opened, it is read-only.
 * Errors:   those of zip and npy; ERR_SCHEMA (arrays of different lengths).
 * Lifetime: {0}, npz_open .. npz_close; not longer than the input.
 *
 * Source: numpy.savez and savez_compressed.
 */
#ifndef FORMAT_NPZ_H
#define FORMAT_NPZ_H

#include "pipeline/format/npy.h"
#include "pipeline/format/zip.h"

enum { NPZ_ARRAYS_MAX = 64 };

struct npz_array {
    char *name; /* without .npy */
    struct npy npy;
    struct buf storage;
};
struct npz {
    struct zip zip;
    struct npz_array arrays[NPZ_ARRAYS_MAX];
    size_t n;
};
/* max_bytes: of deflated arrays, all together. */
int npz_open(struct npz *npz, const struct input *in, int64_t max_bytes, struct err *err);
void npz_close(struct npz *npz);
const struct npy *npz_find(const struct npz *npz, const char *name);
/* Do all arrays have as many rows? Gives them. */
int npz_rows(const struct npz *npz, int64_t *ret, struct err *err);

#endif
