/* lines - a text file by its lines, at random.
 *
 * Owns:     its index, a window; a line is good until the next is read.
 * Threads:  one at a time.
 * Errors:   ERR_LIMIT, ERR_ENCODING with the line in err->line.
 * Lifetime: {0}, lines_open .. lines_close.
 *
 * A line ends with \n, \r\n or the end of the file, and is given without them; nothing behind the
 * last \n is no line (as tf.data.TextLineDataset has it). A byte order mark is skipped. Empty lines
 * are lines; with `skips_blank` those of blanks alone are left out.
 */
#ifndef FORMAT_LINES_H
#define FORMAT_LINES_H

#include <stdbool.h>

#include "base/buf.h"
#include "pipeline/format/input.h"
#include "pipeline/format/offsets.h"

enum { LINES_BYTES_MAX = 1 << 24 };

struct lines {
    struct input in;
    struct input_window window;
    struct offsets begins;  /* of each line */
    struct offsets numbers; /* from 1; only where lines are left out */
    bool skips_blank;
};
int lines_open(struct lines *lines, const struct input *in, bool skips_blank, struct err *err);
void lines_close(struct lines *lines);
/* What was opened, for the next to open the same file without reading it; false: it cannot be of
 * it, and nothing is opened. */
void lines_save(const struct lines *lines, struct buf *out);
bool lines_load(struct lines *lines, const struct input *in, bool skips_blank, const void *data,
                size_t size);
static inline size_t lines_n(const struct lines *lines)
{
    return lines->begins.n;
}
/* Its number in the file, from 1. */
int64_t lines_number(const struct lines *lines, size_t i);
/* UTF-8, not terminated. */
int lines_read(struct lines *lines, size_t i, const char **ret, size_t *ret_n, struct err *err);

#endif
