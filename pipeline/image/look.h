/* look - which part of a picture is read, told before it is decoded; and which part was decoded.
 *
 * Owns:     nothing.
 * Threads:  plain values.
 * Errors:   none.
 * Lifetime: the call's.
 *
 * A hint: who cannot use it gives the whole picture. With shrink 1 the part has the very pixels of
 * the whole one.
 */
#ifndef PIPELINE_IMAGE_LOOK_H
#define PIPELINE_IMAGE_LOOK_H

#include <stdbool.h>
#include <stdint.h>

struct look_area { /* inside the picture */
    int64_t top, left, height, width;
    int shrink; /* a pixel may stand for this many a side: 1, 2, 4, 8 */
};
struct look_part {
    int64_t height, width; /* of the whole picture; 0: nothing was left out */
    int64_t top, left;     /* in the whole picture: the corner of the part, a multiple of shrink */
    int shrink;
};
/* Asked when the size is known; false: all is read. */
struct look_asker {
    bool (*ask)(const struct look_asker *asker, int64_t height, int64_t width, int64_t channels,
                struct look_area *ret);
    const void *ctx;
    int field; /* of the element */
};

#endif
