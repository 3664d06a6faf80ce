/* avi - the frames of a Motion JPEG film in an AVI file: where each lies.
 *
 * Owns:     a film owns its lists.
 * Threads:  opened, it is read-only.
 * Errors:   ERR_EMPTY, ERR_BAD_MAGIC, ERR_TRUNCATED, ERR_CORRUPT, ERR_LIMIT, ERR_UNSUPPORTED
 *           (another codec).
 * Lifetime: {0}, avi_open .. avi_close.
 *
 * Source: Microsoft's "AVI RIFF File Reference", OpenDML AVI 1.02 (several RIFF parts). The index
 * in the file is not believed: chunks are walked. A frame of no bytes repeats the one before it.
 * The JPEG itself is image/decode's.
 */
#ifndef FORMAT_AVI_H
#define FORMAT_AVI_H

#include "pipeline/format/input.h"
#include "pipeline/format/offsets.h"

enum { AVI_FRAME_MAX = 1 << 26, AVI_FRAMES_MAX = 1 << 24 };

struct avi {
    int64_t width, height;
    uint32_t rate, scale;         /* rate / scale frames a second */
    struct offsets begins, sizes; /* of the frames */
};
int avi_open(struct avi *avi, const struct input *in, struct err *err);
void avi_close(struct avi *avi);

#endif
