/* idx_file - the IDX format (numbers in a grid, big-endian, perhaps gzipped): reading under limits.
 *
 * Owns:     idx_file_read: the bytes of `storage` stay the caller's and hold the numbers.
 * Threads:  pure functions.
 * Errors:   ERR_TRUNCATED and ERR_CORRUPT with the numbers that do not fit, ERR_BAD_MAGIC, ERR_EMPTY,
 *           ERR_UNSUPPORTED, ERR_LIMIT.
 * Lifetime: the storage's.
 */
#ifndef PIPELINE_SOURCE_IDX_FILE_H
#define PIPELINE_SOURCE_IDX_FILE_H

#include "base/buf.h"
#include "base/tensor.h"

enum { IDX_FILE_RANK_MAX = 5, IDX_FILE_RATIO_MAX = 1030 };
#define IDX_FILE_BYTES_MAX ((size_t)2 << 30) /* inflated */

/* Takes the bytes of a file in `storage`, inflates them there if they are gzip, brings the numbers
 * into this machine's byte order, and describes them; d[0] is the number of items (0 is allowed).
 */
int idx_file_read(struct buf *storage, size_t max_bytes, struct tensor *ret, struct err *err);

#endif
