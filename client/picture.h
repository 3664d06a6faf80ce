/* picture - small grey pictures as text, several beside each other.
 *
 * Owns:     nothing.
 * Threads:  none shared.
 * Errors:   none.
 * Lifetime: the caller's.
 *
 * Two rows of pixels are one row of characters, so that a pixel is about square.
 */
#ifndef CLIENT_PICTURE_H
#define CLIENT_PICTURE_H

#include <stdbool.h>

#include "base/buf.h"

enum { PICTURE_MAX = 48 };

struct picture {
    int height, width; /* at most PICTURE_MAX */
    const unsigned char *pixels;
    const char *caption;
};

/* As many beside each other as fit into `columns`. utf8: block characters, else ASCII. */
void picture_draw(const struct picture *pictures, int n, int columns, bool utf8, struct buf *out);

#endif
