#include "daemon/steps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/feed.h"
#include "daemon/upload.h"
#include "daemon/upload_file.h"

enum { REST_US = 10000000 }; /* a session that nobody asked for so long makes room */

struct steps {
    struct steps_session *head;
    int64_t n, last_number;
};
struct steps_task {
    struct store_task task;
    struct request request;
    struct steps_session *session;
    bool end;
};

void steps_create(struct daemon *daemon)
{
    daemon->steps = calloc(1, sizeof(*daemon->steps));
    BUG_ON(daemon->steps == NULL);
}

static void remove_session(struct steps_session *s)
{
    struct steps *steps = s->daemon->steps;
    struct steps_session **link = &steps->head;
    while (*link != s) {
        link = &(*link)->next;
    }
    *link = s->next;
    steps->n--;
    s->kind->fini(s);
    arena_fini(&s->arena);
    free(s);
}

void steps_destroy(struct daemon *daemon)
{
    while (daemon->steps != NULL && daemon->steps->head != NULL) {
        remove_session(daemon->steps->head);
    }
    free(daemon->steps);
    daemon->steps = NULL;
}

static int make_room(const struct daemon *daemon, struct err *err)
{
    struct steps_session *oldest = NULL;
    if (daemon->steps->n < daemon->settings->max_uploads) {
        return 0;
    }
    for (struct steps_session *s = daemon->steps->head; s != NULL; s = s->next) {
        oldest = !s->has_task && (oldest == NULL || s->last_us < oldest->last_us) ? s : oldest;
    }
    if (oldest == NULL || clock_us() - oldest->last_us < REST_US) {
        return err_set(
            err, ERR_LIMIT,
            "%lld data sets are being registered or packed (max_uploads); try again later",
            (long long)daemon->steps->n);
    }
    remove_session(oldest);
    return 0;
}

struct steps_session *steps_new(struct daemon *daemon, const struct steps_kind *kind,
                                const struct request *request, struct err *err)
{
    if (make_room(daemon, err) < 0) {
        return NULL;
    }
    struct steps_session *s = calloc(1, kind->size);
    BUG_ON(s == NULL);
    s->daemon = daemon;
    s->kind = kind;
    s->uid = request->uid;
    s->fed_bytes = feed_bytes(daemon, s->uid);
    arena_init(&s->arena);
    snprintf(s->id, sizeof(s->id), "%016llx", (unsigned long long)++daemon->steps->last_number);
    s->next = daemon->steps->head;
    daemon->steps->head = s;
    daemon->steps->n++;
    return s;
}

static void reply_progress(const struct steps_task *task)
{
    const struct steps_session *s = task->session;
    struct arena arena;
    arena_init(&arena);
    struct doc *map = doc_new(&arena);
    doc_set_map(map);
    doc_put_str(map, &arena, "session", s->id);
    doc_put_int(map, &arena, "files", (int64_t)s->list.n);
    doc_put_int(map, &arena, "bytes", s->total_bytes);
    doc_put_int(map, &arena, "done_bytes", s->done_bytes);
    doc_put_str(map, &arena, "path", s->path);
    control_reply(s->daemon, &task->request, map);
    arena_fini(&arena);
}

static void done_commit(struct store_task *base)
{
    struct upload_commit_task *task = (struct upload_commit_task *)base;
    if (base->status < 0) {
        control_error(task->daemon, &task->request, &base->err);
    } else {
        upload_answer(task);
    }
    remove_session(task->context);
    free(task);
}

static void commit(const struct steps_task *task)
{
    struct upload_commit_task *commit = calloc(1, sizeof(*commit));
    BUG_ON(commit == NULL);
    commit->daemon = task->session->daemon;
    commit->context = task->session;
    commit->request = task->request;
    commit->list = &task->session->list;
    commit->fed_bytes = feed_bytes(commit->daemon, task->session->uid);
    upload_file_commit(commit, done_commit);
}

static int run_begin(struct store_task *base, struct db *db, struct err *err)
{
    struct steps_session *s = ((struct steps_task *)base)->session;
    return s->kind->begin(s, db, err);
}

static int run_step(struct store_task *base, struct db *db, struct err *err)
{
    struct steps_task *task = (struct steps_task *)base;
    return task->session->kind->step(task->session, db, &task->end, err);
}

static void done_task(struct store_task *base)
{
    struct steps_task *task = (struct steps_task *)base;
    struct steps_session *s = task->session;
    s->last_us = clock_us();
    s->has_task = task->end && base->status >= 0;
    if (base->status < 0) {
        control_error(s->daemon, &task->request, &base->err);
        remove_session(s);
    } else if (task->end) {
        commit(task);
    } else {
        reply_progress(task);
    }
    free(task);
}

static void put_task(struct steps_session *session, const struct request *request, store_fn *run)
{
    struct steps_task *task = calloc(1, sizeof(*task));
    BUG_ON(task == NULL);
    task->request = *request;
    task->session = session;
    session->has_task = true;
    store_task_init(&task->task, run, done_task, true);
    store_put(session->daemon->store, &task->task);
}

void steps_begin(struct steps_session *session, const struct request *request)
{
    put_task(session, request, run_begin);
}

void steps_on_step(struct daemon *daemon, const struct request *request, const void *body,
                   const struct sock_frame *frames, int n_frames)
{
    (void)frames;
    (void)n_frames;
    const struct msg_dataset_step *wanted = body;
    struct steps_session *s = daemon->steps->head;
    struct err err = {0};
    while (s != NULL && (strcmp(s->id, wanted->session) != 0 || s->uid != request->uid)) {
        s = s->next;
    }
    if (s == NULL || s->has_task) {
        err_set(&err, s == NULL ? ERR_NOT_FOUND : ERR_BUSY,
                s == NULL ? "no session '%.32s'; begin again" : "'%.32s' is under way",
                wanted->session);
        control_error(daemon, request, &err);
        return;
    }
    put_task(s, request, run_step);
}
