#include "pipeline/image/exif.h"

#include <string.h>

enum { TAG = 0x0112, SHORT = 3, ENTRY = 12, ENTRIES_MAX = 1000 };

static uint32_t number(const unsigned char *p, int bytes, bool is_big)
{
    uint32_t n = 0;
    for (int i = 0; i < bytes; i++) {
        n = n << 8 | p[is_big ? i : bytes - 1 - i];
    }
    return n;
}

int exif_orientation(const unsigned char *tiff, size_t size)
{
    if (size >= 6 && memcmp(tiff, "Exif\0\0", 6) == 0) {
        tiff += 6;
        size -= 6;
    }
    if (size < 8 || (memcmp(tiff, "II*\0", 4) != 0 && memcmp(tiff, "MM\0*", 4) != 0)) {
        return 1;
    }
    const bool is_big = tiff[0] == 'M';
    const size_t at = number(tiff + 4, 4, is_big);
    if (at > size - 2) {
        return 1;
    }
    const size_t n = number(tiff + at, 2, is_big);
    for (size_t i = 0; i < n && i < ENTRIES_MAX; i++) {
        const size_t begin = at + 2 + i * ENTRY;
        if (begin + ENTRY > size) {
            return 1;
        }
        const unsigned char *entry = tiff + begin;
        if (number(entry, 2, is_big) == TAG) {
            const uint32_t value = number(entry + 8, 2, is_big);
            return number(entry + 2, 2, is_big) == SHORT && value >= 1 && value <= 8 ? (int)value
                                                                                     : 1;
        }
    }
    return 1;
}

int exif_of_jpeg(const unsigned char *data, size_t size)
{
    enum { APP1 = 0xe1, SOS = 0xda, EOI = 0xd9 };
    size_t at = 2;
    while (at + 4 <= size && data[at] == 0xff) {
        const unsigned char marker = data[at + 1];
        if (marker == 0xff) { /* fill */
            at++;
            continue;
        }
        const size_t length = number(data + at + 2, 2, true);
        if (marker == SOS || marker == EOI || length < 2 || length > size - at - 2) {
            return 1;
        }
        if (marker == APP1 && length >= 8 && memcmp(data + at + 4, "Exif\0\0", 6) == 0) {
            return exif_orientation(data + at + 4, length - 2);
        }
        at += 2 + length;
    }
    return 1;
}

bool exif_is_sideways(int orientation)
{
    return orientation >= 5;
}

/* Which corner the picture is read from, and whether rows become columns. */
struct turn {
    bool flips_x, flips_y, turns;
};

static inline __attribute__((always_inline)) void turn_pixels(struct turn turn,
                                                              const unsigned char *in,
                                                              int64_t height, int64_t width,
                                                              const int bytes, unsigned char *out)
{
    const int64_t out_height = turn.turns ? width : height, out_width = turn.turns ? height : width;
    for (int64_t y = 0; y < out_height; y++) {
        const int64_t from_y = turn.flips_y ? out_height - 1 - y : y;
        for (int64_t x = 0; x < out_width; x++, out += bytes) {
            const int64_t from_x = turn.flips_x ? out_width - 1 - x : x;
            const int64_t row = turn.turns ? from_x : from_y, column = turn.turns ? from_y : from_x;
            memcpy(out, in + (row * width + column) * bytes, (size_t)bytes);
        }
    }
}

void exif_apply(int orientation, const unsigned char *in, int64_t height, int64_t width, int bytes,
                unsigned char *out)
{
    static const struct turn turns[9] = {
        [2] = {true, false, false}, [3] = {true, true, false}, [4] = {false, true, false},
        [5] = {false, false, true}, [6] = {true, false, true}, [7] = {true, true, true},
        [8] = {false, true, true}};
    switch (bytes) { /* constants, so that a pixel is moved and no function called */
    case 1: turn_pixels(turns[orientation], in, height, width, 1, out); break;
    case 3: turn_pixels(turns[orientation], in, height, width, 3, out); break;
    case 4: turn_pixels(turns[orientation], in, height, width, 4, out); break;
    default: turn_pixels(turns[orientation], in, height, width, bytes, out); break;
    }
}
