#include "daemon/shards.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "daemon/blob.h"
#include "daemon/dataset.h"
#include "daemon/manifest.h"
#include "daemon/quota.h"
#include "daemon/steps.h"

enum { BLOCK = 512, OUT_BYTES = 1 << 20, PIECE_BYTES = 1 << 18, CLASS_BYTES = 256 };

struct shards {
    struct steps_session base;
    const char *manifest_id;
    int64_t shard_bytes;
    struct dataset_files from;
    struct manifest *manifest;
    const struct doc *file; /* its entry of the file that is copied */
    const char **classes;   /* sorted */
    size_t n_classes;
    /* the shard that is written */
    const char *part; /* its name in uploads/ */
    int part_fd;      /* -1: none */
    struct hash hash;
    struct buf out;
    int64_t written; /* of the shard, with what is in `out` */
    size_t index;    /* the file that comes next */
    /* the file that is being copied */
    int fd; /* -1: none */
    int64_t from_offset, copied;
    struct hash file_hash;
};

/* ---- names ---- */

/* "cat/1.seg.png" and "cat/1.jpg" are one sample of WebDataset: the path up to the first dot of the
 * name. */
static size_t key_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    return (size_t)(name - path) + strcspn(name, ".");
}

static bool same_key(const char *a, const char *b)
{
    size_t n = key_of(a);
    return n == key_of(b) && memcmp(a, b, n) == 0;
}

