#include "daemon/upload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/blob_gc.h"
#include "daemon/blob_sweep.h"
#include "daemon/dataset.h"
#include "daemon/feed.h"
#include "daemon/upload_file.h"

enum { UPLOAD_ID = BLOB_PACK_OWNER, FILES_MAX = 1024 };

struct upload_session {
    struct upload_session *next;
    char id[UPLOAD_ID];
    struct arena arena;
    struct upload_list list;
    int64_t n_tasks; /* in the store; the session is not freed before they end */
    int64_t n_chunks;
    int64_t last_us;
};
struct uploads {
    struct upload_session *head;
    int64_t n;
};

int upload_open(struct daemon *daemon, struct err *err)
{
    int rc = blob_pack_open(daemon->blobs_fd, store_db(daemon->store), &daemon->packs, err);
    if (rc < 0) {
        return rc;
    }
    daemon->uploads = calloc(1, sizeof(*daemon->uploads));
    BUG_ON(daemon->uploads == NULL);
    blob_sweep_start(daemon);
    blob_gc_recover(daemon);
    return 0;
}

static void free_session(struct upload_session *session)
{
    arena_fini(&session->arena);
    free(session);
}

void upload_close(struct daemon *daemon)
{
    while (daemon->uploads != NULL && daemon->uploads->head != NULL) {
        struct upload_session *session = daemon->uploads->head;
        daemon->uploads->head = session->next;
        free_session(session);
    }
    free(daemon->uploads);
    daemon->uploads = NULL;
    blob_pack_close(daemon->packs);
    daemon->packs = NULL;
}

void upload_hold(const struct daemon *daemon, struct doc *ids, struct arena *arena)
{
    for (const struct upload_session *s = daemon->uploads->head; s != NULL; s = s->next) {
        for (size_t i = 0; i < s->list.n; i++) {
            doc_set_str(doc_push(ids, arena), arena, s->list.files[i].id);
        }
    }
}

static struct upload_session *find_session(const struct daemon *daemon, const char *id)
{
    struct upload_session *session = daemon->uploads->head;
    while (session != NULL && strcmp(session->id, id) != 0) {
        session = session->next;
    }
    return session;
}

static void remove_session(struct daemon *daemon, struct upload_session *session)
{
    struct upload_session **link = &daemon->uploads->head;
    while (*link != session) {
        link = &(*link)->next;
    }
    *link = session->next;
    daemon->uploads->n--;
    free_session(session);
}

/* Room for one more: the session that rested longest goes; its parts stay on the disk and can be
 * taken up again. */
static int make_room(struct daemon *daemon, struct err *err)
{
    if (daemon->uploads->n < daemon->settings->max_uploads) {
        return 0;
    }
    struct upload_session *oldest = NULL;
    for (struct upload_session *s = daemon->uploads->head; s != NULL; s = s->next) {
        if (s->n_tasks == 0 && (oldest == NULL || s->last_us < oldest->last_us)) {
            oldest = s;
        }
    }
    if (oldest == NULL || clock_us() - oldest->last_us < 10 * 1000000) {
        return err_set(err, ERR_LIMIT, "%lld uploads are under way (max_uploads); try again later",
                       (long long)daemon->uploads->n);
    }
    remove_session(daemon, oldest);
    return 0;
}

/* The session of a list: its id is made from what is declared, so that a client finds it again
 * without knowing it. */
static int open_session(struct daemon *daemon, const struct msg_dataset_begin *begin,
                        const struct sock_frame *frames, int n_frames, struct upload_session **ret,
                        struct err *err)
{
    struct upload_session *session = calloc(1, sizeof(*session));
    char manifest[HASH_ID_TEXT];
    char id[HASH_ID_TEXT] = "";
    BUG_ON(session == NULL);
    arena_init(&session->arena);
    int rc = upload_list_read(frames, n_frames, begin->name, begin->kind, daemon->settings,
                              &session->arena, &session->list, err);
    if (rc >= 0) {
        upload_list_manifest(&session->list, NULL, NULL, manifest, NULL);
        const char *whole = arena_printf(&session->arena, "%s %s", session->list.name, manifest);
        hash_bytes(whole, strlen(whole), id);
    }
    snprintf(session->id, sizeof(session->id), "%.16s", id);
    struct upload_session *old = rc >= 0 ? find_session(daemon, session->id) : NULL;
    if (rc >= 0 && old == NULL) {
        rc = make_room(daemon, err);
    }
    if (rc < 0 || old != NULL) {
        free_session(session);
        *ret = old;
        return rc;
    }
    session->next = daemon->uploads->head;
    daemon->uploads->head = session;
    daemon->uploads->n++;
    *ret = session;
    return 0;
}

