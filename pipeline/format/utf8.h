/* utf8 - is it text: UTF-8 without overlong forms, surrogates or NUL (RFC 3629).
 *
 * Owns:     nothing.
 * Threads:  pure functions.
 * Errors:   none.
 * Lifetime: the caller's.
 */
#ifndef FORMAT_UTF8_H
#define FORMAT_UTF8_H

#include <stddef.h>

/* Bytes that are good; n if all are. */
size_t utf8_good(const char *text, size_t n);

#endif
