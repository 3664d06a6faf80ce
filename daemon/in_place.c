#include "daemon/in_place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "daemon/steps.h"
#include "proto/place.h"

enum {
    DEPTH_MAX = 32,
    PIECE_BYTES = 1 << 18,
    TRIES_MAX = 1000,
};
/* A file as young as a file system's clock is coarse may change once more without a new time. */
static const int64_t young_us = 20000, young_coarse_us = 2000000;

struct in_place {
    struct steps_session base;
    size_t capacity;
    const char *name, *kind;
    int folder_fd, file_fd;
    size_t index; /* the file that is read, from `offset` on */
    int64_t offset;
    struct hash hash;
    unsigned char *piece;
    int n_tries;
};

/* ---- where, and whose ---- */

/* "/a/b" lies below "/a" and below "/", and "/a" below itself. */
static bool is_below(const char *path, const char *root)
{
    size_t n = strlen(root);
    n -= n > 0 && root[n - 1] == '/';
    return strncmp(path, root, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

static bool is_allowed(const struct daemon *daemon, const char *path)
{
    const struct opt_strs *roots = &daemon->settings->in_place_roots;
    bool allowed = false;
    for (size_t i = 0; i < roots->n && !allowed; i++) {
        char *root = realpath(roots->v[i], NULL);
        allowed = root != NULL && is_below(path, root);
        free(root);
    }
    return allowed;
}

int in_place_open(const struct daemon *daemon, const char *path, int *ret_fd, struct err *err)
{
    const struct opt_strs *roots = &daemon->settings->in_place_roots;
    struct err found = {0};
    *ret_fd = -1;
    if (!is_allowed(daemon, path)) {
        return err_set(err, ERR_DENIED,
                       "'%s' may not be used in place: the daemon's setting in_place_roots %s",
                       path, roots->n > 0 ? "names other folders" : "is empty");
    }
    int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root_fd < 0) {
        return err_errno(err, errno, "open '/'");
    }
    int rc = path[1] == '\0'
                 ? place_open_path(root_fd, ".", O_RDONLY | O_DIRECTORY, ret_fd, &found)
                 : place_open_path(root_fd, path + 1, O_RDONLY | O_DIRECTORY, ret_fd, &found);
    close(root_fd);
    return rc >= 0 ? 0 : err_set(err, rc, "the folder '%s' cannot be opened: %s", path, found.text);
}

/* bits: 4 to read, 1 to go through. Group and lists of rights are not asked, and what they might
 * deny is denied. */
static bool may(const struct stat *st, int64_t uid, unsigned bits)
{
    const unsigned mode = st->st_mode;
    if (uid < 0 || uid == 0 || uid == (int64_t)geteuid()) {
        return true;
    }
    return (int64_t)st->st_uid == uid ? (mode >> 6 & bits) == bits
                                      : (mode >> 3 & bits) == bits && (mode & bits) == bits;
}

static int denied(const char *path, int64_t uid, struct err *err)
{
    return err_set_at(
        err, ERR_DENIED, path,
        "user %lld may not read this by the rights of its owner or of everybody, which "
        "are what counts in place",
        (long long)uid);
}

/* May the user reach the folder at all? */
static int check_way(const char *path, int64_t uid, struct err *err)
{
    char prefix[DAEMON_PATH_MAX];
    struct stat st;
    for (size_t n = 1; path[n] != '\0'; n++) {
        if (path[n] != '/') {
            continue;
        }
        snprintf(prefix, sizeof(prefix), "%.*s", (int)n, path);
        if (stat(prefix, &st) != 0 || !may(&st, uid, 1)) {
            return denied(prefix, uid, err);
        }
    }
    return 0;
}

/* ---- the walk ---- */

static int add_file(struct in_place *s, const struct daemon *daemon, const char *path,
                    const struct stat *st, struct err *err)
{
    struct upload_list *list = &s->base.list;
    const struct settings *settings = daemon->settings;
    if (!upload_list_is_path(path)) {
        return err_set_at(err, ERR_INVALID, path, "is not a relative path of plain names");
    }
    if (list->n == (size_t)settings->max_dataset_files) {
        return err_set(err, ERR_LIMIT, "more files than max_dataset_files = %lld",
                       (long long)settings->max_dataset_files);
    }
    if (st->st_size > settings->max_dataset_bytes - list->bytes) {
        return err_set_at(err, ERR_LIMIT, path,
                          "the data set is larger than max_dataset_bytes = %lld",
                          (long long)settings->max_dataset_bytes);
    }
    if (list->n == s->capacity) {
        s->capacity = s->capacity > 0 ? s->capacity * 2 : 256;
        list->files = realloc(list->files, s->capacity * sizeof(*list->files));
        BUG_ON(list->files == NULL);
    }
    list->files[list->n++] = (struct upload_file){.path = path, .bytes = st->st_size};
    list->bytes += st->st_size;
    return 0;
}

static int walk(struct in_place *s, const struct daemon *daemon, int fd, const char *path,
                int depth, struct err *err);

static int walk_entry(struct in_place *s, const struct daemon *daemon, int dir_fd, const char *name,
                      const char *path, int depth, struct err *err)
{
    struct stat st;
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return err_errno(err, errno, "look at '%s'", path);
    }
    if (S_ISLNK(st.st_mode)) {
        return err_set_at(err, ERR_INVALID, path,
                          "is a link; a data set in place has none (copy it without --in-place)");
    }
    if (S_ISDIR(st.st_mode)) {
        int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return fd < 0 ? err_errno(err, errno, "open the folder '%s'", path)
                      : walk(s, daemon, fd, path, depth + 1, err);
    }
    if (!S_ISREG(st.st_mode)) {
        return 0;
    }
    return may(&st, s->base.uid, 4) ? add_file(s, daemon, path, &st, err)
                                    : denied(path, s->base.uid, err);
}

