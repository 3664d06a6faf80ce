/* npy_file - NumPy's .npy format: one array behind a literal that is parsed and never evaluated.
 *
 * Owns:     npy_file_read: the numbers are copied into `storage`, which stays the caller's.
 * Threads:  pure functions.
 * Errors:   ERR_CORRUPT, ERR_LIMIT, ERR_UNSUPPORTED (objects, records, texts, column-major order),
 * ERR_NOT_FINITE. Lifetime: the storage's.
 */
#ifndef PIPELINE_SOURCE_NPY_FILE_H
#define PIPELINE_SOURCE_NPY_FILE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/tensor.h"

bool npy_file_is(const void *data, size_t size);
int npy_file_read(const void *data, size_t size, struct buf *storage, struct tensor *ret,
                  struct err *err);

#endif
