/* decode - JPEG and PNG to uint8 pixels, told apart by their bytes.
 *
 * Owns:     a decoder owns its codec state and one image buffer; what it gives is borrowed until
 * the next call. Threads:  one at a time. Errors:   ERR_CORRUPT (also every warning of a codec:
 * strict), ERR_LIMIT, ERR_UNSUPPORTED, ERR_NO_MEMORY. Lifetime: create .. destroy.
 *
 * Stored orientation (EXIF is not applied). 16 bits become 8 by their high byte, alpha is dropped
 * when 1 or 3 channels are asked for, CMYK of Adobe (inverted) becomes R = C K / 255. JPEG: slow
 * integer DCT, fancy upsampling, on every machine the same.
 */
#ifndef PIPELINE_IMAGE_DECODE_H
#define PIPELINE_IMAGE_DECODE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum {
    DECODE_SIDE_MAX = 65500,
    DECODE_PIXELS_MAX = 64000000,
    DECODE_SCANS_MAX = 500,
};

struct decode_image {
    int64_t height, width, channels; /* channels: 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA or CMYK */
    const unsigned char *data;       /* NULL from decode_header */
};

struct decode;
struct decode *decode_create(void);
void decode_destroy(struct decode *decode); /* takes NULL */

/* Size and native channels, from the header alone. */
int decode_header(struct decode *decode, const void *data, size_t size, struct decode_image *ret,
                  struct err *err);
/* channels: 0 = native, 1 = grey, 3 = RGB. */
int decode_run(struct decode *decode, const void *data, size_t size, int channels,
               struct decode_image *ret, struct err *err);

#endif
