#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "client/millrace.h"
#include "client/put_list.h"

enum {
    PATIENCE_MS = 30000,
    BEGINS_MAX = 20,
    CHUNK_MAX = 16 << 20,
    ANSWER_MS = 180000,
    BATCH_FILES = 1024,
    LIST_FILES = 4000, /* in a frame */
    CREDIT_MAX = 64    /* chunks without an answer, whatever the daemon grants */
};

struct upload {
    struct millrace *m;
    const struct millrace_put *put;
    struct millrace_put_progress progress;
    struct put_list list;
    struct arena arena; /* of one try */
    const char *id;
    const struct doc *have;
    int64_t chunk_bytes, credit;
    int64_t files_max; /* whole files in a message; 0 = the daemon takes none */
    unsigned char *chunk;
    struct { /* small files that wait in `chunk` for a message of theirs */
        int64_t files[BATCH_FILES];
        size_t n, bytes;
    } batch;
    /* Chunks without an answer, oldest first: the daemon answers them in the order they came. */
    struct {
        int64_t bytes;
        const char *path;
    } flight[CREDIT_MAX];
    int64_t n_sent, n_answered;
};

static void tell(struct upload *up, enum millrace_put_stage stage, const char *path)
{
    up->progress.stage = stage;
    up->progress.path = path;
    if (up->put->progress != NULL) {
        up->put->progress(up->put->context, &up->progress);
    }
}

static int on_hashed(void *context, const struct put_file *file, int64_t done_bytes)
{
    struct upload *up = context;
    up->progress.done_bytes = done_bytes;
    tell(up, MILLRACE_PUT_HASH, file->path);
    return millrace_woken(up->m) ? 1 : 0;
}

static int take_begin(struct upload *up, const struct doc *answer, struct err *err)
{
    up->id = doc_str(answer, "upload", NULL);
    up->have = doc_get(answer, "have");
    up->chunk_bytes = doc_int(answer, "chunk_bytes", 0);
    up->credit = doc_int(answer, "credit", 0);
    up->files_max = doc_int(answer, "files_max", 0);
    up->n_sent = up->n_answered = 0;
    up->batch.n = up->batch.bytes = 0;
    if (up->id == NULL || up->have == NULL || up->have->type != DOC_LIST ||
        up->have->n != up->list.n || up->credit < 1 || up->chunk_bytes < 1) {
        return err_set(err, ERR_SYNTAX, "the daemon's answer to dataset.begin is not understood");
    }
    up->chunk_bytes = up->chunk_bytes < CHUNK_MAX ? up->chunk_bytes : CHUNK_MAX;
    up->credit = up->credit < CREDIT_MAX ? up->credit : CREDIT_MAX;
    up->files_max = up->files_max < BATCH_FILES ? up->files_max : BATCH_FILES;
    up->progress.done_bytes = 0;
    for (size_t i = 0; i < up->list.n; i++) {
        const struct doc *have = doc_at(up->have, i);
        up->progress.done_bytes += up->list.files[i].is_twin ? up->list.files[i].bytes
                                   : have->type == DOC_INT   ? have->i
                                                             : 0;
    }
    up->progress.kept_bytes = up->progress.done_bytes;
    return 0;
}

/* The list goes in frames that neither side needs whole in memory as documents. */
static int begin(struct upload *up, struct err *err)
{
    const struct msg_dataset_begin body = {.name = up->put->name, .kind = up->put->kind};
    const struct doc *answer = NULL;
    struct sock_frame frames[SOCK_FRAMES_MAX - 2];
    struct buf pieces[SOCK_FRAMES_MAX - 2] = {0};
    size_t n_frames = (up->list.n + LIST_FILES - 1) / LIST_FILES;
    n_frames = n_frames < SOCK_FRAMES_MAX - 2 ? n_frames : SOCK_FRAMES_MAX - 2;
    size_t step = (up->list.n + n_frames - 1) / n_frames;
    for (size_t i = 0; i < n_frames; i++) {
        size_t first = i * step < up->list.n ? i * step : up->list.n;
        size_t n = up->list.n - first < step ? up->list.n - first : step;
        put_list_encode(&up->list, first, n, &pieces[i]);
        frames[i] = (struct sock_frame){.data = pieces[i].data, .size = pieces[i].size};
    }
    arena_reset(&up->arena);
    int rc = millrace_request(up->m, MSG_DATASET_BEGIN, &body, frames, (int)n_frames, &up->arena,
                              &answer, err);
    for (size_t i = 0; i < n_frames; i++) {
        buf_fini(&pieces[i]);
    }
    return rc < 0 ? rc : take_begin(up, answer, err);
}

/* A chunk is on the daemon's disk. Progress counts these, never what is only on its way. */
static void take_answer(struct upload *up)
{
    int64_t slot = up->n_answered++ % CREDIT_MAX;
    up->progress.done_bytes += up->flight[slot].bytes;
    tell(up, MILLRACE_PUT_SEND, up->flight[slot].path);
}

