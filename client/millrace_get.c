#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "client/millrace.h"

enum { PATH_BYTES = 8192, BATCH_FILES = 256, BATCH_BYTES = 1 << 20, PATIENCE_MS = 30000 };

/* A manifest has a line a file. */
static const struct doc_limits manifest_limits = {
    .depth = 16, .nodes = 16000000, .bytes = 512u << 20};

struct download {
    struct millrace *m;
    const struct millrace_get *get;
    struct millrace_put_progress progress;
    struct arena arena;       /* of one request */
    const char *name;         /* with the version that is got */
    const struct doc *shards; /* that the files lie in, or NULL */
    struct {                  /* the last piece of a shard */
        char id[HASH_ID_TEXT];
        int64_t begin;
        struct buf data;
    } window;
    int64_t kept_files;
};

/* ---- the manifest ---- */

static int read_text(struct millrace *m, const char *name, struct arena *arena, struct buf *text,
                     const struct doc **ret, struct err *err)
{
    for (;;) {
        const struct msg_dataset_manifest body = {.name = name, .offset = (int64_t)text->size};
        struct sock_frame frame = {0};
        int n = 1;
        int rc =
            millrace_request_frames(m, MSG_DATASET_MANIFEST, &body, arena, ret, &frame, &n, err);
        if (rc < 0 || n < 1 || frame.size == 0) {
            return rc;
        }
        buf_put(text, frame.data, frame.size);
        if (text->size > manifest_limits.bytes) {
            return err_set(err, ERR_LIMIT, "the manifest of '%s' is too long", name);
        }
    }
}

int millrace_manifest(struct millrace *m, const char *name, struct arena *arena,
                      const struct doc **ret, const struct doc **ret_manifest, struct err *err)
{
    struct buf text = {0};
    struct doc *manifest = NULL;
    char id[HASH_ID_TEXT] = "";
    int rc = read_text(m, name, arena, &text, ret, err);
    rc = rc < 0 ? rc
                : doc_read_json(text.data != NULL ? text.data : "", text.size, &manifest_limits,
                                arena, &manifest, err);
    if (rc >= 0) {
        buf_clear(&text);
        doc_write_canonical(manifest, &text);
        hash_bytes(text.data, text.size, id);
        *ret_manifest = manifest;
    }
    buf_fini(&text);
    const struct doc *files = rc >= 0 ? doc_get(manifest, "files") : NULL;
    if (rc >= 0 &&
        (strcmp(id, doc_str(*ret, "id", "")) != 0 || files == NULL || files->type != DOC_LIST)) {
        rc = err_set(err, ERR_CORRUPT, "the manifest of '%s' is damaged", name);
    }
    return rc;
}

/* ---- files ---- */

/* What a daemon sends is no reason to write outside the folder. */
static bool is_plain(const char *path)
{
    for (const char *part = path; *part != '\0'; part += strspn(part, "/")) {
        size_t n = strcspn(part, "/");
        if (n == 0 || (n <= 2 && strncmp(part, "..", n) == 0)) {
            return false;
        }
        part += n;
    }
    return path[0] != '\0' && path[strlen(path) - 1] != '/';
}

static int make_path(const struct download *d, const char *path, char ret[PATH_BYTES],
                     struct err *err)
{
    int n = snprintf(ret, PATH_BYTES, "%s/%s", d->get->path, path);
    if (!is_plain(path) || n < 0 || n >= PATH_BYTES) {
        return err_set_at(err, ERR_INVALID, path, "is no path below a folder");
    }
    char *slash = strrchr(ret, '/');
    *slash = '\0';
    int rc = file_make_dirs(ret, err);
    *slash = '/';
    return rc;
}

/* "DIR/a/b.png" -> "DIR/a/.b.png.part" */
static int make_part(const char *path, char ret[PATH_BYTES], struct err *err)
{
    const char *slash = strrchr(path, '/');
    int n = snprintf(ret, PATH_BYTES, "%.*s/.%s.part", (int)(slash - path), path, slash + 1);
    return n < PATH_BYTES ? 0 : err_set_at(err, ERR_LIMIT, path, "the path is too long");
}

