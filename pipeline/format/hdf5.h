/* hdf5 - arrays in HDF5 files: any rows of a dataset.
 *
 * Owns:     an array owns what libhdf5 has open; the input is borrowed.
 * Threads:  one at a time, in all of the process: libhdf5 has state of its own.
 * Errors:   ERR_EMPTY, ERR_BAD_MAGIC, ERR_CORRUPT, ERR_NOT_FOUND (no such dataset), ERR_UNSUPPORTED
 *           (texts, compounds, filters other than gzip, shuffle, fletcher32), ERR_UNSAFE_TYPE (data
 *           or links that lead to other files), ERR_LIMIT, ERR_VALUE, ERR_NOT_FINITE.
 * Lifetime: hdf5_open .. hdf5_close.
 *
 * By libhdf5, which is not safe against hostile files: in a sandboxed process only. It reads
 * through the input alone (a driver of ours) and opens no file. Contiguous, compact and chunked
 * layouts. Types become ours as in npy.h; h5py's bool is bool.
 */
#ifndef FORMAT_HDF5_H
#define FORMAT_HDF5_H

#include <stdbool.h>

#include "base/tensor.h"
#include "pipeline/format/input.h"

enum { HDF5_CHUNK_MAX = 1 << 28, HDF5_PATH_MAX = 1024 };

struct hdf5;
struct hdf5_info {
    enum dtype dtype;
    struct shape shape;
    int64_t n_rows, row; /* row: numbers in one */
};
/* path: "x" or "group/x". */
int hdf5_open(const struct input *in, const char *path, struct hdf5 **ret,
              struct hdf5_info *ret_info, struct err *err);
void hdf5_close(struct hdf5 *hdf5); /* takes NULL */
int hdf5_read(struct hdf5 *hdf5, int64_t first, int64_t n, bool takes_all, void *ret,
              struct err *err);

#endif