/* Waits until fewer than `limit` chunks are without an answer. */
static int collect(struct upload *up, int64_t limit, struct err *err)
{
    struct arena arena;
    int rc = 0;
    arena_init(&arena);
    while (rc >= 0 && up->n_sent - up->n_answered >= limit) {
        struct millrace_answer answer;
        arena_reset(&arena);
        rc = millrace_receive(up->m, ANSWER_MS, &arena, &answer, err);
        if (rc >= 0 && answer.error.code != 0) {
            rc = answer.error.code;
            if (err != NULL) {
                *err = answer.error;
            }
        } else if (rc >= 0 && answer.result != NULL) {
            take_answer(up);
            /* Answers may come faster than anything else is looked at. */
            rc = millrace_woken(up->m) ? err_set(err, ERR_INTERRUPTED, "interrupted") : 0;
        }
    }
    arena_fini(&arena);
    return rc;
}

/* Reads exactly so many bytes of a file. */
static int read_part(const struct put_file *file, int fd, int64_t offset, void *data, size_t size,
                     struct err *err)
{
    int64_t n = file_pread(fd, data, size, offset, err);
    if (n >= 0 && (size_t)n < size) {
        return err_set_at(err, ERR_IO, file->path, "the file became shorter while it was sent");
    }
    return n < 0 ? (int)n : 0;
}

/* Sends a message with what lies in `chunk`, when the daemon's credit allows it. */
static int send_message(struct upload *up, enum msg_id type, const void *body, size_t size,
                        const char *path, struct err *err)
{
    const struct sock_frame part = {.data = up->chunk, .size = size};
    int rc = collect(up, up->credit, err);
    rc = rc < 0 ? rc : millrace_send(up->m, type, body, &part, 1, NULL, err);
    if (rc >= 0) {
        int64_t slot = up->n_sent++ % CREDIT_MAX;
        up->flight[slot].bytes = (int64_t)size;
        up->flight[slot].path = path;
    }
    return rc;
}

static int send_batch(struct upload *up, struct err *err)
{
    if (up->batch.n == 0) {
        return 0;
    }
    const struct msg_dataset_files body = {.upload = up->id,
                                           .files = {.v = up->batch.files, .n = up->batch.n}};
    const char *path = up->list.files[up->batch.files[up->batch.n - 1]].path;
    int rc = send_message(up, MSG_DATASET_FILES, &body, up->batch.bytes, path, err);
    up->batch.n = up->batch.bytes = 0;
    return rc;
}

static int send_small(struct upload *up, size_t index, int fd, struct err *err)
{
    const struct put_file *file = &up->list.files[index];
    size_t bytes = (size_t)file->bytes;
    int rc = 0;
    if (up->batch.n == (size_t)up->files_max || bytes > (size_t)up->chunk_bytes - up->batch.bytes) {
        rc = send_batch(up, err);
    }
    rc = rc < 0 ? rc : read_part(file, fd, 0, up->chunk + up->batch.bytes, bytes, err);
    if (rc >= 0) {
        up->batch.files[up->batch.n++] = (int64_t)index;
        up->batch.bytes += bytes;
    }
    return rc;
}

static int send_large(struct upload *up, size_t index, int fd, int64_t offset, struct err *err)
{
    const struct put_file *file = &up->list.files[index];
    int rc = send_batch(up, err);
    while (rc >= 0 && offset < file->bytes) {
        const struct msg_dataset_chunk body = {
            .upload = up->id, .file = (int64_t)index, .offset = offset};
        int64_t left = file->bytes - offset;
        size_t n = (size_t)(left < up->chunk_bytes ? left : up->chunk_bytes);
        rc = read_part(file, fd, offset, up->chunk, n, err);
        rc = rc < 0 ? rc : send_message(up, MSG_DATASET_CHUNK, &body, n, file->path, err);
        offset += (int64_t)n;
    }
    return rc;
}

static int send_file(struct upload *up, size_t index, struct err *err)
{
    const struct put_file *file = &up->list.files[index];
    const struct doc *have = doc_at(up->have, index);
    int64_t offset = have->type == DOC_INT && have->i >= 0 ? have->i : 0;
    int fd = -1;
    if (offset >= file->bytes || file->is_twin) {
        return 0;
    }
    int rc = put_list_open(&up->list, index, &fd, err);
    if (rc >= 0) {
        rc = up->files_max > 0 && file->bytes <= up->chunk_bytes
                 ? send_small(up, index, fd, err)
                 : send_large(up, index, fd, offset, err);
        close(fd);
    }
    return rc;
}

