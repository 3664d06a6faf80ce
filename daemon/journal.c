#include "daemon/journal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/jobs_rows.h"
#include "daemon/store.h"

enum { TRIM_EVERY = 256, READ_MAX = 10000 };

struct event_task {
    struct store_task task;
    struct daemon *daemon;
    struct arena arena;
    char job[JOBS_ID];
    int64_t seq, time_us, trim;
    const char *kind, *json;
    const struct doc *data;
    int (*more)(struct event_task *task, struct db *db, struct err *err); /* a row of its own */
    const struct doc *metrics;
    int64_t epoch;
    struct msg_child_checkpoint checkpoint;
    struct msg_child_quarantine bad;
    void (*done)(void *context, int64_t seq, int status);
    void *context;
};

static int run_event(struct store_task *base, struct db *db, struct err *err)
{
    struct event_task *task = (struct event_task *)base;
    int rc = db_run(db, DB_EVENT_PUT, err, "siiss", task->job, task->seq, task->time_us, task->kind,
                    task->json);
    if (rc >= 0 && task->trim > 0) {
        rc = db_run(db, DB_EVENT_TRIM, err, "si", task->job, task->trim);
    }
    return rc >= 0 && task->more != NULL ? task->more(task, db, err) : rc;
}

static void done_event(struct store_task *base)
{
    struct event_task *task = (struct event_task *)base;
    task->daemon->counters[base->status < 0 ? COUNT_STORE_ERRORS : COUNT_EVENTS]++;
    control_event(task->daemon, task->job, task->seq, task->kind, task->data);
    if (task->done != NULL) {
        task->done(task->context, task->bad.seq, base->status);
    }
    arena_fini(&task->arena);
    free(task);
}

static struct event_task *new_event(struct job *job, const char *kind)
{
    struct event_task *task = calloc(1, sizeof(*task));
    BUG_ON(task == NULL);
    arena_init(&task->arena);
    task->daemon = job->daemon;
    snprintf(task->job, sizeof(task->job), "%s", job->id);
    task->seq = ++job->last_seq;
    task->time_us = clock_wall_us();
    task->kind = kind;
    if (task->seq % TRIM_EVERY == 0) {
        task->trim = task->seq - job->daemon->settings->max_events;
    }
    store_task_init(&task->task, run_event, done_event, true);
    return task;
}

static void put_event(struct event_task *task, const struct doc *data)
{
    struct doc *kept = doc_new(&task->arena);
    doc_copy(kept, &task->arena, data);
    char *text = jobs_rows_text(kept);
    task->data = kept;
    task->json = arena_strdup(&task->arena, text);
    free(text);
    store_put(task->daemon->store, &task->task);
}

void journal_put(struct job *job, const char *kind, const struct doc *data)
{
    put_event(new_event(job, kind), data);
}

void journal_send(struct job *job, const char *kind, const struct doc *data)
{
    control_event(job->daemon, job->id, job->last_seq, kind, data);
}

void journal_log(struct job *job, enum log_level level, const char *format, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    struct event_task *task = new_event(job, "log");
    struct doc *map = doc_new(&task->arena);
    doc_set_map(map);
    doc_put_int(map, &task->arena, "level", level);
    doc_put_str(map, &task->arena, "text", text);
    put_event(task, map);
    log_put(job->daemon->log, level, text, LOG_TEXT("job", job->id));
}

/* ---- events with a row of their own
 * ------------------------------------------------------------------------- */

static int more_epoch(struct event_task *task, struct db *db, struct err *err)
{
    char *metrics = jobs_rows_text(task->metrics);
    int rc = db_run(db, DB_EPOCH_PUT, err, "sisi", task->job, task->epoch,
                    metrics != NULL ? metrics : "{}", task->time_us);
    free(metrics);
    return rc;
}

