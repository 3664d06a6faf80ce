/* upload_list - the list of files that an upload declares: read, bounded, given a kind and splits.
 *
 * Owns, Lifetime: everything lives in the arena given. Threads: a read list is const.
 * Errors:   ERR_INVALID, ERR_LIMIT, ERR_MISSING; path is the file's.
 */
#ifndef DAEMON_UPLOAD_LIST_H
#define DAEMON_UPLOAD_LIST_H

#include "daemon/settings.h"
#include "proto/place.h"
#include "proto/sock.h"

struct upload_file {
    const char *path;
    const char *id;
    int64_t bytes;
};
struct upload_part { /* where a file lies in a shard */
    int64_t shard, offset;
};
struct upload_list {
    const char *name; /* of the data set */
    const char *kind; /* never "auto" */
    struct upload_file *files;
    size_t n;
    int64_t bytes;
    const char *splits; /* JSON: {name: files} */
    const char *place;  /* the folder that the files lie in, if they are not copied; else NULL */
    struct place_stamp *stamps; /* then: one a file */
    struct upload_file *shards; /* the tar files that the files lie in; or none */
    size_t n_shards;
    struct upload_part *parts; /* then: one a file */
};

/* frames: msgpack lists of {path, bytes, id}, sorted by path from the first to the last. */
int upload_list_check_name(const char *name, struct err *err);
int upload_list_read(const struct sock_frame *frames, int n_frames, const char *name,
                     const char *kind, const struct settings *settings, struct arena *arena,
                     struct upload_list *ret, struct err *err);
/* Name, kind and splits of a list whose files stand. */
int upload_list_finish(struct upload_list *list, const char *name, const char *kind,
                       struct arena *arena, struct err *err);
/* The split that a file's path says, "all" if none. */
const char *upload_list_split(const struct upload_list *list, const struct upload_file *file);
int upload_list_check_name(const char *name, struct err *err);
int upload_list_by_path(const void *a, const void *b); /* order of struct upload_file */
/* A relative path of plain parts, as a data set lists them. */
bool upload_list_is_path(const char *path);
/* The manifest {files, kind} (and place, or shards) in canonical form, piece by piece to fn (or NULL), and its content id.
 */
typedef int upload_list_fn(void *context, const char *text, size_t size, struct err *err);
int upload_list_manifest(const struct upload_list *list, upload_list_fn *fn, void *context,
                         char id[65], struct err *err);

#endif
