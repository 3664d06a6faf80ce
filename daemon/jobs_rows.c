#include "daemon/jobs_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/store.h"

const struct doc *jobs_rows_json(struct arena *arena, const char *text)
{
    struct doc *doc = NULL;
    if (*text == '\0' ||
        doc_read_json(text, strlen(text), &doc_limits_default, arena, &doc, NULL) < 0) {
        return NULL;
    }
    return doc;
}

char *jobs_rows_text(const struct doc *doc)
{
    struct buf text;
    if (doc == NULL) {
        return NULL;
    }
    buf_init(&text);
    doc_write_json(doc, 0, &text);
    return buf_take(&text);
}

static const char *text_or_null(struct arena *arena, const char *text)
{
    return *text != '\0' ? arena_strdup(arena, text) : NULL;
}

static void read_pins(struct job *job, const char *text)
{
    const struct doc *list = jobs_rows_json(&job->arena, text);
    if (list == NULL || list->type != DOC_LIST) {
        return;
    }
    job->pins = arena_array(&job->arena, list->n + 1, sizeof(job->pins[0]));
    job->n_pins = (int64_t)list->n;
    for (size_t i = 0; i < list->n; i++) {
        job->pins[i].name = doc_str(doc_at(list, i), "name", "");
        job->pins[i].id = doc_str(doc_at(list, i), "id", "");
    }
}

int jobs_rows_read(struct job *job, const struct db_row *row, struct err *err)
{
    struct arena *arena = &job->arena;
    job->number = db_int(row, 0);
    snprintf(job->id, sizeof(job->id), "%s", db_text(row, 1));
    job->name = arena_strdup(arena, db_text(row, 2));
    job->key = text_or_null(arena, db_text(row, 3));
    job->state = fsm_state(&jobs_fsm, db_text(row, 4));
    job->reason.code = (int)db_int(row, 5);
    snprintf(job->reason.text, sizeof(job->reason.text), "%s", db_text(row, 6));
    snprintf(job->reason.path, sizeof(job->reason.path), "%s", db_text(row, 7));
    job->created_us = db_int(row, 8);
    job->started_us = db_int(row, 9);
    job->ended_us = db_int(row, 10);
    read_pins(job, db_text(row, 11));
    job->from = text_or_null(arena, db_text(row, 12));
    job->settings = jobs_rows_json(arena, db_text(row, 13));
    job->plan = jobs_rows_json(arena, db_text(row, 14));
    const struct doc *progress = jobs_rows_json(&job->progress_arena, db_text(row, 15));
    if (progress != NULL) {
        job->progress = doc_new(&job->progress_arena);
        doc_copy(job->progress, &job->progress_arena, progress);
    }
    job->result = text_or_null(arena, db_text(row, 16));
    job->last_seq = db_int(row, 17);
    job->restarts = db_int(row, 18);
    job->stored = true;
    if (job->state < 0) {
        job->state = JOB_FAILED;
        return err_set(err, ERR_CORRUPT, "the job %s has the unknown state '%s'", job->id,
                       db_text(row, 4));
    }
    return 0;
}

/* ---- the lists
 * ---------------------------------------------------------------------------------------------- */

/* The item whose `key` is `value`, or a new one: a resumed job passes an epoch twice. */
static struct doc *item_for(struct job *job, struct doc *list, const char *key, int64_t value)
{
    for (size_t i = 0; i < list->n; i++) {
        if (doc_int(doc_at(list, i), key, value - 1) == value) {
            return &list->items[i];
        }
    }
    return doc_push(list, &job->arena);
}

static void put_clock(struct doc *map, struct arena *arena, int64_t time_us)
{
    char text[32];
    clock_format(time_us, text, sizeof(text));
    doc_put_str(map, arena, "time", text);
}

void jobs_rows_add_epoch(struct job *job, int64_t epoch, const struct doc *metrics, int64_t time_us)
{
    struct doc *item = item_for(job, job->history, "epoch", epoch);
    doc_set_map(item);
    doc_put_int(item, &job->arena, "epoch", epoch);
    if (metrics != NULL) {
        doc_copy(doc_put(item, &job->arena, "metrics"), &job->arena, metrics);
    }
    put_clock(item, &job->arena, time_us);
}

void jobs_rows_epoch(struct job *job, const struct db_row *row)
{
    jobs_rows_add_epoch(job, db_int(row, 1), jobs_rows_json(&job->arena, db_text(row, 2)),
                        db_int(row, 3));
}

/* A file written again is the newest, so it goes to the end. */
void jobs_rows_add_checkpoint(struct job *job, const struct msg_child_checkpoint *checkpoint,
                              int64_t time_us)
{
    struct doc *list = job->checkpoints;
    struct arena *arena = &job->arena;
    for (size_t i = 0; i < list->n; i++) {
        if (!strcmp(doc_str(doc_at(list, i), "file", ""), checkpoint->file)) {
            memmove(&list->items[i], &list->items[i + 1],
                    (list->n - i - 1) * sizeof(list->items[0]));
            list->n--;
            break;
        }
    }
    struct doc *item = doc_push(list, arena);
    doc_set_map(item);
    doc_put_str(item, arena, "file", checkpoint->file);
    doc_put_int(item, arena, "epoch", checkpoint->epoch);
    doc_put_int(item, arena, "step", checkpoint->step);
    doc_put_int(item, arena, "global_step", checkpoint->global_step);
    doc_put_str(item, arena, "reason", checkpoint->reason);
    doc_put_str(item, arena, "tensors", checkpoint->tensors);
    put_clock(item, arena, time_us);
}

