/* tfrecord - an index of a TFRecord file, and its records, checked by their sums.
 *
 * Owns:     an index owns its lists; a record is good until the window's next use.
 * Threads:  an index, finished, is read-only; a window belongs to one thread.
 * Errors:   ERR_TRUNCATED, ERR_CORRUPT (a sum is wrong), ERR_LIMIT, each with the record's number
 *           and byte.
 * Lifetime: {0}, tfrecord_index .. offsets_fini.
 *
 * Source: TensorFlow, core/lib/io/record_writer.h: length (8 bytes), masked CRC-32C of it, data,
 * masked CRC-32C of them. Building the index checks every length and no data; reading checks the
 * data. A file of no bytes has no records. A packed file is unpacked first (unpack.h).
 */
#ifndef FORMAT_TFRECORD_H
#define FORMAT_TFRECORD_H

#include "pipeline/format/input.h"
#include "pipeline/format/offsets.h"

enum { TFRECORD_BYTES_MAX = 1 << 26, TFRECORD_HEAD = 12, TFRECORD_FOOT = 4 };

/* Positions of the records' heads, and the end: n records give n + 1 positions. */
int tfrecord_index(struct offsets *index, const struct input *in, struct err *err);
/* The same from positions that were found before; false if they cannot be the file's. */
bool tfrecord_load(struct offsets *index, const struct input *in, const void *data, size_t size);
int tfrecord_read(const struct offsets *index, struct input_window *window, size_t record,
                  const unsigned char **ret, size_t *ret_size, struct err *err);

#endif
