/* upload_list - the list of files that an upload declares: read, bounded, given a kind and splits.
 *
 * Owns, Lifetime: everything lives in the arena given. Threads: a read list is const.
 * Errors:   ERR_INVALID, ERR_LIMIT, ERR_MISSING; path is the file's.
 */
#ifndef DAEMON_UPLOAD_LIST_H
#define DAEMON_UPLOAD_LIST_H

#include "daemon/settings.h"

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

/* data: msgpack list of {path, bytes, id}, sorted by path. */
int upload_list_read(const void *data, size_t size, const char *name, const char *kind,
                     const struct settings *settings, struct arena *arena, struct upload_list *ret,
                     struct err *err);
/* The manifest {kind, files} as a document, and its content id. */
void upload_list_manifest(const struct upload_list *list, struct arena *arena, struct doc *map,
                          char id[65]);

#endif
