#include <poll.h>
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
    CREDIT_MAX = 64 /* chunks without an answer, whatever the daemon grants */
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
    unsigned char *chunk;
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

static int on_hashed(void *context, const struct put_file *file, int64_t n_bytes)
{
    struct upload *up = context;
    up->progress.done_bytes += n_bytes;
    tell(up, MILLRACE_PUT_HASH, file->path);
    return millrace_woken(up->m) ? 1 : 0;
}

static int begin(struct upload *up, struct err *err)
{
    const struct msg_dataset_begin body = {.name = up->put->name, .kind = up->put->kind};
    const struct doc *answer = NULL;
    struct buf frame = {0};
    put_list_encode(&up->list, &frame);
    arena_reset(&up->arena);
    const struct sock_frame part = {.data = frame.data, .size = frame.size};
    int rc = millrace_request(up->m, MSG_DATASET_BEGIN, &body, &part, 1, &up->arena, &answer, err);
    buf_fini(&frame);
    if (rc < 0) {
        return rc;
    }
    up->id = doc_str(answer, "upload", NULL);
    up->have = doc_get(answer, "have");
    up->chunk_bytes = doc_int(answer, "chunk_bytes", 0);
    up->credit = doc_int(answer, "credit", 0);
    up->n_sent = up->n_answered = 0;
    if (up->id == NULL || up->have == NULL || up->have->type != DOC_LIST ||
        up->have->n != up->list.n || up->credit < 1 || up->chunk_bytes < 1) {
        return err_set(err, ERR_SYNTAX, "the daemon's answer to dataset.begin is not understood");
    }
    up->chunk_bytes = up->chunk_bytes < CHUNK_MAX ? up->chunk_bytes : CHUNK_MAX;
    up->credit = up->credit < CREDIT_MAX ? up->credit : CREDIT_MAX;
    up->progress.done_bytes = 0;
    for (size_t i = 0; i < up->list.n; i++) {
        const struct doc *have = doc_at(up->have, i);
        up->progress.done_bytes += have->type == DOC_INT ? have->i : 0;
    }
    up->progress.kept_bytes = up->progress.done_bytes;
    return 0;
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
        }
    }
    arena_fini(&arena);
    return rc;
}

static int send_chunk(struct upload *up, size_t index, int fd, int64_t offset, int64_t *ret_n,
                      struct err *err)
{
    const struct put_file *file = &up->list.files[index];
    int64_t left = file->bytes - offset;
    int64_t n = file_pread(fd, up->chunk, (size_t)(left < up->chunk_bytes ? left : up->chunk_bytes),
                           offset, err);
    if (n <= 0) {
        return n < 0 ? (int)n
                     : err_set_at(err, ERR_IO, file->path,
                                  "the file became shorter while it was sent");
    }
    const struct msg_dataset_chunk body = {
        .upload = up->id, .file = (int64_t)index, .offset = offset};
    const struct sock_frame part = {.data = up->chunk, .size = (size_t)n};
    *ret_n = n;
    return millrace_send(up->m, MSG_DATASET_CHUNK, &body, &part, 1, NULL, err);
}

static int send_file(struct upload *up, size_t index, struct err *err)
{
    const struct put_file *file = &up->list.files[index];
    const struct doc *have = doc_at(up->have, index);
    int64_t offset = have->type == DOC_INT && have->i >= 0 ? have->i : 0;
    int fd = -1;
    if (offset >= file->bytes) {
        return 0;
    }
    int rc = put_list_open(&up->list, index, &fd, err);
    while (rc >= 0 && offset < file->bytes) {
        int64_t n = 0;
        rc = collect(up, up->credit, err);
        rc = rc < 0 ? rc : send_chunk(up, index, fd, offset, &n, err);
        if (rc >= 0) {
            int64_t slot = up->n_sent++ % CREDIT_MAX;
            up->flight[slot].bytes = n;
            up->flight[slot].path = file->path;
            offset += n;
        }
    }
    if (fd >= 0) {
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
    for (int i = 0; i < BEGINS_MAX && (rc == ERR_GONE || rc == ERR_NOT_FOUND); i++) {
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

int millrace_put(struct millrace *m, const struct millrace_put *put, struct arena *arena,
                 const struct doc **ret, struct err *err)
{
    struct upload up = {.m = m, .put = put};
    const struct doc *answer = NULL;
    arena_init(&up.arena);
    int rc = put_list_read(put->path, arena, &up.list, err);
    if (rc >= 0) {
        up.progress.n_files = (int64_t)up.list.n;
        up.progress.total_bytes = up.list.bytes;
        rc = put_list_hash(&up.list, on_hashed, &up, err);
    }
    rc = rc < 0 ? rc : upload(&up, arena, &answer, err);
    if (rc >= 0 && ret != NULL) {
        *ret = answer;
    }
    free(up.chunk);
    arena_fini(&up.arena);
    return rc;
}