void journal_epoch(struct job *job, const struct msg_child_epoch *epoch)
{
    struct event_task *task = new_event(job, "epoch");
    struct arena *arena = &task->arena;
    struct doc *map = doc_new(arena);
    doc_set_map(map);
    doc_put_int(map, arena, "epoch", epoch->epoch);
    doc_put_float(map, arena, "seconds", epoch->seconds);
    task->epoch = epoch->epoch;
    if (epoch->metrics != NULL) {
        struct doc *metrics = doc_new(arena);
        doc_copy(metrics, arena, epoch->metrics);
        doc_copy(doc_put(map, arena, "metrics"), arena, metrics);
        task->metrics = metrics;
    }
    task->more = more_epoch;
    jobs_rows_add_epoch(job, epoch->epoch, epoch->metrics, task->time_us);
    put_event(task, map);
}

static int more_checkpoint(struct event_task *task, struct db *db, struct err *err)
{
    const struct msg_child_checkpoint *c = &task->checkpoint;
    return db_run(db, DB_CHECKPOINT_PUT, err, "ssiiissi", task->job, c->file, c->epoch, c->step,
                  c->global_step, c->reason, c->tensors, task->time_us);
}

void journal_checkpoint(struct job *job, const struct msg_child_checkpoint *checkpoint)
{
    struct event_task *task = new_event(job, "checkpoint");
    struct arena *arena = &task->arena;
    struct doc *map = doc_new(arena);
    opt_write(msg_child_checkpoint_options, checkpoint, false, map, arena);
    task->checkpoint = *checkpoint;
    task->checkpoint.file = arena_strdup(arena, checkpoint->file);
    task->checkpoint.reason =
        arena_strdup(arena, checkpoint->reason != NULL ? checkpoint->reason : "");
    task->checkpoint.tensors =
        arena_strdup(arena, checkpoint->tensors != NULL ? checkpoint->tensors : "");
    task->more = more_checkpoint;
    jobs_rows_add_checkpoint(job, &task->checkpoint, task->time_us);
    put_event(task, map);
}

static int more_quarantine(struct event_task *task, struct db *db, struct err *err)
{
    const struct msg_child_quarantine *bad = &task->bad;
    return db_run(db, DB_QUARANTINE_PUT, err, "ssissiii", task->job, bad->stream, bad->sample,
                  bad->path, bad->reason, (int64_t)bad->convicted, task->time_us, bad->offset);
}

void journal_quarantine(struct job *job, const struct msg_child_quarantine *bad,
                        void (*done)(void *context, int64_t seq, int status), void *context)
{
    struct event_task *task = new_event(job, "quarantine");
    struct arena *arena = &task->arena;
    struct doc *map = doc_new(arena);
    opt_write(msg_child_quarantine_options, bad, false, map, arena);
    task->bad = *bad;
    task->bad.stream = arena_strdup(arena, bad->stream != NULL ? bad->stream : "train");
    task->bad.path = arena_strdup(arena, bad->path != NULL ? bad->path : "");
    task->bad.reason = arena_strdup(arena, bad->reason != NULL ? bad->reason : "");
    task->more = more_quarantine;
    task->done = done;
    task->context = context;
    jobs_rows_add_quarantine(job, &task->bad, task->time_us);
    job->daemon->counters[COUNT_QUARANTINED]++;
    put_event(task, map);
}

/* ---- reading back
 * ------------------------------------------------------------------------------------------- */

struct read_task {
    struct store_task task;
    struct daemon *daemon;
    struct request request;
    struct arena arena;
    char job[JOBS_ID];
    int64_t after;
    struct doc *list; /* {seq, time, kind, data} */
};

static int read_row(void *context, const struct db_row *row, struct err *err)
{
    (void)err;
    struct read_task *task = context;
    struct arena *arena = &task->arena;
    char time[32];
    struct doc *item = doc_push(task->list, arena);
    clock_format(db_int(row, 1), time, sizeof(time));
    doc_set_map(item);
    doc_put_int(item, arena, "seq", db_int(row, 0));
    doc_put_str(item, arena, "time", time);
    doc_put_str(item, arena, "kind", db_text(row, 2));
    const struct doc *data = jobs_rows_json(arena, db_text(row, 3));
    if (data != NULL) {
        doc_copy(doc_put(item, arena, "data"), arena, data);
    }
    return 0;
}

static int run_logs(struct store_task *base, struct db *db, struct err *err)
{
    struct read_task *task = (struct read_task *)base;
    return db_each(db, DB_LOGS, read_row, task, err, "sii", task->job, task->after,
                   (int64_t)READ_MAX);
}