static bool has_id(const char *path, int64_t bytes, const char *id)
{
    struct stat st;
    char found[HASH_ID_TEXT];
    unsigned char piece[65536];
    struct hash hash;
    int64_t offset = 0;
    int64_t n = 1;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size != bytes) {
        n = 0;
        bytes = -1;
    }
    hash_init(&hash);
    while (n > 0 && (n = file_pread(fd, piece, sizeof(piece), offset, NULL)) > 0) {
        hash_update(&hash, piece, (size_t)n);
        offset += n;
    }
    hash_final(&hash, found);
    if (fd >= 0) {
        close(fd);
    }
    return offset == bytes && strcmp(found, id) == 0;
}

static int tell(struct download *d, const char *path, int64_t bytes, struct err *err)
{
    d->progress.stage = MILLRACE_PUT_SEND;
    d->progress.path = path;
    d->progress.done_bytes += bytes;
    if (d->get->progress != NULL) {
        d->get->progress(d->get->context, &d->progress);
    }
    return millrace_woken(d->m) ? err_set(err, ERR_INTERRUPTED, "interrupted") : 0;
}

static int put_in_place(const char *part, const char *path, const struct doc *file, struct err *err)
{
    if (!has_id(part, doc_int(file, "bytes", -1), doc_str(file, "id", ""))) {
        unlink(part);
        return err_set_at(err, ERR_CORRUPT, doc_str(file, "path", ""),
                          "the bytes that came do not have the declared id");
    }
    return rename(part, path) == 0 ? 0 : err_errno(err, errno, "rename '%s'", path);
}

static int write_file(const char *path, const void *data, size_t size, int64_t offset,
                      struct err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd < 0) {
        return err_errno(err, errno, "make '%s'", path);
    }
    int rc = ftruncate(fd, offset) != 0 ? err_errno(err, errno, "write '%s'", path) : 0;
    rc = rc < 0 ? rc : file_pwrite_all(fd, data, size, offset, err);
    return close(fd) != 0 && rc >= 0 ? err_errno(err, errno, "write '%s'", path) : rc;
}

/* Asks for blobs; a daemon that is gone is waited for. */
static int ask(struct download *d, const char *const *ids, size_t n, int64_t offset,
               const struct doc **ret_sizes, struct sock_frame *ret, struct err *err)
{
    const struct msg_dataset_read body = {
        .name = d->name, .ids = {.v = ids, .n = n}, .offset = offset};
    const struct doc *answer = NULL;
    int rc = ERR_GONE;
    for (int i = 0; i < 3 && rc == ERR_GONE; i++) {
        int n_frames = 1;
        arena_reset(&d->arena);
        *ret = (struct sock_frame){0};
        rc = i > 0 ? millrace_reopen(d->m, PATIENCE_MS, err) : 0;
        rc = rc < 0 ? rc
                    : millrace_request_frames(d->m, MSG_DATASET_READ, &body, &d->arena, &answer,
                                              ret, &n_frames, err);
    }
    *ret_sizes = rc < 0 ? NULL : doc_get(answer, "sizes");
    if (rc >= 0 && (*ret_sizes == NULL || (*ret_sizes)->type != DOC_LIST || (*ret_sizes)->n == 0 ||
                    (*ret_sizes)->n > n)) {
        rc = err_set(err, ERR_SYNTAX, "the daemon's answer to dataset.read is not understood");
    }
    return rc;
}

/* The blob that has a file's bytes, and from where on: itself, or the shard it lies in. */
static const char *where(const struct download *d, const struct doc *file, int64_t *ret_offset)
{
    const int64_t shard = doc_int(file, "shard", -1);
    const bool has = d->shards != NULL && d->shards->type == DOC_LIST && shard >= 0 &&
                     (size_t)shard < d->shards->n;
    *ret_offset = has ? doc_int(file, "offset", 0) : 0;
    return doc_str(has ? doc_at(d->shards, (size_t)shard) : file, "id", "");
}