/* The folder that pictures take their class from: the first one, behind a split the second. */
static bool class_of(const struct shards *s, size_t i, char ret[CLASS_BYTES])
{
    const struct upload_file *file = &s->base.list.files[i];
    const char *begin = file->path;
    if (strcmp(upload_list_split(&s->base.list, file), "all") != 0) {
        begin = strchr(begin, '/') + 1;
    }
    const char *end = strchr(begin, '/');
    if (end == NULL || end - begin >= CLASS_BYTES) {
        return false;
    }
    snprintf(ret, CLASS_BYTES, "%.*s", (int)(end - begin), begin);
    return true;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void find_classes(struct shards *s)
{
    const struct upload_list *list = &s->base.list;
    char class[CLASS_BYTES];
    s->classes = calloc(list->n + 1, sizeof(*s->classes));
    BUG_ON(s->classes == NULL);
    for (size_t i = 0; i < list->n && strcmp(list->kind, "images") == 0; i++) {
        if (class_of(s, i, class) &&
            (s->n_classes == 0 || strcmp(s->classes[s->n_classes - 1], class) != 0)) {
            s->classes[s->n_classes++] = arena_strdup(&s->base.arena, class);
        }
    }
    qsort(s->classes, s->n_classes, sizeof(*s->classes), by_text);
    size_t n = 0;
    for (size_t i = 0; i < s->n_classes; i++) { /* of several splits */
        if (n == 0 || strcmp(s->classes[n - 1], s->classes[i]) != 0) {
            s->classes[n++] = s->classes[i];
        }
    }
    s->n_classes = n;
}

/* ---- the tar file ---- */

static int flush(struct shards *s, struct err *err)
{
    hash_update(&s->hash, s->out.data, s->out.size);
    int rc = quota_space(s->base.daemon, s->out.size, err);
    rc = rc < 0 ? rc : file_write_all(s->part_fd, s->out.data, s->out.size, err);
    buf_clear(&s->out);
    return rc;
}

static int put(struct shards *s, const void *data, size_t size, struct err *err)
{
    buf_put(&s->out, data, size);
    s->written += (int64_t)size;
    return s->out.size >= OUT_BYTES ? flush(s, err) : 0;
}

static int pad(struct shards *s, struct err *err)
{
    static const char zeros[BLOCK];
    return put(s, zeros, (size_t)(-s->written & (BLOCK - 1)), err);
}

/* POSIX ustar; all that could differ between two packings of the same files is 0. */
static int put_header(struct shards *s, const char *name, int64_t bytes, char type, struct err *err)
{
    char block[BLOCK] = {0};
    unsigned sum = 0;
    snprintf(block, 100, "%.99s", name);
    memcpy(block + 100, "0000644", 8);
    memcpy(block + 108, "0000000", 8);
    memcpy(block + 116, "0000000", 8);
    if (bytes < (int64_t)1 << 33) {
        char octal[16];
        snprintf(octal, sizeof(octal), "%011llo", (unsigned long long)bytes);
        memcpy(block + 124, octal, 12);
    } else { /* base-256, as GNU and all readers after it */
        block[124] = (char)0x80;
        for (int i = 0; i < 8; i++) {
            block[135 - i] = (char)(bytes >> (8 * i) & 0xff);
        }
    }
    memcpy(block + 136, "00000000000", 12);
    memset(block + 148, ' ', 8);
    block[156] = type;
    memcpy(block + 257, "ustar\00000", 8);
    for (int i = 0; i < BLOCK; i++) {
        sum += (unsigned char)block[i];
    }
    snprintf(block + 148, 8, "%06o", sum & 0777777);
    return put(s, block, BLOCK, err);
}

/* Names over 99 bytes stand in an extended header: "LENGTH path=NAME\n", LENGTH counting itself. */
static int put_name(struct shards *s, const char *name, int64_t bytes, struct err *err)
{
    int rc = 0;
    if (strlen(name) > 99) {
        struct buf record = {0};
        size_t rest = strlen(name) + strlen(" path=\n");
        size_t n = rest + 2 < 100 ? rest + 2 : rest + 3 < 1000 ? rest + 3 : rest + 4;
        buf_printf(&record, "%zu path=%s\n", n, name);
        rc = put_header(s, "././@PaxHeader", (int64_t)record.size, 'x', err);
        rc = rc < 0 ? rc : put(s, record.data, record.size, err);
        rc = rc < 0 ? rc : pad(s, err);
        buf_fini(&record);
    }
    return rc < 0 ? rc : put_header(s, name, bytes, '0', err);
}

/* The class's number beside the first file of a sample: what readers of WebDataset look for. */
static int put_class(struct shards *s, struct err *err)
{
    const struct upload_list *list = &s->base.list;
    const char *path = list->files[s->index].path;
    char class[CLASS_BYTES], text[24], name[PATH_MAX];
    const char *key = class;
    const char **found = NULL;
    if ((s->index == 0 || !same_key(list->files[s->index - 1].path, path)) && s->n_classes > 0 &&
        class_of(s, s->index, class)) {
        found = bsearch(&key, s->classes, s->n_classes, sizeof(*s->classes), by_text);
    }
    snprintf(name, sizeof(name), "%.*s.cls", (int)key_of(path), path);
    if (found == NULL || bsearch(&(struct upload_file){.path = name}, list->files, list->n,
                                 sizeof(*list->files), upload_list_by_path) != NULL) {
        return 0;
    }
    int n = snprintf(text, sizeof(text), "%td", found - s->classes);
    int rc = put_name(s, name, n, err);
    rc = rc < 0 ? rc : put(s, text, (size_t)n, err);
    return rc < 0 ? rc : pad(s, err);
}

/* ---- shards ---- */

static int open_shard(struct shards *s, struct err *err)
{
    struct upload_list *list = &s->base.list;
    const char *split = upload_list_split(list, &list->files[s->index]);
    int number = 0; /* of the split */
    for (size_t i = 0; i < list->n_shards; i++) {
        number += strncmp(list->shards[i].path, split, strlen(split)) == 0 &&
                  list->shards[i].path[strlen(split)] == '-';
    }
    list->shards = realloc(list->shards, (list->n_shards + 1) * sizeof(*list->shards));
    BUG_ON(list->shards == NULL);
    list->shards[list->n_shards++] =
        (struct upload_file){.path = arena_printf(&s->base.arena, "%s-%06d.tar", split, number)};
    s->part_fd = openat(s->base.daemon->uploads_fd, s->part,
                        O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    hash_init(&s->hash);
    s->written = 0;
    return s->part_fd < 0 ? err_errno(err, errno, "make a shard") : 0;
}

static int close_shard(struct shards *s, struct err *err)
{
    static const char zeros[2 * BLOCK];
    struct upload_file *shard = &s->base.list.shards[s->base.list.n_shards - 1];
    const struct daemon *daemon = s->base.daemon;
    char id[HASH_ID_TEXT];
    int dir_fd = -1;
    int rc = put(s, zeros, sizeof(zeros), err);
    rc = rc < 0 ? rc : flush(s, err);
    if (rc >= 0 && fsync(s->part_fd) != 0) {
        rc = err_errno(err, errno, "sync a shard");
    }
    close(s->part_fd);
    s->part_fd = -1;
    hash_final(&s->hash, id);
    shard->id = arena_strdup(&s->base.arena, id);
    shard->bytes = s->written;
    rc = rc < 0 ? rc : blob_adopt(daemon->blobs_fd, daemon->uploads_fd, s->part, id, &dir_fd, err);
    if (dir_fd >= 0) {
        rc = rc >= 0 && fsync(dir_fd) != 0 ? err_errno(err, errno, "sync a folder of blobs") : rc;
        close(dir_fd);
    }
    return rc;
}

/* A shard ends with its split, or when it is full; the files of one sample stay together. */
static bool is_full(const struct shards *s)
{
    const struct upload_list *list = &s->base.list;
    const struct upload_file *file = &list->files[s->index];
    return s->part_fd >= 0 &&
           (strcmp(upload_list_split(list, &file[-1]), upload_list_split(list, file)) != 0 ||
            (s->written + file->bytes > s->shard_bytes && !same_key(file[-1].path, file->path)));
}

static int begin_file(struct shards *s, struct db *db, struct err *err)
{
    struct upload_list *list = &s->base.list;
    const struct upload_file *file = &list->files[s->index];
    int rc = is_full(s) ? close_shard(s, err) : 0;
    rc = rc < 0 || s->part_fd >= 0 ? rc : open_shard(s, err);
    rc = rc < 0 ? rc : put_class(s, err);
    rc = rc < 0 ? rc : put_name(s, file->path, file->bytes, err);
    rc = rc < 0 ? rc : manifest_next(s->manifest, &s->file, err);
    rc = rc < 0 ? rc : dataset_files_open(&s->from, db, s->file, &s->fd, &s->from_offset, err);
    list->parts[s->index].shard = (int64_t)list->n_shards - 1;
    list->parts[s->index].offset = s->written;
    hash_init(&s->file_hash);
    s->copied = 0;
    return rc;
}

/* What is packed is what the manifest says, or nothing. */
static int end_file(struct shards *s, struct err *err)
{
    const struct upload_file *file = &s->base.list.files[s->index];
    char id[HASH_ID_TEXT];
    int rc = dataset_files_check(&s->from, s->fd, s->file, err);
    hash_final(&s->file_hash, id);
    close(s->fd);
    s->fd = -1;
    if (rc >= 0 && strcmp(id, file->id) != 0) {
        rc =
            err_set_at(err, ERR_CORRUPT, file->path,
                       "the stored bytes are damaged; `millrace dataset verify` says what else is");
    }
    rc = rc < 0 ? rc : pad(s, err);
    s->index++;
    return rc;
}

static int copy_piece(struct shards *s, struct err *err)
{
    const int64_t left = s->base.list.files[s->index].bytes - s->copied;
    const size_t size = (size_t)(left < PIECE_BYTES ? left : PIECE_BYTES);
    buf_reserve(&s->out, size + 1);
    char *to = s->out.data + s->out.size;
    int64_t n = file_pread(s->fd, to, size, s->from_offset + s->copied, err);
    if (n < (int64_t)size) {
        return n < 0 ? (int)n
                     : err_set_at(err, ERR_CORRUPT, s->base.list.files[s->index].path,
                                  "the stored bytes end too early");
    }
    hash_update(&s->file_hash, to, size);
    s->out.size += size;
    s->written += n;
    s->copied += n;
    s->base.done_bytes += n;
    return s->out.size >= OUT_BYTES ? flush(s, err) : 0;
}

static int step(struct steps_session *session, struct db *db, bool *ret_end, struct err *err)
{
    struct shards *s = (struct shards *)session;
    const struct upload_list *list = &session->list;
    const int64_t end_us = clock_us() + STEPS_SLICE_US;
    int rc = 0;
    while (rc >= 0 && s->index < list->n && clock_us() < end_us) {
        rc = s->fd < 0 ? begin_file(s, db, err) : 0;
        if (rc >= 0 && s->copied < list->files[s->index].bytes) {
            rc = copy_piece(s, err);
        }
        if (rc >= 0 && s->copied == list->files[s->index].bytes) {
            rc = end_file(s, err);
        }
    }
    if (rc >= 0 && s->index == list->n) {
        rc = close_shard(s, err);
        *ret_end = true;
    }
    session->path = s->index < list->n ? list->files[s->index].path : NULL;
    return rc;
}

/* ---- the session ---- */

static int read_list(struct shards *s, struct err *err)
{
    struct upload_list *list = &s->base.list;
    const struct doc *file = NULL;
    size_t capacity = 0;
    int rc = manifest_next(s->manifest, &file, err);
    while (rc >= 0 && file != NULL) {
        if (list->n == capacity) {
            capacity = capacity > 0 ? capacity * 2 : 256;
            list->files = realloc(list->files, capacity * sizeof(*list->files));
            BUG_ON(list->files == NULL);
        }
        list->files[list->n++] =
            (struct upload_file){.path = arena_strdup(&s->base.arena, doc_str(file, "path", "")),
                                 .id = arena_strdup(&s->base.arena, doc_str(file, "id", "")),
                                 .bytes = doc_int(file, "bytes", 0)};
        list->bytes += doc_int(file, "bytes", 0);
        rc = manifest_next(s->manifest, &file, err);
    }
    manifest_rewind(s->manifest);
    list->parts = calloc(list->n + 1, sizeof(*list->parts));
    BUG_ON(list->parts == NULL);
    s->base.total_bytes = list->bytes;
    return rc < 0 || list->n > 0 ? rc : err_set(err, ERR_DATA, "the data set has no files");
}

static int begin(struct steps_session *session, struct db *db, struct err *err)
{
    struct shards *s = (struct shards *)session;
    int rc = blob_merge(db, err);
    rc = rc < 0 ? rc : manifest_open(session->daemon, s->manifest_id, &s->manifest, err);
    if (rc >= 0) {
        s->from.rest = manifest_rest(s->manifest);
        rc = read_list(s, err);
    }
    if (rc >= 0) {
        find_classes(s);
        rc = quota_check(session->daemon, db, session->uid,
                         session->list.bytes + session->fed_bytes, err);
    }
    return rc;
}

static void fini(struct steps_session *session)
{
    struct shards *s = (struct shards *)session;
    dataset_files_close(&s->from);
    manifest_close(s->manifest);
    if (s->fd >= 0) {
        close(s->fd);
    }
    if (s->part_fd >= 0) {
        close(s->part_fd);
    }
    if (s->part != NULL) { /* gone already where it became a shard */
        unlinkat(session->daemon->uploads_fd, s->part, 0);
    }
    free(s->classes);
    free(session->list.files);
    free(session->list.parts);
    free(session->list.shards);
    buf_fini(&s->out);
}

static const struct steps_kind shards_kind = {
    .size = sizeof(struct shards), .begin = begin, .step = step, .fini = fini};

void shards_on_pack(struct daemon *daemon, const struct request *request, const void *body,
                    const struct sock_frame *frames, int n_frames)
{
    (void)frames;
    (void)n_frames;
    const struct msg_dataset_pack *wanted = body;
    struct dataset *dataset = NULL;
    struct err err = {0};
    const char *into = wanted->into;
    int rc = dataset_get(daemon, wanted->name, &dataset, &err);
    rc = rc < 0 || into == NULL ? rc : upload_list_check_name(into, &err);
    if (rc >= 0 && !strcmp(dataset->kind, "feed")) {
        rc = err_set(&err, ERR_UNSUPPORTED, "'%s' is fed by a client and has no files",
                     dataset->name);
    }
    struct steps_session *session = rc < 0 ? NULL : steps_new(daemon, &shards_kind, request, &err);
    if (session == NULL) {
        control_error(daemon, request, &err);
        return;
    }
    struct shards *s = (struct shards *)session;
    s->fd = s->part_fd = -1;
    s->from = (struct dataset_files){.daemon = daemon, .place_fd = -1};
    s->shard_bytes = wanted->shard_bytes;
    s->manifest_id = arena_strdup(&session->arena, dataset->id);
    s->part = arena_printf(&session->arena, "shard-%s", session->id);
    session->list.name = arena_strdup(&session->arena, into != NULL ? into : dataset->name);
    session->list.kind = arena_strdup(&session->arena, dataset->kind);
    session->list.splits = arena_strdup(&session->arena, dataset->splits);
    steps_begin(session, request);
}