/* Takes fd. The rules are those of `dataset put`: hidden files stay out, a folder has a file. */
static int walk(struct in_place *s, const struct daemon *daemon, int fd, const char *path,
                int depth, struct err *err)
{
    struct stat st;
    size_t before = s->base.list.n;
    int rc = fstat(fd, &st) != 0 ? err_errno(err, errno, "look at '%s'", path)
             : !may(&st, s->base.uid, 5)
                 ? denied(path[0] != '\0' ? path : s->base.list.place, s->base.uid, err)
             : depth > DEPTH_MAX
                 ? err_set_at(err, ERR_LIMIT, path, "folders deeper than %d", DEPTH_MAX)
                 : 0;
    DIR *dir = rc < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        close(fd);
        return rc < 0 ? rc : err_set_at(err, ERR_IO, path, "the folder cannot be read");
    }
    for (struct dirent *entry = readdir(dir); entry != NULL && rc >= 0; entry = readdir(dir)) {
        if (entry->d_name[0] != '.') {
            const char *below = arena_printf(&s->base.arena, "%s%s%s", path,
                                             path[0] != '\0' ? "/" : "", entry->d_name);
            rc = walk_entry(s, daemon, fd, entry->d_name, below, depth, err);
        }
    }
    closedir(dir);
    return rc >= 0 && s->base.list.n == before
               ? err_set_at(err, ERR_INVALID, path, "the folder has no files%s",
                            path[0] != '\0' ? ": a class needs samples; fill it or remove it" : "")
               : rc;
}

