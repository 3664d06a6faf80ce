/* zip - the directory of a zip archive and its members, stored or deflated.
 *
 * Owns:     a directory owns its lists.
 * Threads:  one at a time; opened, it is read-only.
 * Errors:   ERR_EMPTY, ERR_BAD_MAGIC, ERR_TRUNCATED (no directory at the end), ERR_CORRUPT (also a
 *           name twice, a sum), ERR_UNSUPPORTED (encrypted, other methods, several disks),
 * ERR_LIMIT, ERR_UNSAFE_PATH, ERR_ENCODING. Lifetime: {0}, zip_open .. zip_close.
 *
 * Source: PKWARE's APPNOTE.TXT 6.3 (with Zip64). Sizes are the directory's; a local header must
 * bear the same name. Folders are left out.
 */
#ifndef FORMAT_ZIP_H
#define FORMAT_ZIP_H

#include <stdbool.h>

#include "base/buf.h"
#include "pipeline/format/input.h"

enum { ZIP_MEMBERS_MAX = 65535, ZIP_DIRECTORY_MAX = 1 << 24 };

struct zip_member {
    int64_t name;                        /* in `names`; ends with NUL */
    int64_t offset, packed_bytes, bytes; /* of the data */
    uint32_t crc;
    bool is_deflated;
};
struct zip {
    const struct input *in;
    struct zip_member *members;
    size_t n;
    struct buf names;
};
int zip_open(struct zip *zip, const struct input *in, struct err *err);
void zip_close(struct zip *zip);
static inline const char *zip_name(const struct zip *zip, size_t i)
{
    return zip->names.data + zip->members[i].name;
}
/* All its bytes, checked by their sum; at most max_bytes. */
int zip_read(const struct zip *zip, size_t i, int64_t max_bytes, struct buf *out, struct err *err);
/* A stored member in its place; its sum is checked if asked for: reading all of it once. */
int zip_part(const struct zip *zip, size_t i, bool is_checked, struct input *ret, struct err *err);

#endif
