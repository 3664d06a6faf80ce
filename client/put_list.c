#include "client/put_list.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "proto/msg.h"

enum { DEPTH_MAX = 32, FILES_MAX = 10000000, PIECE_BYTES = 1 << 18, HASHERS_MAX = 4 };

struct walk {
    struct arena *arena;
    struct put_list *list;
    size_t capacity;
    bool follow;
    const char *folder; /* without links */
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

/* What a link leads to must lie in the folder, or be asked for. */
static int check_link(const struct walk *walk, int dir_fd, const char *name, const char *path,
                      struct err *err)
{
    char link[320];
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d/%.256s", dir_fd, name);
    char *target = walk->follow ? NULL : realpath(link, NULL);
    const size_t n = strlen(walk->folder);
    int rc = 0;
    if (target != NULL && !(strncmp(target, walk->folder, n) == 0 && target[n] == '/')) {
        rc = err_set_at(err, ERR_INVALID, path,
                        "is a link to '%s', which is not in the folder; --follow-links takes it "
                        "nevertheless",
                        target);
    }
    free(target);
    return rc;
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
    const bool is_link = S_ISLNK(st.st_mode);
    if (is_link && (fstatat(dir_fd, name, &st, 0) != 0 || !S_ISREG(st.st_mode))) {
        return 0;
    }
    int rc = is_link ? check_link(walk, dir_fd, name, path, err) : 0;
    return rc == 0 && S_ISREG(st.st_mode) ? add_file(walk, path, (int64_t)st.st_size, err) : rc;
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

int put_list_read(const char *path, bool follow, struct arena *arena, struct put_list *ret,
                  struct err *err)
{
    struct walk walk = {.arena = arena, .list = ret, .follow = follow};
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
    char *folder = realpath(path, NULL);
    walk.folder = folder != NULL && folder[1] == '\0' ? "" : folder;
    if (folder == NULL) {
        close(fd);
        return err_errno(err, errno, "find '%s'", path);
    }
    int rc = walk_folder(&walk, fd, "", 0, err);
    free(folder);
    if (rc == 0 && ret->n > 0) {
        qsort(ret->files, ret->n, sizeof(*ret->files), by_path);
    }
    if (rc < 0 && err != NULL && err->path[0] == '\0') {
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

static int by_id(const void *a, const void *b)
{
    const struct put_file *x = *(const struct put_file *const *)a;
    const struct put_file *y = *(const struct put_file *const *)b;
    int order = strcmp(x->id, y->id);
    return order != 0 ? order : (x > y) - (x < y);
}

void put_list_twins(struct put_list *list)
{
    struct put_file **files = malloc((list->n + 1) * sizeof(struct put_file *));
    BUG_ON(files == NULL);
    for (size_t i = 0; i < list->n; i++) {
        files[i] = &list->files[i];
    }
    qsort(files, list->n, sizeof(struct put_file *), by_id);
    for (size_t i = 1; i < list->n; i++) {
        files[i]->is_twin = strcmp(files[i]->id, files[i - 1]->id) == 0;
    }
    free(files);
}

/* ---- content ids: the files are dealt out to a few threads, the caller's is one of them ---- */

struct hashing {
    struct put_list *list;
    put_list_fn *fn;
    void *context;
    atomic_size_t next;
    atomic_int_fast64_t done_bytes;
    atomic_bool stop;
};
struct hasher {
    struct hashing *all;
    bool is_first; /* the caller's thread */
    unsigned char *piece;
    struct err err;
    int rc;
};

static int tell(struct hasher *hasher, const struct put_file *file, int64_t n_bytes)
{
    struct hashing *all = hasher->all;
    int64_t done = atomic_fetch_add(&all->done_bytes, n_bytes) + n_bytes;
    if (hasher->is_first && all->fn != NULL && all->fn(all->context, file, done) != 0) {
        return err_set(&hasher->err, ERR_INTERRUPTED, "interrupted");
    }
    return 0;
}

static int hash_file(struct hasher *hasher, size_t index)
{
    struct put_list *list = hasher->all->list;
    struct put_file *file = &list->files[index];
    struct hash hash;
    int64_t offset = 0;
    int fd = -1;
    int rc = put_list_open(list, index, &fd, &hasher->err);
    hash_init(&hash);
    while (rc >= 0 && offset < file->bytes) {
        int64_t n = file_pread(fd, hasher->piece, PIECE_BYTES, offset, &hasher->err);
        if (n <= 0 || offset + n > file->bytes) {
            rc = n < 0 ? (int)n
                       : err_set_at(&hasher->err, ERR_IO, file->path,
                                    "the file changed while it was read");
            break;
        }
        hash_update(&hash, hasher->piece, (size_t)n);
        offset += n;
        rc = tell(hasher, file, n);
    }
    hash_final(&hash, file->id);
    if (fd >= 0) {
        close(fd);
    }
    return rc;
}

static void *hash_some(void *arg)
{
    struct hasher *hasher = arg;
    struct hashing *all = hasher->all;
    hasher->piece = malloc(PIECE_BYTES);
    BUG_ON(hasher->piece == NULL);
    while (hasher->rc >= 0 && !atomic_load(&all->stop)) {
        size_t index = atomic_fetch_add(&all->next, 1);
        if (index >= all->list->n) {
            break;
        }
        hasher->rc = hash_file(hasher, index);
    }
    if (hasher->rc < 0) {
        atomic_store(&all->stop, true);
    }
    free(hasher->piece);
    return NULL;
}

int put_list_hash(struct put_list *list, put_list_fn *fn, void *context, struct err *err)
{
    struct hashing all = {.list = list, .fn = fn, .context = context};
    struct hasher hashers[HASHERS_MAX];
    pthread_t threads[HASHERS_MAX];
    long n_cpus = sysconf(_SC_NPROCESSORS_ONLN);
    int n = 1;
    hashers[0] = (struct hasher){.all = &all, .is_first = true};
    while (n < HASHERS_MAX && n < n_cpus && (size_t)n < list->n) {
        hashers[n] = (struct hasher){.all = &all};
        if (pthread_create(&threads[n], NULL, hash_some, &hashers[n]) != 0) {
            break;
        }
        n++;
    }
    hash_some(&hashers[0]);
    int rc = 0;
    for (int i = 0; i < n; i++) {
        if (i > 0) {
            pthread_join(threads[i], NULL);
        }
        if (hashers[i].rc < 0 && rc >= 0) {
            rc = hashers[i].rc;
            if (err != NULL) {
                *err = hashers[i].err;
            }
        }
    }
    return rc;
}

void put_list_encode(const struct put_list *list, size_t first, size_t n, struct buf *out)
{
    struct arena arena;
    arena_init(&arena);
    struct doc *items = doc_new(&arena);
    doc_set_list(items);
    for (size_t i = first; i < first + n; i++) {
        struct doc *item = doc_push(items, &arena);
        doc_set_map(item);
        doc_put_str(item, &arena, "path", list->files[i].path);
        doc_put_int(item, &arena, "bytes", list->files[i].bytes);
        doc_put_str(item, &arena, "id", list->files[i].id);
    }
    msg_write_doc(items, out);
    arena_fini(&arena);
}