static int begin(struct steps_session *session, struct db *db, struct err *err)
{
    (void)db;
    struct in_place *s = (struct in_place *)session;
    const struct daemon *daemon = session->daemon;
    struct upload_list *list = &s->base.list;
    int rc = in_place_open(daemon, list->place, &s->folder_fd, err);
    rc = rc < 0 ? rc : check_way(list->place, s->base.uid, err);
    int fd = rc < 0 ? -1 : openat(s->folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (rc >= 0) {
        rc = fd < 0 ? err_errno(err, errno, "open '%s'", list->place)
                    : walk(s, daemon, fd, "", 0, err);
    }
    if (rc < 0) {
        return rc;
    }
    if (list->n > 0) {
        qsort(list->files, list->n, sizeof(*list->files), upload_list_by_path);
    }
    session->total_bytes = list->bytes;
    list->stamps = calloc(list->n, sizeof(*list->stamps));
    BUG_ON(list->stamps == NULL);
    return upload_list_finish(list, s->name, s->kind, &s->base.arena, err);
}

/* ---- the reading ---- */

static int begin_file(struct in_place *s, struct err *err)
{
    struct upload_file *file = &s->base.list.files[s->index];
    struct stat st;
    int rc = place_open_path(s->folder_fd, file->path, O_RDONLY | O_NONBLOCK, &s->file_fd, err);
    if (rc < 0) {
        return rc;
    }
    if (fstat(s->file_fd, &st) != 0) {
        return err_errno(err, errno, "look at '%s'", file->path);
    }
    if (!S_ISREG(st.st_mode) || !may(&st, s->base.uid, 4)) {
        return denied(file->path, s->base.uid, err);
    }
    s->base.list.stamps[s->index] = place_stamp(&st);
    s->base.list.bytes += st.st_size - file->bytes;
    file->bytes = st.st_size;
    s->offset = 0;
    hash_init(&s->hash);
    return 0;
}

static bool is_young(const struct place_stamp *stamp)
{
    const int64_t age_us = clock_wall_us() - stamp->mtime_ns / 1000;
    return age_us < (stamp->mtime_ns % 1000000000 == 0 ? young_coarse_us : young_us) && age_us >= 0;
}

/* Keeps the id if nobody wrote meanwhile; else the file is read again, with the next request. */
static int end_file(struct in_place *s, bool *ret_again, struct err *err)
{
    struct upload_file *file = &s->base.list.files[s->index];
    const struct place_stamp then = s->base.list.stamps[s->index];
    char id[HASH_ID_TEXT];
    struct stat st;
    bool same = false;
    if (fstat(s->file_fd, &st) == 0) {
        const struct place_stamp now = place_stamp(&st);
        same = memcmp(&now, &then, sizeof(now)) == 0 && s->offset == file->bytes && !is_young(&now);
    }
    hash_final(&s->hash, id);
    close(s->file_fd);
    s->file_fd = -1;
    if (!same) {
        s->base.done_bytes -= s->offset;
        *ret_again = true;
        return ++s->n_tries < TRIES_MAX
                   ? 0
                   : err_set_at(err, ERR_BUSY, file->path, "the file changes while it is read");
    }
    file->id = arena_strdup(&s->base.arena, id);
    s->n_tries = 0;
    s->index++;
    return 0;
}

static int step(struct steps_session *session, struct db *db, bool *ret_end, struct err *err)
{
    (void)db;
    struct in_place *s = (struct in_place *)session;
    const int64_t end_us = clock_us() + STEPS_SLICE_US;
    bool again = false;
    int rc = 0;
    while (rc >= 0 && !again && s->index < s->base.list.n && clock_us() < end_us) {
        int64_t n = 0;
        rc = s->file_fd < 0 ? begin_file(s, err) : 0;
        const int64_t left = rc < 0 ? 0 : s->base.list.files[s->index].bytes - s->offset;
        if (left > 0) {
            n = file_pread(s->file_fd, s->piece, (size_t)(left < PIECE_BYTES ? left : PIECE_BYTES),
                           s->offset, err);
            rc = n < 0 ? (int)n : 0;
        }
        hash_update(&s->hash, s->piece, n > 0 ? (size_t)n : 0);
        s->offset += n > 0 ? n : 0;
        s->base.done_bytes += n > 0 ? n : 0;
        if (rc >= 0 && (n == left || n == 0)) {
            rc = end_file(s, &again, err);
        }
    }
    const struct upload_list *list = &session->list;
    session->total_bytes = list->bytes;
    session->path = s->index < list->n ? list->files[s->index].path : NULL;
    *ret_end = rc >= 0 && s->index == list->n;
    return rc;
}

/* ---- the session ---- */

static void fini(struct steps_session *session)
{
    struct in_place *s = (struct in_place *)session;
    const int fds[] = {s->folder_fd, s->file_fd};
    for (size_t i = 0; i < 2; i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
    free(session->list.files);
    free(session->list.stamps);
    free(s->piece);
}

static const struct steps_kind in_place_kind = {
    .size = sizeof(struct in_place), .begin = begin, .step = step, .fini = fini};

void in_place_on_place(struct daemon *daemon, const struct request *request, const void *body,
                       const struct sock_frame *frames, int n_frames)
{
    (void)frames;
    (void)n_frames;
    const struct msg_dataset_place *wanted = body;
    struct err err = {0};
    if (wanted->path[0] != '/' || strlen(wanted->path) >= DAEMON_PATH_MAX) {
        err_set_at(&err, ERR_INVALID, "path", "'%.100s' is no absolute path", wanted->path);
    }
    struct steps_session *session =
        err.code == 0 ? steps_new(daemon, &in_place_kind, request, &err) : NULL;
    if (session == NULL) {
        control_error(daemon, request, &err);
        return;
    }
    struct in_place *s = (struct in_place *)session;
    s->folder_fd = s->file_fd = -1;
    s->piece = malloc(PIECE_BYTES);
    BUG_ON(s->piece == NULL);
    s->name = arena_strdup(&session->arena, wanted->name);
    s->kind = arena_strdup(&session->arena, wanted->kind);
    session->list.place = arena_strdup(&session->arena, wanted->path);
    steps_begin(session, request);
}
