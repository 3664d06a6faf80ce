/* unpack - gzip, zlib and Zstandard files to their bytes, within limits.
 *
 * Owns:     nothing between calls; what it makes is the caller's.
 * Threads:  pure functions.
 * Errors:   ERR_TRUNCATED, ERR_CORRUPT (sums too), ERR_LIMIT (bytes, or more than UNPACK_RATIO_MAX
 *           times what was packed), what the sink says.
 * Lifetime: the caller's.
 *
 * Several members one after the other are one file (RFC 1952, RFC 8878); anything else behind the
 * end is ERR_CORRUPT. Sources: RFC 1950, 1952, 8878.
 */
#ifndef FORMAT_UNPACK_H
#define FORMAT_UNPACK_H

#include "base/buf.h"
#include "pipeline/format/input.h"

enum { UNPACK_RATIO_MAX = 1000, UNPACK_SLACK = 65536 };
enum unpack_kind { UNPACK_NONE, UNPACK_GZIP, UNPACK_ZLIB, UNPACK_ZSTD, UNPACK_DEFLATE /* bare */ };

/* By the first bytes. zlib is only found when asked for: two bytes are little to go by. */
int unpack_kind(const struct input *in, bool with_zlib, enum unpack_kind *ret, struct err *err);
struct unpack_sink {
    int (*take)(void *arg, const void *data, size_t n, struct err *err);
    void *arg;
};
/* Hands the bytes on as they come, in pieces of at most INPUT_WINDOW. */
int unpack_run(const struct input *in, enum unpack_kind kind, int64_t max_bytes,
               const struct unpack_sink *sink, struct err *err);
/* Appends to out. */
int unpack_to_buf(const struct input *in, enum unpack_kind kind, int64_t max_bytes, struct buf *out,
                  struct err *err);
/* Writes to a descriptor, from where it stands: a spool that is read at random. */
int unpack_to_fd(const struct input *in, enum unpack_kind kind, int64_t max_bytes, int fd,
                 struct err *err);

#endif
