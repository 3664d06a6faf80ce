#include "daemon/jobs.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/jobs_rows.h"
#include "daemon/journal.h"
#include "daemon/run.h"
#include "daemon/schedule.h"
#include "daemon/store.h"
#include "daemon/submit.h"

enum { SAVE_RETRY_MS = 1000 };

static const char *const jobs_states[JOB_STATE_MAX_ + 1] = {
#define JOB_STATE(symbol, name) [JOB_##symbol] = (name),
#include "daemon/job_states.h"
};
static const char *const jobs_events[JOB_EVENT_MAX_ + 1] = {
#define JOB_EVENT(symbol, name) [JOB_EVENT_##symbol] = (name),
#include "daemon/job_states.h"
};
static const struct fsm_transition jobs_transitions[] = {
#define JOB_STEP(state, event, next) {JOB_##state, JOB_EVENT_##event, JOB_##next},
#include "daemon/job_states.h"
};
const struct fsm jobs_fsm = {
    .name = "job",
    .states = jobs_states,
    .events = jobs_events,
    .transitions = jobs_transitions,
    .n_transitions = sizeof(jobs_transitions) / sizeof(jobs_transitions[0]),
};

/* ---- finding
 * ------------------------------------------------------------------------------------------------
 */

bool jobs_is_over(const struct job *job)
{
    return job->state == JOB_FINISHED || job->state == JOB_FAILED || job->state == JOB_CANCELLED;
}

int64_t jobs_count(const struct daemon *daemon, int state)
{
    int64_t n = 0;
    for (const struct job *job = daemon->jobs->head; job != NULL; job = job->next) {
        n += job->state == state;
    }
    return n;
}

struct job *jobs_find(const struct daemon *daemon, const char *id_or_name)
{
    struct job *found = NULL;
    for (struct job *job = daemon->jobs->head; job != NULL; job = job->next) {
        if (!strcmp(job->id, id_or_name)) {
            return job;
        }
        if (!strcmp(job->name, id_or_name)) {
            found = job;
        }
    }
    return found;
}

struct job *jobs_find_key(const struct daemon *daemon, const char *key)
{
    for (struct job *job = daemon->jobs->head; key != NULL && job != NULL; job = job->next) {
        if (job->key != NULL && !strcmp(job->key, key)) {
            return job;
        }
    }
    return NULL;
}

int jobs_get(const struct daemon *daemon, const char *id_or_name, struct job **ret, struct err *err)
{
    *ret = jobs_find(daemon, id_or_name);
    if (*ret != NULL) {
        return 0;
    }
    const char *near = NULL;
    for (const struct job *job = daemon->jobs->head; job != NULL; job = job->next) {
        const char *const names[] = {job->id, job->name};
        const char *found = err_nearest(id_or_name, names, 2);
        near = found != NULL ? job->id : near;
    }
    return err_set(err, ERR_NOT_FOUND, "no job '%.64s'%s%s%s", id_or_name,
                   near != NULL ? "; the nearest is '" : "", near != NULL ? near : "",
                   near != NULL ? "'" : "");
}

static bool uses(const struct job *job, const char *manifest)
{
    for (int64_t i = 0; i < job->n_pins && !jobs_is_over(job); i++) {
        if (!strcmp(job->pins[i].id, manifest)) {
            return true;
        }
    }
    return false;
}

const char *jobs_user(const struct daemon *daemon, const char *manifest)
{
    for (const struct job *job = daemon->jobs->head; job != NULL; job = job->next) {
        if (uses(job, manifest)) {
            return job->id;
        }
    }
    return NULL;
}

void jobs_write_users(const struct daemon *daemon, const char *manifest, struct doc *list,
                      struct arena *arena)
{
    doc_set_list(list);
    for (const struct job *job = daemon->jobs->head; job != NULL; job = job->next) {
        if (uses(job, manifest)) {
            doc_set_str(doc_push(list, arena), arena, job->id);
        }
    }
}

const char *jobs_newest(const struct job *job)
{
    size_t n = job->checkpoints->n;
    return n > 0 ? doc_str(doc_at(job->checkpoints, n - 1), "file", NULL) : NULL;
}

