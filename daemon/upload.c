#include "daemon/upload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/dataset.h"
#include "daemon/upload_file.h"

enum { UPLOAD_ID = 17 };

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
    (void)err;
    daemon->uploads = calloc(1, sizeof(*daemon->uploads));
    BUG_ON(daemon->uploads == NULL);
    upload_file_sweep(daemon);
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

static int check_name_free(const struct daemon *daemon, const struct upload_list *list,
                           const char *id, struct err *err)
{
    const struct dataset *dataset = dataset_find(daemon, list->name);
    if (dataset != NULL && strcmp(dataset->id, id) != 0) {
        return err_set_at(
            err, ERR_EXISTS, "name",
            "the data set '%s' is there with other files; remove it first or take another name",
            list->name);
    }
    return 0;
}

/* The session of a list: its id is made from what is declared, so that a client finds it again
 * without knowing it. */
static int open_session(struct daemon *daemon, const struct msg_dataset_begin *begin,
                        const struct sock_frame *frame, struct upload_session **ret,
                        struct err *err)
{
    struct upload_session *session = calloc(1, sizeof(*session));
    char manifest[HASH_ID_TEXT];
    char id[HASH_ID_TEXT] = "";
    BUG_ON(session == NULL);
    arena_init(&session->arena);
    int rc = upload_list_read(frame->data, frame->size, begin->name, begin->kind, daemon->settings,
                              &session->arena, &session->list, err);
    if (rc >= 0) {
        upload_list_manifest(&session->list, &session->arena, doc_new(&session->arena), manifest);
        const char *whole = arena_printf(&session->arena, "%s %s", session->list.name, manifest);
        hash_bytes(whole, strlen(whole), id);
        rc = check_name_free(daemon, &session->list, manifest, err);
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
    int rc = n_frames == 1
                 ? 0
                 : err_set(&err, ERR_MISSING,
                           "the list of files must follow as one frame (%d are here)", n_frames);
    if (rc >= 0) {
        rc = open_session(daemon, body, &frames[0], &session, &err);
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
    task->have = calloc(session->list.n, sizeof(task->have[0]));
    BUG_ON(task->have == NULL);
    session->n_tasks++;
    upload_file_begin(task, done_begin);
}

static void done_chunk(struct store_task *base)
{
    struct upload_chunk_task *task = (struct upload_chunk_task *)base;
    struct upload_session *session = task->session;
    session->n_tasks--;
    session->n_chunks--;
    session->last_us = clock_us();
    if (base->status < 0) {
        task->daemon->counters[COUNT_STORE_ERRORS]++;
        control_error(task->daemon, &task->request, &base->err);
    } else {
        struct arena arena;
        arena_init(&arena);
        struct doc *map = doc_new(&arena);
        doc_set_map(map);
        doc_put_int(map, &arena, "file", task->index);
        doc_put_int(map, &arena, "have", task->have);
        control_reply(task->daemon, &task->request, map);
        arena_fini(&arena);
        task->daemon->counters[COUNT_UPLOAD_BYTES] += (int64_t)task->size;
    }
    free(task);
}

static int check_chunk(const struct daemon *daemon, const struct msg_dataset_chunk *chunk,
                       int n_frames, size_t size, struct upload_session **ret, struct err *err)
{
    struct upload_session *session = find_session(daemon, chunk->upload);
    *ret = session;
    if (session == NULL) {
        return err_set(err, ERR_NOT_FOUND, "no upload '%.32s'; begin it again", chunk->upload);
    }
    if (n_frames != 1 || size == 0 || size > DAEMON_CHUNK_BYTES) {
        return err_set(err, ERR_LIMIT, "a chunk is one frame of 1 to %d bytes", DAEMON_CHUNK_BYTES);
    }
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
    if (session->n_chunks >= daemon->settings->upload_credit) {
        return err_set(err, ERR_LIMIT, "more than %lld chunks without an answer (upload_credit)",
                       (long long)daemon->settings->upload_credit);
    }
    return 0;
}

void upload_on_chunk(struct daemon *daemon, const struct request *request, const void *body,
                     const struct sock_frame *frames, int n_frames)
{
    const struct msg_dataset_chunk *chunk = body;
    struct upload_session *session = NULL;
    struct err err = {0};
    size_t size = n_frames > 0 ? frames[0].size : 0;
    if (check_chunk(daemon, chunk, n_frames, size, &session, &err) < 0) {
        control_error(daemon, request, &err);
        return;
    }
    struct upload_chunk_task *task = calloc(1, sizeof(*task) + size);
    if (task == NULL) {
        err_set(&err, ERR_NO_MEMORY, "no memory for a chunk of %zu bytes", size);
        control_error(daemon, request, &err);
        return;
    }
    task->daemon = daemon;
    task->session = session;
    task->request = *request;
    task->folder = session->id;
    task->file = session->list.files[chunk->file];
    task->index = chunk->file;
    task->offset = chunk->offset;
    task->size = size;
    memcpy(task->data, frames[0].data, size);
    session->n_tasks++;
    session->n_chunks++;
    upload_file_chunk(task, done_chunk);
}

static void answer_commit(struct upload_commit_task *task)
{
    struct daemon *daemon = task->daemon;
    const struct upload_list *list = task->list;
    struct dataset values = {
        .files = (int64_t)list->n, .bytes = list->bytes, .created_us = task->created_us};
    struct arena arena;
    arena_init(&arena);
    values.name = arena_strdup(&arena, list->name);
    values.kind = arena_strdup(&arena, list->kind);
    values.splits = arena_strdup(&arena, list->splits);
    memcpy(values.id, task->id, sizeof(values.id));
    struct doc *map = doc_new(&arena);
    dataset_write(daemon, dataset_add(daemon, &values), true, map, &arena);
    control_reply(daemon, &task->request, map);
    log_put(daemon->log, LOG_LEVEL_INFO, "data set stored", LOG_TEXT("name", list->name),
            LOG_TEXT("kind", list->kind), LOG_NUMBER("files", list->n),
            LOG_NUMBER("bytes", list->bytes));
    daemon->counters[COUNT_UPLOADS]++;
    arena_fini(&arena);
}

static void done_commit(struct store_task *base)
{
    struct upload_commit_task *task = (struct upload_commit_task *)base;
    struct upload_session *session = task->session;
    session->n_tasks--;
    session->last_us = clock_us();
    if (base->status < 0) {
        control_error(task->daemon, &task->request, &base->err);
    } else {
        answer_commit(task);
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
    char manifest[HASH_ID_TEXT];
    if (session == NULL) {
        err_set(&err, ERR_NOT_FOUND, "no upload '%.32s'; begin it again", commit->upload);
        control_error(daemon, request, &err);
        return;
    }
    upload_list_manifest(&session->list, &session->arena, doc_new(&session->arena), manifest);
    if (check_name_free(daemon, &session->list, manifest, &err) < 0) {
        control_error(daemon, request, &err);
        return;
    }
    struct upload_commit_task *task = calloc(1, sizeof(*task));
    BUG_ON(task == NULL);
    task->daemon = daemon;
    task->session = session;
    task->request = *request;
    task->list = &session->list;
    task->folder = session->id;
    session->n_tasks++;
    upload_file_commit(task, done_commit);
}
