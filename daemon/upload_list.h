/* upload_list - the list of files that an upload declares: read, bounded, given a kind and splits.
 *
 * Owns, Lifetime: everything lives in the arena given. Threads: a read list is const.
 * Errors:   ERR_INVALID, ERR_LIMIT, ERR_MISSING; path is the file's.
 */
#ifndef DAEMON_UPLOAD_LIST_H
#define DAEMON_UPLOAD_LIST_H

#include "daemon/settings.h"
#include "proto/sock.h"

struct upload_file {
    const char *path;
    const char *id;
    int64_t bytes;
};
struct upload_list {
    const char *name; /* of the data set */
    const char *kind; /* never "auto" */
    struct upload_file *files;
    size_t n;
    int64_t bytes;
    const char *splits; /* JSON: {name: files} */
};

/* frames: msgpack lists of {path, bytes, id}, sorted by path from the first to the last. */
int upload_list_check_name(const char *name, struct err *err);
int upload_list_read(const struct sock_frame *frames, int n_frames, const char *name,
                     const char *kind, const struct settings *settings, struct arena *arena,
                     struct upload_list *ret, struct err *err);
/* The manifest {files, kind} in canonical form, piece by piece to fn (or NULL), and its content id.
 */
typedef int upload_list_fn(void *context, const char *text, size_t size, struct err *err);
int upload_list_manifest(const struct upload_list *list, upload_list_fn *fn, void *context,
                         char id[65], struct err *err);

#endif
