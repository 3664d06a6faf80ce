#include "pipeline/format/member.h"

#include <string.h>

#include "pipeline/format/utf8.h"

/* Why the name cannot be one, or NULL. */
static const char *unsafe(const char *name, size_t n)
{
    if (name[0] == '/') {
        return "is absolute";
    }
    for (size_t begin = 0; begin <= n;) {
        const char *slash = memchr(name + begin, '/', n - begin);
        const size_t end = slash != NULL ? (size_t)(slash - name) : n;
        if (end - begin == 2 && memcmp(name + begin, "..", 2) == 0) {
            return "has a part '..'";
        }
        begin = end + 1;
    }
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)name[i] < ' ' || name[i] == 0x7f) {
            return "has control characters";
        }
    }
    return NULL;
}

static int depth_of(const char *name, size_t n)
{
    int depth = 1;
    for (size_t i = 0; i < n; i++) {
        depth += name[i] == '/';
    }
    return depth;
}

int member_check_name(const struct input *in, int64_t at, const char *name, size_t n,
                      struct err *err)
{
    if (n > MEMBER_NAME_MAX) {
        return input_fail(in, at, ERR_LIMIT, err, "a name of %zu bytes, more than %d", n,
                          MEMBER_NAME_MAX);
    }
    if (n == 0 || memchr(name, '\0', n) != NULL) {
        return input_fail(in, at, ERR_UNSAFE_PATH, err, "a name that is empty or holds NUL");
    }
    if (depth_of(name, n) > MEMBER_DEPTH_MAX) {
        return input_fail(in, at, ERR_LIMIT, err, "a name of more than %d parts", MEMBER_DEPTH_MAX);
    }
    const char *why = unsafe(name, n);
    if (why != NULL) {
        return input_fail(in, at, ERR_UNSAFE_PATH, err, "the name '%.*s' %s",
                          n > 100 ? 100 : (int)n, name, why);
    }
    return utf8_good(name, n) == n
               ? 0
               : input_fail(in, at, ERR_ENCODING, err, "a name that is not UTF-8");
}