static int try_once(struct upload *up, struct arena *arena, const struct doc **ret, struct err *err)
{
    int rc = begin(up, err);
    unsigned char *chunk = rc >= 0 ? realloc(up->chunk, (size_t)up->chunk_bytes) : NULL;
    up->chunk = chunk != NULL ? chunk : up->chunk;
    BUG_ON(rc >= 0 && chunk == NULL);
    for (size_t i = 0; i < up->list.n && rc >= 0; i++) {
        rc = send_file(up, i, err);
    }
    rc = rc < 0 ? rc : send_batch(up, err);
    rc = rc < 0 ? rc : collect(up, 1, err);
    if (rc < 0) {
        return rc;
    }
    const struct msg_dataset_commit body = {.upload = up->id};
    tell(up, MILLRACE_PUT_COMMIT, NULL);
    return millrace_request(up->m, MSG_DATASET_COMMIT, &body, NULL, 0, arena, ret, err);
}

static int upload(struct upload *up, struct arena *arena, const struct doc **ret, struct err *err)
{
    int patience_ms = up->put->patience_ms > 0 ? up->put->patience_ms : PATIENCE_MS;
    int rc = try_once(up, arena, ret, err);
    for (int i = 0; i < BEGINS_MAX && (rc == ERR_GONE || rc == ERR_NOT_FOUND || rc == ERR_MISSING);
         i++) {
        if (rc == ERR_GONE) {
            tell(up, MILLRACE_PUT_LOST, NULL);
            rc = millrace_reopen(up->m, patience_ms, err);
            if (rc < 0) {
                return rc;
            }
        }
        rc = try_once(up, arena, ret, err);
    }
    return rc;
}

/* The daemon works a moment at a time, as often as it is asked. */
static int go_on(struct upload *up, enum msg_id type, const void *body, struct arena *arena,
                 const struct doc **ret, struct err *err)
{
    int rc = millrace_request(up->m, type, body, NULL, 0, &up->arena, ret, err);
    while (rc >= 0 && doc_get(*ret, "version") == NULL) {
        char id[64];
        (void)snprintf(id, sizeof(id), "%s", doc_str(*ret, "session", ""));
        up->progress.n_files = doc_int(*ret, "files", 0);
        up->progress.total_bytes = doc_int(*ret, "bytes", 0);
        up->progress.done_bytes = doc_int(*ret, "done_bytes", 0);
        tell(up, MILLRACE_PUT_HASH, doc_str(*ret, "path", NULL));
        arena_reset(&up->arena);
        const struct msg_dataset_step next = {.session = id};
        rc = millrace_woken(up->m)
                 ? err_set(err, ERR_INTERRUPTED, "interrupted")
                 : millrace_request(up->m, MSG_DATASET_STEP, &next, NULL, 0, &up->arena, ret, err);
    }
    if (rc >= 0) {
        struct doc *copy = doc_new(arena);
        doc_copy(copy, arena, *ret);
        *ret = copy;
    }
    return rc;
}

static int place(struct upload *up, struct arena *arena, const struct doc **ret, struct err *err)
{
    char *path = realpath(up->put->path, NULL);
    const struct msg_dataset_place body = {
        .name = up->put->name, .kind = up->put->kind, .path = path};
    int rc = path == NULL ? err_errno(err, errno, "find '%s'", up->put->path)
                          : go_on(up, MSG_DATASET_PLACE, &body, arena, ret, err);
    free(path);
    return rc;
}

int millrace_pack(struct millrace *m, const struct millrace_pack *pack, struct arena *arena,
                  const struct doc **ret, struct err *err)
{
    const struct millrace_put put = {.progress = pack->progress, .context = pack->context};
    const struct msg_dataset_pack body = {
        .name = pack->name, .into = pack->into, .shard_bytes = pack->shard_bytes};
    struct upload up = {.m = m, .put = &put};
    arena_init(&up.arena);
    int rc = go_on(&up, MSG_DATASET_PACK, &body, arena, ret, err);
    arena_fini(&up.arena);
    return rc;
}

int millrace_put(struct millrace *m, const struct millrace_put *put, struct arena *arena,
                 const struct doc **ret, struct err *err)
{
    struct upload up = {.m = m, .put = put};
    const struct doc *answer = NULL;
    arena_init(&up.arena);
    int rc = put->in_place ? place(&up, arena, &answer, err)
                           : put_list_read(put->path, put->follow_links, arena, &up.list, err);
    if (rc >= 0 && !put->in_place) {
        up.progress.n_files = (int64_t)up.list.n;
        up.progress.total_bytes = up.list.bytes;
        rc = put_list_hash(&up.list, on_hashed, &up, err);
        put_list_twins(&up.list);
    }
    rc = rc < 0 || put->in_place ? rc : upload(&up, arena, &answer, err);
    if (rc >= 0 && ret != NULL) {
        *ret = answer;
    }
    free(up.chunk);
    arena_fini(&up.arena);
    return rc;
}