static int get_large(struct download *d, const struct doc *file, struct err *err)
{
    char path[PATH_BYTES], part[PATH_BYTES];
    int64_t begin = 0;
    const char *id = where(d, file, &begin);
    const int64_t bytes = doc_int(file, "bytes", 0);
    struct stat st;
    int rc = make_path(d, doc_str(file, "path", ""), path, err);
    rc = rc < 0 ? rc : make_part(path, part, err);
    int64_t offset = rc >= 0 && lstat(part, &st) == 0 && st.st_size <= bytes ? st.st_size : 0;
    rc = rc < 0 ? rc : tell(d, doc_str(file, "path", ""), offset, err);
    while (rc >= 0 && offset < bytes) {
        const struct doc *sizes = NULL;
        struct sock_frame frame;
        rc = ask(d, &id, 1, begin + offset, &sizes, &frame, err);
        if (rc >= 0 && frame.size == 0) {
            rc = err_set(err, ERR_SYNTAX, "the daemon sent no bytes");
        }
        if ((int64_t)frame.size > bytes - offset) { /* what lies behind it in a shard */
            frame.size = (size_t)(bytes - offset);
        }
        rc = rc < 0 ? rc : write_file(part, frame.data, frame.size, offset, err);
        offset += (int64_t)frame.size;
        rc = rc < 0 ? rc : tell(d, doc_str(file, "path", ""), (int64_t)frame.size, err);
    }
    return rc < 0 ? rc : put_in_place(part, path, file, err);
}

static int take_small(struct download *d, const struct doc *file, const void *data, size_t size,
                      struct err *err)
{
    char path[PATH_BYTES], part[PATH_BYTES], id[HASH_ID_TEXT];
    int rc = make_path(d, doc_str(file, "path", ""), path, err);
    rc = rc < 0 ? rc : make_part(path, part, err);
    hash_bytes(data, size, id);
    if (rc >= 0 && strcmp(id, doc_str(file, "id", "")) != 0) {
        rc = err_set_at(err, ERR_CORRUPT, doc_str(file, "path", ""),
                        "the bytes that came do not have the declared id");
    }
    rc = rc < 0 ? rc : write_file(part, data, size, 0, err);
    if (rc >= 0 && rename(part, path) != 0) {
        rc = err_errno(err, errno, "rename '%s'", path);
    }
    return rc < 0 ? rc : tell(d, doc_str(file, "path", ""), (int64_t)size, err);
}

/* Small files in a row; ret_n: how many came. */
static int get_small(struct download *d, const struct doc *const *files, size_t n, size_t *ret_n,
                     struct err *err)
{
    const char *ids[BATCH_FILES];
    const struct doc *sizes = NULL;
    struct sock_frame frame;
    for (size_t i = 0; i < n; i++) {
        ids[i] = doc_str(files[i], "id", "");
    }
    int rc = ask(d, ids, n, 0, &sizes, &frame, err);
    const char *data = frame.data;
    size_t left = frame.size;
    *ret_n = rc < 0 ? 0 : sizes->n;
    for (size_t i = 0; i < *ret_n && rc >= 0; i++) {
        const int64_t bytes = doc_int(files[i], "bytes", -1);
        const struct doc *size = doc_at(sizes, i);
        if (size->type != DOC_INT || size->i != bytes || (uint64_t)bytes > left) {
            return err_set_at(err, ERR_CORRUPT, doc_str(files[i], "path", ""),
                              "the daemon has another number of bytes");
        }
        rc = take_small(d, files[i], data, (size_t)bytes, err);
        data += bytes;
        left -= (size_t)bytes;
    }
    return rc;
}

static int get_batch(struct download *d, const struct doc **batch, size_t *n, struct err *err)
{
    int rc = 0;
    for (size_t done = 0; done < *n && rc >= 0;) {
        size_t came = 0;
        rc = get_small(d, batch + done, *n - done, &came, err);
        done += came;
    }
    *n = 0;
    return rc;
}