void jobs_rows_checkpoint(struct job *job, const struct db_row *row)
{
    const struct msg_child_checkpoint checkpoint = {
        .file = db_text(row, 1),
        .epoch = db_int(row, 2),
        .step = db_int(row, 3),
        .global_step = db_int(row, 4),
        .reason = db_text(row, 5),
        .tensors = db_text(row, 6),
    };
    jobs_rows_add_checkpoint(job, &checkpoint, db_int(row, 7));
}

void jobs_rows_add_quarantine(struct job *job, const struct msg_child_quarantine *bad,
                              int64_t time_us)
{
    struct doc *list = job->quarantine;
    struct arena *arena = &job->arena;
    const char *stream = bad->stream != NULL ? bad->stream : "train";
    for (size_t i = 0; i < list->n; i++) {
        if (doc_int(doc_at(list, i), "sample", -1) == bad->sample &&
            !strcmp(doc_str(doc_at(list, i), "stream", ""), stream)) {
            return;
        }
    }
    if (list->n >= JOBS_QUARANTINE_MAX) {
        return;
    }
    struct doc *item = doc_push(list, arena);
    doc_set_map(item);
    doc_put_str(item, arena, "stream", stream);
    doc_put_int(item, arena, "sample", bad->sample);
    doc_put_str(item, arena, "path", bad->path);
    doc_put_int(item, arena, "offset", bad->offset);
    doc_put_str(item, arena, "reason", bad->reason);
    doc_put_bool(item, arena, "convicted", bad->convicted);
    put_clock(item, arena, time_us);
}

void jobs_rows_quarantine(struct job *job, const struct db_row *row)
{
    const struct msg_child_quarantine bad = {
        .stream = db_text(row, 1),
        .sample = db_int(row, 2),
        .path = db_text(row, 3),
        .reason = db_text(row, 4),
        .convicted = db_int(row, 5) != 0,
        .offset = db_int(row, 7),
    };
    jobs_rows_add_quarantine(job, &bad, db_int(row, 6));
}

/* ---- saving
 * -------------------------------------------------------------------------------------------------
 */

struct save_task {
    struct store_task task;
    void (*done)(void *context, int status);
    void *context;
    struct arena arena;
    struct job row; /* a copy whose texts live in the arena */
    const char *pins, *settings, *plan, *progress;
};

static const char *keep_json(struct arena *arena, const struct doc *doc)
{
    char *text = jobs_rows_text(doc);
    const char *kept = text != NULL ? arena_strdup(arena, text) : NULL;
    free(text);
    return kept;
}

static const char *keep(struct arena *arena, const char *text)
{
    return text != NULL ? arena_strdup(arena, text) : NULL;
}

static int run_save(struct store_task *base, struct db *db, struct err *err)
{
    struct save_task *task = (struct save_task *)base;
    const struct job *job = &task->row;
    return db_run(db, DB_JOB_PUT, err, "issssissiiissssssii", job->number, job->id, job->name,
                  job->key, jobs_fsm.states[job->state], (int64_t)job->reason.code,
                  job->reason.text, job->reason.path, job->created_us, job->started_us,
                  job->ended_us, task->pins, job->from, task->settings, task->plan, task->progress,
                  job->result, job->last_seq, job->restarts);
}

static void done_save(struct store_task *base)
{
    struct save_task *task = (struct save_task *)base;
    task->done(task->context, base->status);
    arena_fini(&task->arena);
    free(task);
}

static const char *pins_json(const struct job *job, struct arena *arena)
{
    struct doc *list = doc_new(arena);
    doc_set_list(list);
    for (int64_t i = 0; i < job->n_pins; i++) {
        struct doc *pin = doc_push(list, arena);
        doc_set_map(pin);
        doc_put_str(pin, arena, "name", job->pins[i].name);
        doc_put_str(pin, arena, "id", job->pins[i].id);
    }
    return keep_json(arena, list);
}

void jobs_rows_save(struct job *job, void (*done)(void *context, int status), void *context)
{
    struct save_task *task = calloc(1, sizeof(*task));
    BUG_ON(task == NULL);
    struct arena *arena = &task->arena;
    arena_init(arena);
    task->done = done;
    task->context = context;
    task->row = *job;
    task->row.name = keep(arena, job->name);
    task->row.key = keep(arena, job->key);
    task->row.from = keep(arena, job->from);
    task->row.result = keep(arena, job->result);
    task->pins = pins_json(job, arena);
    task->settings = keep_json(arena, job->settings);
    task->plan = keep_json(arena, job->plan);
    task->progress = keep_json(arena, job->progress);
    store_task_init(&task->task, run_save, done_save, true);
    store_put(job->daemon->store, &task->task);
}
