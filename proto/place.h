/* place - a folder of a user's whose files a data set reads where they lie: opened beneath it, and compared with what
 * was registered.
 *
 * Owns:     a returned descriptor is the caller's.
 * Threads:  none shared.
 * Errors:   ERR_DATA for a file that is gone, is none or was changed since: a bad sample, whoever asks.
 * Lifetime: none.
 *
 * No part of a path may be a link or "..": what is opened lies below the folder. Done with one openat a part and
 * O_NOFOLLOW, because seccomp cannot see the flags of openat2.
 */
#ifndef PROTO_PLACE_H
#define PROTO_PLACE_H

#include <sys/stat.h>

#include "base/doc.h"

/* What says that a file is the one that was registered. */
struct place_stamp {
    int64_t bytes, mtime_ns, inode;
};

struct place_stamp place_stamp(const struct stat *st);
/* Of an entry of a manifest: {path, bytes, mtime_ns, inode, id}. */
struct place_stamp place_stamp_of(const struct doc *file);
void place_stamp_put(const struct place_stamp *stamp, struct doc *file, struct arena *arena);

/* Opens a regular file for reading that is still what its entry says. */
int place_open(int folder_fd, const struct doc *file, int *ret_fd, struct err *err);
/* The same without an entry, of any kind: flags as O_DIRECTORY, O_PATH. ERR_NOT_FOUND, ERR_DENIED, ERR_IO; a link is
 * ERR_INVALID. */
int place_open_path(int folder_fd, const char *path, int flags, int *ret_fd, struct err *err);
/* Is the file that is open, or the one that the path names now, still the registered one? */
int place_check_fd(int fd, const struct doc *file, struct err *err);
int place_check(int folder_fd, const struct doc *file, struct err *err);

#endif