/* Small files of a shard lie one behind the other: what came with one has the next ones too. */
static int get_part(struct download *d, const struct doc *file, struct err *err)
{
    const int64_t bytes = doc_int(file, "bytes", 0);
    int64_t begin = 0;
    const char *id = where(d, file, &begin);
    if (strcmp(id, d->window.id) != 0 || begin < d->window.begin ||
        begin + bytes > d->window.begin + (int64_t)d->window.data.size) {
        const struct doc *sizes = NULL;
        struct sock_frame frame;
        int rc = ask(d, &id, 1, begin, &sizes, &frame, err);
        if (rc < 0) {
            return rc;
        }
        (void)snprintf(d->window.id, sizeof(d->window.id), "%s", id);
        d->window.begin = begin;
        buf_clear(&d->window.data);
        buf_put(&d->window.data, frame.data, frame.size);
        if ((int64_t)frame.size < bytes) {
            return err_set_at(err, ERR_CORRUPT, doc_str(file, "path", ""),
                              "the daemon has another number of bytes");
        }
    }
    return take_small(d, file, d->window.data.data + (begin - d->window.begin), (size_t)bytes, err);
}

static int get_all(struct download *d, const struct doc *files, struct err *err)
{
    const struct doc *batch[BATCH_FILES];
    size_t n = 0;
    int rc = 0;
    for (size_t i = 0; i < files->n && rc >= 0; i++) {
        const struct doc *file = doc_at(files, i);
        const int64_t bytes = doc_int(file, "bytes", -1);
        char path[PATH_BYTES];
        rc = make_path(d, doc_str(file, "path", ""), path, err);
        if (rc < 0) {
            break;
        }
        if (has_id(path, bytes, doc_str(file, "id", ""))) {
            d->kept_files++;
            d->progress.kept_bytes += bytes;
            rc = tell(d, doc_str(file, "path", ""), bytes, err);
        } else if (bytes > BATCH_BYTES) {
            rc = get_large(d, file, err);
        } else if (d->shards != NULL) {
            rc = get_part(d, file, err);
        } else {
            batch[n++] = file;
            rc = n == BATCH_FILES ? get_batch(d, batch, &n, err) : 0;
        }
    }
    return rc < 0 ? rc : get_batch(d, batch, &n, err);
}

static int sync_folder(const char *path, struct err *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd < 0 || syncfs(fd) != 0 ? err_errno(err, errno, "sync '%s'", path) : 0;
    if (fd >= 0) {
        close(fd);
    }
    return rc;
}

int millrace_get(struct millrace *m, const struct millrace_get *get, struct arena *arena,
                 const struct doc **ret, struct millrace_got *ret_got, struct err *err)
{
    struct download d = {.m = m, .get = get};
    const struct doc *manifest = NULL;
    arena_init(&d.arena);
    int rc = millrace_manifest(m, get->name, arena, ret, &manifest, err);
    if (rc >= 0 && strcmp(doc_str(*ret, "kind", ""), "feed") == 0) {
        rc = err_set(err, ERR_UNSUPPORTED, "'%s' is fed by a client and has no files", get->name);
    }
    const struct doc *shards = rc < 0 ? NULL : doc_get(manifest, "shards");
    const struct doc *files = rc < 0 ? NULL : get->shards ? shards : doc_get(manifest, "files");
    d.shards = get->shards ? NULL : shards;
    if (rc >= 0 && files == NULL) {
        rc = err_set(err, ERR_UNSUPPORTED, "'%s' has no shards; `millrace dataset pack` makes them",
                     get->name);
    }
    if (rc >= 0) {
        d.name = arena_printf(arena, "%s@%lld", doc_str(*ret, "name", ""),
                              (long long)doc_int(*ret, "version", 1));
        d.progress.n_files = (int64_t)files->n;
        for (size_t i = 0; i < files->n; i++) {
            d.progress.total_bytes += doc_int(doc_at(files, i), "bytes", 0);
        }
        rc = get_all(&d, files, err);
    }
    rc = rc < 0 ? rc : sync_folder(get->path, err);
    if (ret_got != NULL) {
        *ret_got = (struct millrace_got){
            .n_files = d.progress.n_files, .bytes = d.progress.total_bytes, .n_kept = d.kept_files};
    }
    buf_fini(&d.window.data);
    arena_fini(&d.arena);
    return rc;
}
