/* crc32c - the Castagnoli checksum (RFC 3720, B.4), by SSE 4.2 where there is one.
 *
 * Owns:     nothing.
 * Threads:  pure functions.
 * Errors:   none.
 * Lifetime: none.
 */
#ifndef FORMAT_CRC32C_H
#define FORMAT_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* crc: of the bytes before, 0 at first. */
uint32_t crc32c(uint32_t crc, const void *data, size_t n);
/* The plain version, for comparison. */
uint32_t crc32c_plain(uint32_t crc, const void *data, size_t n);

#endif
