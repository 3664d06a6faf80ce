#include "pipeline/format/utf8.h"

#include <stdint.h>
#include <string.h>

/* Eight bytes of plain ASCII without NUL. */
static int is_plain(const char *text)
{
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    uint64_t word;
    memcpy(&word, text, sizeof word);
    return (word & tops) == 0 && ((word - ones) & tops) == 0;
}

/* Bytes of the character at p, 0 if it is none. */
static size_t character(const unsigned char *p, size_t left)
{
    const unsigned a = p[0];
    if (a < 0x80) {
        return a != 0;
    }
    const size_t n = a >= 0xc2 && a < 0xe0   ? 2
                     : a >= 0xe0 && a < 0xf0 ? 3
                     : a >= 0xf0 && a < 0xf5 ? 4
                                             : 0;
    if (n == 0 || n > left) {
        return 0;
    }
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    const unsigned b = p[1];
    const int is_bad = (a == 0xe0 && b < 0xa0) || (a == 0xed && b >= 0xa0) ||
                       (a == 0xf0 && b < 0x90) || (a == 0xf4 && b >= 0x90);
    return is_bad ? 0 : n;
}

size_t utf8_good(const char *text, size_t n)
{
    size_t i = 0;
    while (i < n) {
        while (i + 8 <= n && is_plain(text + i)) {
            i += 8;
        }
        const size_t step = i < n ? character((const unsigned char *)text + i, n - i) : 0;
        if (step == 0) {
            return i;
        }
        i += step;
    }
    return n;
}
