/* decode - JPEG, PNG, WebP, BMP, GIF (its first frame) to uint8 pixels, told apart by their bytes.
 *
 * Owns:     a decoder owns its codec state and its buffers; what it gives is borrowed until the
 *           next call.
 * Threads:  one at a time.
 * Errors:   ERR_EMPTY, ERR_BAD_MAGIC, ERR_TRUNCATED, ERR_CORRUPT (also every warning of a codec:
 *           strict), ERR_LIMIT, ERR_UNSUPPORTED, ERR_NO_MEMORY.
 * Lifetime: create .. destroy.
 *
 * The orientation that EXIF notes (JPEG, PNG's eXIf, WebP) is applied, to a header's sides too. 16
 * bits become 8 by their high byte, alpha is dropped when 1 or 3 channels are asked for, CMYK of
 * Adobe (inverted) becomes R = C K / 255. JPEG: slow integer DCT, fancy upsampling, on every
 * machine the same. Animated WebP is refused.
 */
#ifndef PIPELINE_IMAGE_DECODE_H
#define PIPELINE_IMAGE_DECODE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "pipeline/image/look.h"

enum {
    DECODE_SIDE_MAX = 65500,
    DECODE_PIXELS_MAX = 64000000,
    DECODE_SCANS_MAX = 500,
};

/* Bits of what a decoder lets in. */
enum {
    DECODE_JPEG = 1 << 0,
    DECODE_PNG = 1 << 1,
    DECODE_WEBP = 1 << 2,
    DECODE_BMP = 1 << 3,
    DECODE_GIF = 1 << 4,
    DECODE_ALL = (1 << 5) - 1,
    DECODE_STORED = 1 << 8, /* beside them: EXIF's orientation is not applied */
    DECODE_NUMBERS =
        1 << 9, /* a PNG with a palette gives the numbers of its colours, in 1 channel */
};

struct decode_image {
    int64_t height, width, channels; /* channels: 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA or CMYK */
    const unsigned char *data;       /* NULL from decode_header */
    int orientation;                 /* EXIF's, applied already; 0 or 1: as stored */
    struct look_part part;           /* of decode_look */
};

struct decode;
struct decode *decode_create(void);
void decode_destroy(struct decode *decode); /* takes NULL */

/* What a file of that name may hold. JPEG and PNG are mixed up everywhere (ImageNet has a PNG
 * called .JPEG): content decides. A WebP, BMP or GIF under the name of another kind is refused:
 * what wrote it did something else than was meant, and of a GIF frames would be lost unseen. Names
 * without one of the six extensions may hold anything. */
unsigned decode_formats_of(const char *name);
/* From now on only these; a new decoder takes all. */
void decode_allow(struct decode *decode, unsigned formats);

/* Size and native channels, from the header alone. */
int decode_header(struct decode *decode, const void *data, size_t size, struct decode_image *ret,
                  struct err *err);
/* channels: 0 = native, 1 = grey, 3 = RGB. */
int decode_run(struct decode *decode, const void *data, size_t size, int channels,
               struct decode_image *ret, struct err *err);
/* The same for who reads a part only. A JPEG is then decoded down to the last row that is looked
 * at, so damage below it stays unseen; but one that has no end is refused. */
int decode_look(struct decode *decode, const void *data, size_t size, int channels,
                const struct look_asker *asker, struct decode_image *ret, struct err *err);

#endif