static void done_begin(struct store_task *base)
{
    struct upload_begin_task *task = (struct upload_begin_task *)base;
    struct upload_session *session = task->session;
    session->n_tasks--;
    session->last_us = clock_us();
    if (base->status < 0) {
        control_error(task->daemon, &task->request, &base->err);
    } else {
        struct arena arena;
        arena_init(&arena);
        struct doc *map = doc_new(&arena);
        doc_set_map(map);
        doc_put_str(map, &arena, "upload", session->id);
        doc_put_int(map, &arena, "chunk_bytes", DAEMON_CHUNK_BYTES);
        doc_put_int(map, &arena, "credit", task->daemon->settings->upload_credit);
        doc_put_int(map, &arena, "files_max", FILES_MAX);
        struct doc *have = doc_put(map, &arena, "have");
        doc_set_list(have);
        for (size_t i = 0; i < task->list->n; i++) {
            doc_set_int(doc_push(have, &arena), task->have[i]);
        }
        control_reply(task->daemon, &task->request, map);
        arena_fini(&arena);
    }
    free(task->have);
    free(task);
}

void upload_on_begin(struct daemon *daemon, const struct request *request, const void *body,
                     const struct sock_frame *frames, int n_frames)
{
    struct err err = {0};
    struct upload_session *session = NULL;
    const struct msg_dataset_begin *begin = body;
    if (feed_is_named(daemon, begin->name)) {
        err_set_at(&err, ERR_EXISTS, "name",
                   "'%s' is fed by a client; remove it, or take another name", begin->name);
        control_error(daemon, request, &err);
        return;
    }
    int rc =
        n_frames > 0 ? 0 : err_set(&err, ERR_MISSING, "the list of files must follow as frames");
    if (rc >= 0) {
        rc = open_session(daemon, body, frames, n_frames, &session, &err);
    }
    if (rc < 0) {
        control_error(daemon, request, &err);
        return;
    }
    struct upload_begin_task *task = calloc(1, sizeof(*task));
    BUG_ON(task == NULL);
    task->daemon = daemon;
    task->session = session;
    task->request = *request;
    task->list = &session->list;
    task->folder = session->id;
    task->fed_bytes = feed_bytes(daemon, request->uid);
    task->have = calloc(session->list.n, sizeof(task->have[0]));
    BUG_ON(task->have == NULL);
    session->n_tasks++;
    upload_file_begin(task, done_begin);
}

/* The answer to a message of bytes; map: what it says, when they are stored. */
static void end_chunk(struct daemon *daemon, struct upload_session *session,
                      const struct request *request, const struct store_task *base, size_t size,
                      const struct doc *map)
{
    session->n_tasks--;
    session->n_chunks--;
    session->last_us = clock_us();
    if (base->status < 0) {
        daemon->counters[COUNT_STORE_ERRORS]++;
        control_error(daemon, request, &base->err);
        return;
    }
    control_reply(daemon, request, map);
    daemon->counters[COUNT_UPLOAD_BYTES] += (int64_t)size;
}

static struct doc *new_map(struct arena *arena)
{
    arena_init(arena);
    struct doc *map = doc_new(arena);
    doc_set_map(map);
    return map;
}

static void put_have(struct doc *map, struct arena *arena, int64_t file, int64_t have)
{
    doc_put_int(map, arena, "file", file);
    doc_put_int(map, arena, "have", have);
}

static void done_chunk(struct store_task *base)
{
    struct upload_chunk_task *task = (struct upload_chunk_task *)base;
    struct arena arena;
    struct doc *map = new_map(&arena);
    put_have(map, &arena, task->index, task->have);
    end_chunk(task->daemon, task->session, &task->request, base, task->size, map);
    arena_fini(&arena);
    sock_kept_free(task->frame);
    free(task);
}

