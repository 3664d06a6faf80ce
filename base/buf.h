/* buf - a growing run of bytes, also used as text.
 *
 * Owns:     its bytes; buf_take hands them to the caller (free()).
 * Threads:  one at a time.
 * Errors:   growth failure is BUG(): callers bound sizes from outside first.
 * Lifetime: init (or {0}) .. fini. `data` is always NUL-terminated when not NULL; `size` does not count it.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stddef.h>

struct buf {
    char *data;
    size_t size;
    size_t capacity;
};

void buf_init(struct buf *buf);
void buf_fini(struct buf *buf);
void buf_clear(struct buf *buf);
void buf_reserve(struct buf *buf, size_t extra);
void buf_put(struct buf *buf, const void *data, size_t size);
void buf_puts(struct buf *buf, const char *text);
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *buf_take(struct buf *buf);

#endif
