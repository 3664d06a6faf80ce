/* member - names of the members of archives: which are safe to keep.
 *
 * Owns:     nothing.
 * Threads:  pure functions.
 * Errors:   ERR_LIMIT, ERR_UNSAFE_PATH, ERR_ENCODING.
 * Lifetime: the caller's.
 *
 * A name never becomes a path here; it is refused where it could become a bad one elsewhere: empty,
 * absolute, with a part "..", with NUL or control characters, not UTF-8, too long, too deep.
 */
#ifndef FORMAT_MEMBER_H
#define FORMAT_MEMBER_H

#include "pipeline/format/input.h"

enum { MEMBER_NAME_MAX = 4096, MEMBER_DEPTH_MAX = 64 };

/* `at` is the byte that an error names. */
int member_check_name(const struct input *in, int64_t at, const char *name, size_t n,
                      struct err *err);

#endif
