/* exif - the orientation that a camera notes in a picture's EXIF, and how to turn pixels by it.
 *
 * Owns:     nothing.
 * Threads:  pure functions.
 * Errors:   none: EXIF that is absent or damaged means "as stored" (1), as it does for Pillow.
 * Lifetime: the caller's.
 *
 * Source: EXIF 2.32 (CIPA DC-008), tag 0x0112 of the first directory; the turns are those of
 * Pillow's ImageOps.exif_transpose.
 */
#ifndef IMAGE_EXIF_H
#define IMAGE_EXIF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 1 to 8. `tiff` begins with II or MM; "Exif\0\0" in front of it is skipped. */
int exif_orientation(const unsigned char *tiff, size_t size);
/* From the first APP1 segment with EXIF in front of the picture's data. */
int exif_of_jpeg(const unsigned char *data, size_t size);
/* Do height and width change places? */
bool exif_is_sideways(int orientation);
/* Turns height x width pixels of `bytes` each into `out`, which does not overlap. */
void exif_apply(int orientation, const unsigned char *in, int64_t height, int64_t width, int bytes,
                unsigned char *out);

#endif