static int run_events(struct store_task *base, struct db *db, struct err *err)
{
    struct read_task *task = (struct read_task *)base;
    return task->after <= 0 ? 0
                            : db_each(db, DB_EVENTS, read_row, task, err, "sii", task->job,
                                      task->after, (int64_t)READ_MAX);
}

static void free_read(struct read_task *task)
{
    arena_fini(&task->arena);
    free(task);
}

static void done_logs(struct store_task *base)
{
    struct read_task *task = (struct read_task *)base;
    struct arena *arena = &task->arena;
    struct doc *map = doc_new(arena);
    doc_set_map(map);
    struct doc *lines = doc_put(map, arena, "lines");
    doc_set_list(lines);
    for (size_t i = 0; i < task->list->n; i++) {
        const struct doc *event = doc_at(task->list, i);
        const struct doc *data = doc_get(event, "data");
        struct doc *line = doc_push(lines, arena);
        doc_set_map(line);
        doc_put_int(line, arena, "seq", doc_int(event, "seq", 0));
        doc_put_str(line, arena, "time", doc_str(event, "time", ""));
        doc_put_int(line, arena, "level", doc_int(data, "level", LOG_LEVEL_INFO));
        doc_put_str(line, arena, "text", doc_str(data, "text", ""));
    }
    if (base->status < 0) {
        control_error(task->daemon, &task->request, &base->err);
    } else {
        control_reply(task->daemon, &task->request, map);
    }
    free_read(task);
}

/* The reply, the snapshot, what was missed, then what comes: nothing in between, because events
 * take the same queue. */
static void done_watch(struct store_task *base)
{
    struct read_task *task = (struct read_task *)base;
    struct job *job = jobs_find(task->daemon, task->job);
    if (base->status < 0 || job == NULL) {
        control_error(task->daemon, &task->request, &base->err);
        free_read(task);
        return;
    }
    struct doc *snapshot = doc_new(&task->arena);
    jobs_write(job, true, snapshot, &task->arena);
    control_reply_empty(task->daemon, &task->request);
    control_event_to(task->daemon, &task->request.peer, job->id, job->last_seq, "snapshot",
                     snapshot);
    for (size_t i = 0; i < task->list->n; i++) {
        const struct doc *event = doc_at(task->list, i);
        control_event_to(task->daemon, &task->request.peer, job->id, doc_int(event, "seq", 0),
                         doc_str(event, "kind", ""), doc_get(event, "data"));
    }
    control_watch(task->daemon, &task->request, job->id);
    free_read(task);
}

static void start_read(struct daemon *daemon, const struct request *request, const char *name,
                       int64_t after, store_fn *run, void (*done)(struct store_task *task))
{
    struct job *job = NULL;
    struct err err = {0};
    if (jobs_get(daemon, name, &job, &err) < 0) {
        control_error(daemon, request, &err);
        return;
    }
    struct read_task *task = calloc(1, sizeof(*task));
    BUG_ON(task == NULL);
    arena_init(&task->arena);
    task->daemon = daemon;
    task->request = *request;
    task->after = after;
    snprintf(task->job, sizeof(task->job), "%s", job->id);
    task->list = doc_new(&task->arena);
    doc_set_list(task->list);
    store_task_init(&task->task, run, done, false);
    store_put(daemon->store, &task->task);
}

void journal_on_logs(struct daemon *daemon, const struct request *request, const void *body,
                     const struct sock_frame *frames, int n_frames)
{
    (void)frames;
    (void)n_frames;
    const struct msg_job_logs *logs = body;
    start_read(daemon, request, logs->name, logs->after, run_logs, done_logs);
}

void journal_on_watch(struct daemon *daemon, const struct request *request, const void *body,
                      const struct sock_frame *frames, int n_frames)
{
    (void)frames;
    (void)n_frames;
    const struct msg_job_watch *watch = body;
    struct err err = {0};
    if (!control_may_watch(daemon)) {
        err_set(&err, ERR_LIMIT, "%lld clients watch already (max_watchers)",
                (long long)daemon->settings->max_watchers);
        control_error(daemon, request, &err);
        return;
    }
    start_read(daemon, request, watch->name, watch->after, run_events, done_watch);
}
