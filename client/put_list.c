#include "client/put_list.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "proto/msg.h"

enum { DEPTH_MAX = 32, FILES_MAX = 10000000, PIECE_BYTES = 1 << 20 };

struct walk {
    struct arena *arena;
    struct put_list *list;
    size_t capacity;
};

static int add_file(struct walk *walk, const char *path, int64_t bytes, struct err *err)
{
    struct put_list *list = walk->list;
    if (list->n == FILES_MAX) {
        return err_set_at(err, ERR_LIMIT, path, "more than %d files", FILES_MAX);
    }
    if (list->n == walk->capacity) {
        size_t capacity = walk->capacity > 0 ? walk->capacity * 2 : 256;
        struct put_file *files = arena_array(walk->arena, capacity, sizeof(*files));
        if (list->n > 0) {
            memcpy(files, list->files, list->n * sizeof(*files));
        }
        list->files = files;
        walk->capacity = capacity;
    }
    list->files[list->n++] = (struct put_file){.path = path, .bytes = bytes};
    list->bytes += bytes;
    return 0;
}

static int walk_folder(struct walk *walk, int fd, const char *path, int depth, struct err *err);

static int walk_entry(struct walk *walk, int dir_fd, const char *name, const char *path, int depth,
                      struct err *err)
{
    struct stat st;
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return err_errno(err, errno, "look at '%s'", path);
    }
    if (S_ISDIR(st.st_mode)) {
        int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0) {
            return err_errno(err, errno, "open the folder '%s'", path);
        }
        return walk_folder(walk, fd, path, depth + 1, err);
    }
    if (S_ISLNK(st.st_mode) && (fstatat(dir_fd, name, &st, 0) != 0 || !S_ISREG(st.st_mode))) {
        return 0;
    }
    return S_ISREG(st.st_mode) ? add_file(walk, path, (int64_t)st.st_size, err) : 0;
}

/* Takes fd. A class without a single sample is a mistake that would only show as a class never
 * learned. */
static int walk_folder(struct walk *walk, int fd, const char *path, int depth, struct err *err)
{
    DIR *dir = depth <= DEPTH_MAX ? fdopendir(fd) : NULL;
    size_t before = walk->list->n;
    int rc = 0;
    if (dir == NULL) {
        rc = depth > DEPTH_MAX
                 ? err_set_at(err, ERR_LIMIT, path, "folders deeper than %d", DEPTH_MAX)
                 : err_errno(err, errno, "read the folder '%s'", path);
        close(fd);
        return rc;
    }
    for (struct dirent *entry = readdir(dir); entry != NULL && rc == 0; entry = readdir(dir)) {
        if (entry->d_name[0] != '.') {
            const char *below = arena_printf(walk->arena, "%s%s%s", path,
                                             path[0] != '\0' ? "/" : "", entry->d_name);
            rc = walk_entry(walk, fd, entry->d_name, below, depth, err);
        }
    }
    closedir(dir);
    if (rc == 0 && walk->list->n == before) {
        rc = err_set_at(err, ERR_INVALID, path, "the folder has no files%s",
                        path[0] != '\0' ? ": a class needs samples; fill it or remove it" : "");
    }
    return rc;
}

static int by_path(const void *a, const void *b)
{
    const struct put_file *x = a;
    const struct put_file *y = b;
    return strcmp(x->path, y->path);
}

int put_list_read(const char *path, struct arena *arena, struct put_list *ret, struct err *err)
{
    struct walk walk = {.arena = arena, .list = ret};
    struct stat st;
    *ret = (struct put_list){.root = path};
    if (stat(path, &st) != 0) {
        return err_errno(err, errno, "read '%s'", path);
    }
    if (S_ISREG(st.st_mode)) {
        const char *slash = strrchr(path, '/');
        ret->root = slash == NULL   ? "."
                    : slash == path ? "/"
                                    : arena_strndup(arena, path, (size_t)(slash - path));
        return add_file(&walk, slash != NULL ? slash + 1 : path, (int64_t)st.st_size, err);
    }
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return err_errno(err, errno, "open the folder '%s'", path);
    }
    int rc = walk_folder(&walk, fd, "", 0, err);
    if (rc == 0) {
        qsort(ret->files, ret->n, sizeof(*ret->files), by_path);
    } else if (err != NULL && err->path[0] == '\0') {
        err_prefix(err, "%s", path); /* the folder itself */
    }
    return rc;
}

int put_list_open(const struct put_list *list, size_t index, int *ret_fd, struct err *err)
{
    char path[8192];
    (void)snprintf(path, sizeof(path), "%s/%s", list->root, list->files[index].path);
    *ret_fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    return *ret_fd < 0 ? err_errno(err, errno, "open '%s'", path) : 0;
}

static int hash_file(struct put_list *list, size_t index, unsigned char *piece, put_list_fn *fn,
                     void *context, struct err *err)
{
    struct put_file *file = &list->files[index];
    struct hash hash;
    int64_t offset = 0;
    int fd = -1;
    int rc = put_list_open(list, index, &fd, err);
    hash_init(&hash);
    while (rc >= 0 && offset < file->bytes) {
        int64_t n = file_pread(fd, piece, PIECE_BYTES, offset, err);
        if (n <= 0 || offset + n > file->bytes) {
            rc = n < 0 ? (int)n
                       : err_set_at(err, ERR_IO, file->path, "the file changed while it was read");
            break;
        }
        hash_update(&hash, piece, (size_t)n);
        offset += n;
        if (fn != NULL && fn(context, file, n) != 0) {
            rc = err_set(err, ERR_INTERRUPTED, "interrupted");
        }
    }
    hash_final(&hash, file->id);
    if (fd >= 0) {
        close(fd);
    }
    return rc;
}

int put_list_hash(struct put_list *list, put_list_fn *fn, void *context, struct err *err)
{
    unsigned char *piece = malloc(PIECE_BYTES);
    int rc = 0;
    BUG_ON(piece == NULL);
    for (size_t i = 0; i < list->n && rc >= 0; i++) {
        rc = hash_file(list, i, piece, fn, context, err);
    }
    free(piece);
    return rc;
}

void put_list_encode(const struct put_list *list, struct buf *out)
{
    struct arena arena;
    arena_init(&arena);
    struct doc *items = doc_new(&arena);
    doc_set_list(items);
    for (size_t i = 0; i < list->n; i++) {
        struct doc *item = doc_push(items, &arena);
        doc_set_map(item);
        doc_put_str(item, &arena, "path", list->files[i].path);
        doc_put_int(item, &arena, "bytes", list->files[i].bytes);
        doc_put_str(item, &arena, "id", list->files[i].id);
    }
    msg_write_doc(items, out);
    arena_fini(&arena);
}
