/* put_list - the files below a path, as a data set lists them: relative paths in byte order, sizes,
 * content ids.
 *
 * Owns:     the arena given; no descriptor outlives a call.
 * Threads:  one at a time.
 * Errors:   ERR_NOT_FOUND, ERR_DENIED, ERR_IO, ERR_LIMIT; ERR_INVALID for a folder without files.
 * path = the file. Lifetime: the arena's.
 *
 * Hidden files are left out. Links to files are followed, links to folders are not. A link that
 * leads out of the folder is refused by its name: nobody would see what it makes public.
 */
#ifndef CLIENT_PUT_LIST_H
#define CLIENT_PUT_LIST_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"

struct put_file {
    const char *path; /* in the data set */
    int64_t bytes;
    char id[HASH_ID_TEXT];
    bool is_twin; /* an earlier file has the same bytes */
};
struct put_list {
    const char *root; /* folder that the paths start from */
    struct put_file *files;
    size_t n;
    int64_t bytes;
};

typedef int put_list_fn(void *context, const struct put_file *file, int64_t done_bytes);

/* Names and sizes. follow: links that lead out of the folder, too. */
int put_list_read(const char *path, bool follow, struct arena *arena, struct put_list *ret,
                  struct err *err);
/* Content ids, with a few threads that end with the call. fn (or NULL) is told of what was read, on
 * the caller's thread; other than 0 ends with ERR_INTERRUPTED. */
int put_list_hash(struct put_list *list, put_list_fn *fn, void *context, struct err *err);
/* Marks the twins; after put_list_hash. */
void put_list_twins(struct put_list *list);
/* Descriptor of a file, O_RDONLY. */
int put_list_open(const struct put_list *list, size_t index, int *ret_fd, struct err *err);
/* msgpack list of {path, bytes, id} of n files: a frame behind dataset.begin. */
void put_list_encode(const struct put_list *list, size_t first, size_t n, struct buf *out);

#endif