static void done_files(struct store_task *base)
{
    struct upload_files_task *task = (struct upload_files_task *)base;
    struct arena arena;
    struct doc *map = new_map(&arena);
    if (task->single) {
        put_have(map, &arena, task->index, (int64_t)task->size);
    } else {
        doc_put_int(map, &arena, "files", (int64_t)task->n);
    }
    end_chunk(task->daemon, task->session, &task->request, base, task->size, map);
    arena_fini(&arena);
    sock_kept_free(task->frame);
    free(task);
}

static int find_upload(const struct daemon *daemon, const char *id, int n_frames, size_t size,
                       struct upload_session **ret, struct err *err)
{
    struct upload_session *session = find_session(daemon, id);
    *ret = session;
    if (session == NULL) {
        return err_set(err, ERR_NOT_FOUND, "no upload '%.32s'; begin it again", id);
    }
    if (n_frames != 1 || size == 0 || size > DAEMON_CHUNK_BYTES) {
        return err_set(err, ERR_LIMIT, "a chunk is one frame of 1 to %d bytes", DAEMON_CHUNK_BYTES);
    }
    if (session->n_chunks >= daemon->settings->upload_credit) {
        return err_set(err, ERR_LIMIT, "more than %lld chunks without an answer (upload_credit)",
                       (long long)daemon->settings->upload_credit);
    }
    return 0;
}

static int check_range(const struct msg_dataset_chunk *chunk, size_t size,
                       const struct upload_session *session, struct err *err)
{
    if (chunk->file < 0 || (size_t)chunk->file >= session->list.n) {
        return err_set(err, ERR_RANGE, "file %lld of %zu", (long long)chunk->file, session->list.n);
    }
    const struct upload_file *file = &session->list.files[chunk->file];
    if (chunk->offset < 0 || chunk->offset > file->bytes ||
        (int64_t)size > file->bytes - chunk->offset) {
        return err_set_at(err, ERR_RANGE, file->path, "bytes %lld..%lld of a file of %lld",
                          (long long)chunk->offset, (long long)(chunk->offset + (int64_t)size),
                          (long long)file->bytes);
    }
    return 0;
}

/* The files of a frame: each whole, together as long as the frame. */
static int check_files(const struct opt_ints *files, size_t size,
                       const struct upload_session *session, struct err *err)
{
    int64_t sum = 0;
    if (files->n > FILES_MAX) {
        return err_set_at(err, ERR_LIMIT, "files", "%zu files in a chunk; %d are taken", files->n,
                          FILES_MAX);
    }
    for (size_t i = 0; i < files->n; i++) {
        if (files->v[i] < 0 || (size_t)files->v[i] >= session->list.n) {
            return err_set_at(err, ERR_RANGE, "files", "file %lld of %zu", (long long)files->v[i],
                              session->list.n);
        }
        const struct upload_file *file = &session->list.files[files->v[i]];
        if (file->bytes > DAEMON_CHUNK_BYTES) {
            return err_set_at(err, ERR_LIMIT, file->path, "a file of %lld bytes goes in chunks",
                              (long long)file->bytes);
        }
        sum += file->bytes;
    }
    return (size_t)sum == size
               ? 0
               : err_set_at(err, ERR_INVALID, "files", "the frame has %zu bytes, the files %lld",
                            size, (long long)sum);
}

/* Takes the bytes of n whole files, whose indices are given. */
static void take_files(struct daemon *daemon, const struct request *request,
                       struct upload_session *session, const struct opt_ints *files,
                       const struct sock_frame *frame, bool single)
{
    struct upload_files_task *task = calloc(1, sizeof(*task) + files->n * sizeof(task->files[0]));
    BUG_ON(task == NULL);
    task->daemon = daemon;
    task->session = session;
    task->request = *request;
    task->folder = session->id;
    task->n = files->n;
    task->size = frame->size;
    task->single = single;
    task->index = files->v[0];
    task->frame = control_keep(daemon, frame);
    for (size_t i = 0; i < files->n; i++) {
        task->files[i] = &session->list.files[files->v[i]];
    }
    session->n_tasks++;
    session->n_chunks++;
    upload_file_whole(task, done_files);
}

