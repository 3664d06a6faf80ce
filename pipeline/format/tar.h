/* tar - an index of a tar archive: name, place and size of each member, for reading at random.
 *
 * Owns:     an index owns its lists.
 * Threads:  one at a time; finished, it is read-only.
 * Errors:   ERR_BAD_MAGIC, ERR_TRUNCATED, ERR_CORRUPT, ERR_LIMIT, ERR_UNSUPPORTED (sparse files,
 *           volumes), ERR_UNSAFE_PATH, ERR_UNSAFE_TYPE (links, devices), ERR_ENCODING, ERR_VALUE,
 *           ERR_EMPTY (no bytes at all), each with the byte of the member's header.
 * Lifetime: {0}, tar_index_build .. tar_index_fini.
 *
 * Sources: POSIX.1-2017 pax (ustar and pax headers), the GNU tar manual (long names, base-256
 * numbers). Nothing is unpacked, no mode, owner or date is looked at, directories are counted and
 * left out. Names are given without a leading "./" and
 * are as member.h wants them. The end
 * is two blocks of zeros or the end of the file; behind it another archive may follow (`cat a.tar
 * b.tar`), and what is no header there is not looked at. A packed archive is unpacked first
 * (unpack.h): index and members then are the spool's.
 */
#ifndef FORMAT_TAR_H
#define FORMAT_TAR_H

#include <stdbool.h>

#include "base/buf.h"
#include "pipeline/format/input.h"

enum {
    TAR_MEMBER_MAX = 1 << 30,
    TAR_MEMBERS_MAX = 1 << 26,
    TAR_HEADER_BYTES_MAX = 1 << 20, /* of an extended header */
    TAR_HEADERS_MAX = 8,            /* extended headers in front of a member */
};

struct tar_member {
    int64_t offset, size; /* of the data */
    int64_t name;         /* in `names`; ends with NUL */
};
struct tar_index {
    struct tar_member *members;
    size_t n, capacity, n_folders;
    struct buf names;
};
int tar_index_build(struct tar_index *index, const struct input *in, struct err *err);
void tar_index_fini(struct tar_index *index);
/* What was built, for the next to have it without reading the archive; false: it cannot be of it.
 */
void tar_index_save(const struct tar_index *index, struct buf *out);
bool tar_index_load(struct tar_index *index, const struct input *in, const void *data, size_t size);
static inline const char *tar_name(const struct tar_index *index, size_t i)
{
    return index->names.data + index->members[i].name;
}

#endif