int jobs_folder(const struct job *job, int *ret_fd, struct err *err)
{
    const struct daemon *daemon = job->daemon;
    if (mkdirat(daemon->jobs_fd, job->id, 0700) != 0 && errno != EEXIST) {
        return err_errno(err, errno, "make the folder of job %s", job->id);
    }
    *ret_fd = openat(daemon->jobs_fd, job->id, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *ret_fd < 0 ? err_errno(err, errno, "open the folder of job %s", job->id) : 0;
}

/* ---- making
 * -------------------------------------------------------------------------------------------------
 */

/* "My Digits!" -> "my-digits-3": typed easily, and safe as a folder's name. */
static void make_id(struct job *job, const char *name)
{
    char word[25];
    size_t n = 0;
    for (const char *c = name; *c != '\0' && n < sizeof(word) - 1; c++) {
        if (isalnum((unsigned char)*c)) {
            word[n++] = (char)tolower((unsigned char)*c);
        } else if (n > 0 && word[n - 1] != '-') {
            word[n++] = '-';
        }
    }
    while (n > 0 && word[n - 1] == '-') {
        n--;
    }
    word[n] = '\0';
    snprintf(job->id, sizeof(job->id), "%s-%lld", n > 0 ? word : "job", (long long)job->number);
}

static struct job *new_job(struct daemon *daemon)
{
    struct job *job = calloc(1, sizeof(*job));
    BUG_ON(job == NULL);
    job->daemon = daemon;
    arena_init(&job->arena);
    arena_init(&job->progress_arena);
    struct doc **lists[] = {&job->history, &job->checkpoints, &job->quarantine};
    for (size_t i = 0; i < 3; i++) {
        *lists[i] = doc_new(&job->arena);
        doc_set_list(*lists[i]);
    }
    return job;
}

static void link_job(struct daemon *daemon, struct job *job)
{
    struct job **link = &daemon->jobs->head;
    while (*link != NULL) {
        link = &(*link)->next;
    }
    *link = job;
    if (job->number > daemon->jobs->last_number) {
        daemon->jobs->last_number = job->number;
    }
}

struct job *jobs_new(struct daemon *daemon, const char *name)
{
    struct job *job = new_job(daemon);
    job->number = daemon->jobs->last_number + 1;
    job->name = arena_strdup(&job->arena, name);
    job->state = JOB_QUEUED;
    job->created_us = clock_wall_us();
    make_id(job, name);
    link_job(daemon, job);
    return job;
}

static int load_job(void *context, const struct db_row *row, struct err *err)
{
    struct job *job = new_job(context);
    int rc = jobs_rows_read(job, row, err);
    link_job(context, job);
    return rc;
}

static int load_part(void *context, const struct db_row *row, struct err *err)
{
    (void)err;
    struct jobs_rows_part *part = context;
    struct job *job = jobs_find(part->daemon, db_text(row, 0));
    if (job != NULL) {
        part->read(job, row);
    }
    return 0;
}

static void on_save_retry(uv_timer_t *timer);

int jobs_open(struct daemon *daemon, struct err *err)
{
    daemon->jobs = calloc(1, sizeof(*daemon->jobs));
    BUG_ON(daemon->jobs == NULL);
    struct db *db = store_db(daemon->store);
    struct jobs_rows_part epochs = {daemon, jobs_rows_epoch};
    struct jobs_rows_part checkpoints = {daemon, jobs_rows_checkpoint};
    struct jobs_rows_part quarantine = {daemon, jobs_rows_quarantine};
    int rc = db_each(db, DB_JOBS, load_job, daemon, err, "");
    if (rc >= 0) {
        rc = db_each(db, DB_EPOCHS, load_part, &epochs, err, "");
    }
    if (rc >= 0) {
        rc = db_each(db, DB_CHECKPOINTS, load_part, &checkpoints, err, "");
    }
    if (rc >= 0) {
        rc = db_each(db, DB_QUARANTINES, load_part, &quarantine, err, "");
    }
    uv_timer_init(daemon->loop, &daemon->jobs->save_retry);
    daemon->jobs->save_retry.data = daemon;
    return rc;
}

void jobs_recover(struct daemon *daemon)
{
    for (struct job *job = daemon->jobs->head; job != NULL; job = job->next) {
        if (job->state == JOB_CHECKING || job->state == JOB_ADAPTING ||
            job->state == JOB_TRAINING) {
            jobs_step(job, JOB_EVENT_RECOVER, NULL, NULL);
            journal_log(job, LOG_LEVEL_WARNING,
                        "the daemon was started again; the job goes on from its newest checkpoint");
        }
        if (job->state == JOB_PAUSED && job->reason.code == ERR_NO_SPACE) {
            schedule_retry(job);
        }
    }
    schedule_kick(daemon);
}

static void close_timer(uv_handle_t *handle)
{
    free(handle->data);
}

static void free_job(struct job *job)
{
    arena_fini(&job->arena);
    arena_fini(&job->progress_arena);
    if (job->retry_open) {
        job->retry.data = job;
        uv_close((uv_handle_t *)&job->retry, close_timer);
    } else {
        free(job);
    }
}

void jobs_close(struct daemon *daemon)
{
    if (daemon->jobs == NULL) {
        return;
    }
    while (daemon->jobs->head != NULL) {
        struct job *job = daemon->jobs->head;
        daemon->jobs->head = job->next;
        free_job(job);
    }
    daemon->jobs->save_retry.data = daemon->jobs;
    uv_close((uv_handle_t *)&daemon->jobs->save_retry, close_timer);
    daemon->jobs = NULL;
}

/* ---- changing
 * -----------------------------------------------------------------------------------------------
 */

static void tell_state(struct job *job)
{
    struct arena arena;
    arena_init(&arena);
    struct doc *map = doc_new(&arena);
    jobs_write(job, false, map, &arena);
    journal_put(job, "state", map);
    arena_fini(&arena);
}

int jobs_step(struct job *job, enum job_event event, const struct err *reason, struct err *err)
{
    int before = job->state;
    if (fsm_step(&jobs_fsm, &job->state, (int)event, NULL) < 0) {
        return err_set(err, ERR_INVALID, "cannot %s %s: it is %s", jobs_fsm.events[event], job->id,
                       jobs_fsm.states[job->state]);
    }
    memset(&job->reason, 0, sizeof(job->reason));
    if (reason != NULL) {
        job->reason = *reason;
    }
    if (event == JOB_EVENT_START && job->started_us == 0) {
        job->started_us = clock_wall_us();
    }
    if (jobs_is_over(job)) {
        job->ended_us = clock_wall_us();
        job->daemon->counters[COUNT_JOBS_FINISHED] += job->state == JOB_FINISHED;
        job->daemon->counters[COUNT_JOBS_FAILED] += job->state == JOB_FAILED;
    }
    log_put(job->daemon->log, job->state == JOB_FAILED ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
            "job changes", LOG_TEXT("job", job->id), LOG_TEXT("from", jobs_states[before]),
            LOG_TEXT("to", jobs_states[job->state]),
            LOG_TEXT("reason", job->reason.code != 0 ? job->reason.text : ""));
    tell_state(job);
    jobs_save(job);
    return 0;
}

static void on_saved(void *context, int status)
{
    struct job *job = context;
    job->saving = false;
    if (status < 0) {
        job->dirty = true;
        job->daemon->counters[COUNT_STORE_ERRORS]++;
        uv_timer_start(&job->daemon->jobs->save_retry, on_save_retry, SAVE_RETRY_MS, 0);
        submit_unsaved(job, status);
    } else if (job->dirty) {
        jobs_save(job);
    } else {
        submit_saved(job);
    }
}

static void on_save_retry(uv_timer_t *timer)
{
    struct daemon *daemon = timer->data;
    for (struct job *job = daemon->jobs->head; job != NULL; job = job->next) {
        if (job->dirty && !job->saving && !daemon->stopping) {
            jobs_save(job);
        }
    }
}

void jobs_save(struct job *job)
{
    job->dirty = job->saving;
    if (!job->saving) {
        job->saving = true;
        jobs_rows_save(job, on_saved, job);
    }
}

/* ---- showing
 * ------------------------------------------------------------------------------------------------
 */

static void put_time(struct doc *map, struct arena *arena, const char *key, int64_t wall_us)
{
    char text[32];
    if (wall_us != 0) {
        clock_format(wall_us, text, sizeof(text));
        doc_put_str(map, arena, key, text);
    }
}

static void put_json(struct doc *map, struct arena *arena, const char *key, const char *text)
{
    struct doc *doc = NULL;
    if (text != NULL &&
        doc_read_json(text, strlen(text), &doc_limits_default, arena, &doc, NULL) >= 0) {
        doc_copy(doc_put(map, arena, key), arena, doc);
    }
}

static void write_reason(const struct job *job, struct doc *map, struct arena *arena)
{
    if (job->reason.code != 0) {
        doc_put_str(map, arena, "reason", job->reason.text);
        doc_put_int(map, arena, "code", job->reason.code);
        doc_put_str(map, arena, "error", err_find(job->reason.code)->name);
        if (job->reason.path[0] != '\0') {
            doc_put_str(map, arena, "path", job->reason.path);
        }
    }
}

static void write_files(const struct job *job, struct doc *map, struct arena *arena)
{
    char folder[DAEMON_PATH_MAX];
    snprintf(folder, sizeof(folder), "%s/jobs/%s", job->daemon->settings->state_dir, job->id);
    doc_put_str(map, arena, "folder", folder);
    const char *newest = jobs_newest(job);
    if (newest != NULL) {
        doc_put_str(map, arena, "model", arena_printf(arena, "%s/%s", folder, newest));
    }
}

/* What was written; `kept` says whether the trainer has left it there. */
static void write_checkpoints(const struct job *job, struct doc *list, struct arena *arena)
{
    char path[JOBS_ID + 256];
    doc_copy(list, arena, job->checkpoints);
    for (size_t i = 0; i < list->n; i++) {
        struct doc *item = &list->items[i];
        snprintf(path, sizeof(path), "%s/%s", job->id, doc_str(item, "file", ""));
        doc_put_bool(item, arena, "kept", faccessat(job->daemon->jobs_fd, path, F_OK, 0) == 0);
    }
}

void jobs_write(const struct job *job, bool full, struct doc *map, struct arena *arena)
{
    doc_set_map(map);
    doc_put_str(map, arena, "job", job->id);
    doc_put_str(map, arena, "name", job->name);
    doc_put_str(map, arena, "state", jobs_states[job->state]);
    write_reason(job, map, arena);
    put_time(map, arena, "created", job->created_us);
    put_time(map, arena, "started", job->started_us);
    put_time(map, arena, "ended", job->ended_us);
    doc_put_int(map, arena, "restarts", job->restarts);
    doc_put_int(map, arena, "seq", job->last_seq);
    if (job->progress != NULL) {
        doc_copy(doc_put(map, arena, "progress"), arena, job->progress);
    }
    if (job->adapting != NULL && job->state == JOB_ADAPTING) {
        doc_copy(doc_put(map, arena, "adapting"), arena, job->adapting);
    }
    write_files(job, map, arena);
    put_json(map, arena, "result", job->result);
    if (!full) {
        return;
    }
    struct doc *datasets = doc_put(map, arena, "datasets");
    doc_set_list(datasets);
    for (int64_t i = 0; i < job->n_pins; i++) {
        struct doc *pin = doc_push(datasets, arena);
        doc_set_map(pin);
        doc_put_str(pin, arena, "name", job->pins[i].name);
        doc_put_str(pin, arena, "id", job->pins[i].id);
    }
    if (job->from != NULL) {
        doc_put_str(map, arena, "from", job->from);
    }
    if (job->plan != NULL) {
        doc_copy(doc_put(map, arena, "plan"), arena, job->plan);
    }
    doc_copy(doc_put(map, arena, "history"), arena, job->history);
    write_checkpoints(job, doc_put(map, arena, "checkpoints"), arena);
    doc_copy(doc_put(map, arena, "quarantine"), arena, job->quarantine);
    run_write(job->run, doc_put(map, arena, "workers"), arena);
}

/* Newest first. */
void jobs_write_all(const struct daemon *daemon, struct doc *map, struct arena *arena)
{
    int64_t n = 0;
    for (const struct job *job = daemon->jobs->head; job != NULL; job = job->next) {
        n++;
    }
    const struct job **all = arena_array(arena, (size_t)n + 1, sizeof(*all));
    n = 0;
    for (const struct job *job = daemon->jobs->head; job != NULL; job = job->next) {
        all[n++] = job;
    }
    doc_set_map(map);
    struct doc *list = doc_put(map, arena, "jobs");
    doc_set_list(list);
    while (n > 0) {
        jobs_write(all[--n], false, doc_push(list, arena), arena);
    }
}