void upload_on_files(struct daemon *daemon, const struct request *request, const void *body,
                     const struct sock_frame *frames, int n_frames)
{
    const struct msg_dataset_files *message = body;
    struct upload_session *session = NULL;
    struct err err = {0};
    size_t size = n_frames > 0 ? frames[0].size : 0;
    int rc = find_upload(daemon, message->upload, n_frames, size, &session, &err);
    rc = rc < 0 ? rc : check_files(&message->files, size, session, &err);
    if (rc < 0) {
        control_error(daemon, request, &err);
        return;
    }
    take_files(daemon, request, session, &message->files, &frames[0], false);
}

void upload_on_chunk(struct daemon *daemon, const struct request *request, const void *body,
                     const struct sock_frame *frames, int n_frames)
{
    const struct msg_dataset_chunk *chunk = body;
    struct upload_session *session = NULL;
    struct err err = {0};
    size_t size = n_frames > 0 ? frames[0].size : 0;
    int rc = find_upload(daemon, chunk->upload, n_frames, size, &session, &err);
    rc = rc < 0 ? rc : check_range(chunk, size, session, &err);
    if (rc < 0) {
        control_error(daemon, request, &err);
        return;
    }
    if ((int64_t)size == session->list.files[chunk->file].bytes) {
        const struct opt_ints one = {.v = &chunk->file, .n = 1};
        take_files(daemon, request, session, &one, &frames[0], true);
        return;
    }
    struct upload_chunk_task *task = calloc(1, sizeof(*task));
    BUG_ON(task == NULL);
    task->daemon = daemon;
    task->session = session;
    task->request = *request;
    task->folder = session->id;
    task->file = session->list.files[chunk->file];
    task->index = chunk->file;
    task->offset = chunk->offset;
    task->size = size;
    task->frame = control_keep(daemon, &frames[0]);
    session->n_tasks++;
    session->n_chunks++;
    upload_file_chunk(task, done_chunk);
}

void upload_answer(struct upload_commit_task *task)
{
    struct daemon *daemon = task->daemon;
    const struct upload_list *list = task->list;
    struct arena arena;
    arena_init(&arena);
    const struct dataset values = {.name = arena_strdup(&arena, list->name),
                                   .kind = arena_strdup(&arena, list->kind),
                                   .splits = arena_strdup(&arena, list->splits),
                                   .place =
                                       arena_strdup(&arena, list->place != NULL ? list->place : ""),
                                   .version = task->version,
                                   .files = (int64_t)list->n,
                                   .bytes = list->bytes,
                                   .uid = task->uid,
                                   .created_us = task->created_us};
    struct doc *map = doc_new(&arena);
    dataset_write(daemon, dataset_add(daemon, &values, task->id), true, map, &arena);
    control_reply(daemon, &task->request, map);
    log_put(daemon->log, LOG_LEVEL_INFO, "data set stored", LOG_TEXT("name", list->name),
            LOG_NUMBER("version", task->version), LOG_TEXT("kind", list->kind),
            LOG_NUMBER("files", list->n), LOG_NUMBER("bytes", list->bytes));
    daemon->counters[COUNT_UPLOADS]++;
    arena_fini(&arena);
}

static void done_commit(struct store_task *base)
{
    struct upload_commit_task *task = (struct upload_commit_task *)base;
    struct upload_session *session = task->context;
    session->n_tasks--;
    session->last_us = clock_us();
    if (base->status < 0) {
        control_error(task->daemon, &task->request, &base->err);
    } else {
        upload_answer(task);
        if (session->n_tasks == 0) {
            remove_session(task->daemon, session);
        }
    }
    free(task);
}

void upload_on_commit(struct daemon *daemon, const struct request *request, const void *body,
                      const struct sock_frame *frames, int n_frames)
{
    (void)frames;
    (void)n_frames;
    const struct msg_dataset_commit *commit = body;
    struct upload_session *session = find_session(daemon, commit->upload);
    struct err err = {0};
    if (session == NULL) {
        err_set(&err, ERR_NOT_FOUND, "no upload '%.32s'; begin it again", commit->upload);
        control_error(daemon, request, &err);
        return;
    }
    struct upload_commit_task *task = calloc(1, sizeof(*task));
    BUG_ON(task == NULL);
    task->daemon = daemon;
    task->context = session;
    task->request = *request;
    task->list = &session->list;
    task->folder = session->id;
    task->fed_bytes = feed_bytes(daemon, request->uid);
    session->n_tasks++;
    upload_file_commit(task, done_commit);
}
