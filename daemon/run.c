#include "daemon/run.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "daemon/journal.h"
#include "daemon/run_impl.h"
#include "daemon/schedule.h"

enum {
    SLABS_AUTO = 16,
    SLABS_MIN = 2,
    SLABS_MAX = 64,
    CONVICTED_MAX = 100,
    IDLE_SHARE = 50,
    JOB_TEXT_MAX = 8 << 20
};

/* The convictions, so that a trainer that starts again does not make three workers die once more.
 * Bounded by the message. */
static void put_convicted(const struct run *run, struct doc *settings, struct arena *arena)
{
    struct doc *list = doc_put(settings, arena, "quarantine");
    doc_set_list(list);
    for (size_t i = 0; i < run->job->quarantine->n && list->n < CONVICTED_MAX; i++) {
        const struct doc *bad = doc_at(run->job->quarantine, i);
        if (doc_bool(bad, "convicted", false)) {
            doc_copy(doc_push(list, arena), arena, bad);
        }
    }
}

int run_send_start(struct run *run, struct process *process, struct fds *fds, int64_t worker,
                   int64_t memory_bytes, struct err *err)
{
    struct msg_child_start start;
    struct arena arena;
    arena_init(&arena);
    opt_defaults(msg_child_start_options, &start, &arena);
    struct doc *settings = doc_new(&arena);
    doc_set_map(settings);
    doc_put_bool(settings, &arena, "sandbox", run->sandbox);
    doc_put_int(settings, &arena, "memory_bytes", memory_bytes);
    if (worker == 0) { /* workers refuse settings that are not theirs */
        doc_put_bool(settings, &arena, "accept_fingerprint", run->job->agreed);
        put_convicted(run, settings, &arena);
    }
    start.mode = "run";
    start.job = run->job->id;
    start.worker = worker;
    start.address = run->address;
    start.max_workers = run->max_workers;
    start.n_slabs = run->n_slabs;
    start.settings = settings;
    int rc = fds_send_start(fds, process, &start, err);
    arena_fini(&arena);
    return rc;
}

/* ---- what the trainer says
 * ---------------------------------------------------------------------------------- */

static void take_progress(struct run *run, const struct msg_child_progress *progress)
{
    struct job *job = run->job;
    arena_reset(&job->progress_arena);
    job->progress = doc_new(&job->progress_arena);
    opt_write(msg_child_progress_options, progress, false, job->progress, &job->progress_arena);
    struct doc *kept =
        doc_new(&job->progress_arena); /* opt_write may only point into the message */
    doc_copy(kept, &job->progress_arena, job->progress);
    job->progress = kept;
    run->last_step = progress->global_step;
    if (run->first_step < 0) {
        run->first_step = progress->global_step;
    }
    if (run->last_step > run->first_step) {
        run->fruitless = 0;
        run->trainer_wait_ms = 0;
    }
    journal_send(job, "progress", job->progress);
}

static void take_workers(struct run *run, const struct msg_child_workers *workers)
{
    int64_t n = workers->n < 1 ? 1 : workers->n > run->max_workers ? run->max_workers : workers->n;
    if (n != run->n_wanted && run->intent == RUN_GO_ON && !run->finished) {
        journal_log(run->job, LOG_LEVEL_INFO,
                    "AUTOTUNE: %lld workers instead of %lld, prefetch %lld: %s", (long long)n,
                    (long long)run->n_wanted, (long long)workers->prefetch,
                    workers->reason != NULL ? workers->reason : "");
        run->n_wanted = n;
        run_workers_apply(run);
    }
}

static void on_quarantined(void *context, int64_t seq, int status)
{
    struct daemon *daemon = ((struct job *)context)->daemon;
    struct run *run = ((struct job *)context)->run;
    const struct msg_child_seq body = {.seq = seq};
    if (status < 0) {
        log_put(daemon->log, LOG_LEVEL_ERROR, "a bad sample cannot be recorded",
                LOG_NUMBER("code", status));
        if (run != NULL && run->outcome.code == 0) {
            err_set(&run->outcome, status, "a bad sample cannot be recorded");
            run->paused = status == ERR_NO_SPACE;
            run_stop(run, RUN_GO_ON);
        }
        return;
    }
    if (run != NULL && run->trainer != NULL) {
        process_send(run->trainer, MSG_CHILD_QUARANTINED, &body, NULL, NULL);
    }
}

static void take_ready(struct run *run, const struct msg_child_ready *ready)
{
    run->trainer_ready = true;
    if (run->job->state == JOB_ADAPTING) {
        jobs_step(run->job, JOB_EVENT_READY, NULL, NULL);
    }
    if (ready->sandbox != NULL && run->sandbox && !strcmp(ready->sandbox, "off")) {
        journal_log(run->job, LOG_LEVEL_WARNING, "the trainer runs without a sandbox");
    }
    run_workers_go(run);
}

static void take_result(struct run *run, const struct msg_child_result *result)
{
    struct buf text;
    buf_init(&text);
    doc_write_json(result->result, 0, &text);
    run->job->result = arena_strdup(&run->job->arena, text.data);
    buf_fini(&text);
    run->finished = true;
    run_workers_kill_all(run);
}

static void take_log(struct run *run, const struct msg_child_log *line)
{
    journal_log(run->job,
                (enum log_level)(line->level >= 0 && line->level <= LOG_LEVEL_DEBUG
                                     ? line->level
                                     : LOG_LEVEL_INFO),
                "%s", line->text != NULL ? line->text : "");
}

static void take_paused(struct run *run, const struct msg_child_paused *paused)
{
    if (run->intent != RUN_GO_ON || run->outcome.code != 0) {
        return; /* it only says that it did what we asked for */
    }
    run->paused = true;
    err_set(&run->outcome, paused->code < 0 ? (int)paused->code : ERR_INTERNAL, "%s",
            paused->text != NULL ? paused->text : "");
}

static void on_message(struct process *process, const struct msg *msg, void *context)
{
    struct run *run = context;
    if (msg->type == MSG_CHILD_PROGRESS) {
        take_progress(run, msg->body);
    } else if (msg->type == MSG_CHILD_READY) {
        take_ready(run, msg->body);
    } else if (msg->type == MSG_CHILD_EPOCH) {
        journal_epoch(run->job, msg->body);
        jobs_save(run->job);
    } else if (msg->type == MSG_CHILD_CHECKPOINT) {
        journal_checkpoint(run->job, msg->body);
        jobs_save(run->job);
    } else if (msg->type == MSG_CHILD_WORKERS) {
        take_workers(run, msg->body);
    } else if (msg->type == MSG_CHILD_KILL) {
        run_workers_lease(run, msg->body);
    } else if (msg->type == MSG_CHILD_QUARANTINE) {
        journal_quarantine(run->job, msg->body, on_quarantined, run->job);
    } else if (msg->type == MSG_CHILD_LOG) {
        take_log(run, msg->body);
    } else if (msg->type == MSG_CHILD_RESULT) {
        take_result(run, msg->body);
    } else if (msg->type == MSG_CHILD_PAUSED) {
        take_paused(run, msg->body);
    } else if (msg->type == MSG_CHILD_FAILED && run->outcome.code == 0) {
        run->outcome = process->failure;
    }
}

/* ---- the end
 * ------------------------------------------------------------------------------------------------
 */

static void on_closed(uv_handle_t *handle)
{
    struct run *run = handle->data;
    if (--run->n_open > 0) {
        return;
    }
    fds_fini(&run->worker_fds);
    fds_fini(&run->trainer_fds);
    arena_fini(&run->arena);
    free(run);
}

/* A folder of its own for the data socket: the trainer may make files in it, and nowhere near the
 * control socket. */
static int make_socket_folder(struct run *run, struct err *err)
{
    char name[32];
    snprintf(name, sizeof(name), "j%lld", (long long)run->job->number);
    mkdirat(run->daemon->run_fd, name, 0700);
    unlink(run->address + strlen("ipc://"));
    return faccessat(run->daemon->run_fd, name, W_OK, 0) == 0
               ? 0
               : err_set(err, ERR_IO, "make the folder %s", run->address);
}

static void close_socket_folder(struct run *run)
{
    char name[32];
    snprintf(name, sizeof(name), "j%lld", (long long)run->job->number);
    unlink(run->address + strlen("ipc://"));
    unlinkat(run->daemon->run_fd, name, AT_REMOVEDIR);
}

static void close_run(struct run *run)
{
    run->settled = true;
    run->job->run = NULL;
    close_socket_folder(run);
    run->timer.data = run;
    uv_close((uv_handle_t *)&run->timer, on_closed);
    run_workers_close(run, on_closed);
}

/* Where the job goes now that nobody runs for it. */
static void leave(struct run *run)
{
    struct job *job = run->job;
    struct err reason = run->outcome;
    bool retry = false;
    close_run(run);
    if (run->intent == RUN_CANCEL) {
        err_set(&reason, ERR_CANCELLED, "cancelled by a client");
        jobs_step(job, JOB_EVENT_CANCEL, &reason, NULL);
    } else if (run->finished) {
        schedule_retry_stop(job);
        jobs_step(job, JOB_EVENT_FINISH, NULL, NULL);
    } else if (run->paused) {
        retry = reason.code == ERR_NO_SPACE;
        jobs_step(job, JOB_EVENT_PAUSE, &reason, NULL);
    } else if (reason.code != 0) {
        jobs_step(job, JOB_EVENT_FAIL, &reason, NULL);
    } else if (run->intent == RUN_PAUSE) {
        err_set(&reason, ERR_CANCELLED, "paused by a client");
        jobs_step(job, JOB_EVENT_PAUSE, &reason, NULL);
    } else {
        jobs_save(job); /* the daemon stops: it goes on at the next start */
    }
    job->agreed = false;
    if (retry && !job->daemon->stopping) {
        schedule_retry(job);
    }
    schedule_kick(job->daemon);
}

static int start_trainer(struct run *run, struct err *err);

static void on_restart(uv_timer_t *timer)
{
    struct run *run = timer->data;
    struct err err = {0};
    if (run->trainer == NULL && run->intent == RUN_GO_ON && start_trainer(run, &err) < 0) {
        run->outcome = err;
        run_settle(run);
    }
}

/* The trainer died by itself: again from its newest checkpoint, with growing pauses, unless it
 * never gets anywhere. */
static void restart(struct run *run)
{
    const struct role_desc *role = &role_table[ROLE_TRAINER];
    struct job *job = run->job;
    run->trainer_restarts++;
    job->restarts++;
    if (run->fruitless > role->burst) {
        err_set(&run->outcome, ERR_JOB_FAILED,
                "the trainer ended %lld times without finishing a step: %s",
                (long long)run->fruitless, run->trainer_reason);
        leave(run);
        return;
    }
    run->trainer_wait_ms =
        run->fruitless == 0 ? role->delay_ms : run->trainer_wait_ms * 2 + role->delay_ms;
    run->trainer_wait_ms =
        run->trainer_wait_ms > role->delay_max_ms ? role->delay_max_ms : run->trainer_wait_ms;
    jobs_step(job, JOB_EVENT_RESTART, NULL, NULL);
    uv_timer_start(&run->timer, on_restart, (uint64_t)run->trainer_wait_ms, 0);
}

void run_settle(struct run *run)
{
    if (run->settled || run->trainer != NULL || run_workers_alive(run) ||
        uv_is_active((uv_handle_t *)&run->timer)) {
        return;
    }
    if (run->intent == RUN_GO_ON && !run->finished && !run->paused && run->outcome.code == 0) {
        restart(run);
    } else {
        leave(run);
    }
}

static void on_end(struct process *process, void *context)
{
    struct run *run = context;
    process_end_text(process, run->trainer_reason, sizeof(run->trainer_reason));
    run->trainer_end = process_end_name(process->end);
    run->trainer = NULL;
    run->trainer_ready = false;
    uv_timer_stop(&run->timer);
    /* A result counts only from a trainer that ended well; the checkpoint is there, so doing it
     * again costs little. */
    if (run->finished && (process->term_signal != 0 || process->exit_status != 0) &&
        process->end != PROCESS_STOPPED) {
        run->finished = false;
    }
    if (!run->finished && !run->paused && run->outcome.code == 0 && run->intent == RUN_GO_ON) {
        run->fruitless++;
        run->daemon->counters[COUNT_TRAINERS_DIED]++;
        journal_log(run->job, LOG_LEVEL_WARNING, "the trainer (pid %d) ended: %s", process->pid,
                    run->trainer_reason);
    }
    run_workers_kill_all(run);
    run_settle(run);
}

static void on_grace(uv_timer_t *timer)
{
    struct run *run = timer->data;
    if (run->trainer != NULL) {
        journal_log(run->job, LOG_LEVEL_WARNING, "the trainer does not end and is killed");
        process_kill(run->trainer, PROCESS_TIMEOUT);
    }
}

void run_stop(struct run *run, enum run_intent intent)
{
    const struct msg_child_stop stop = {.reason = intent == RUN_CANCEL ? "cancel" : "checkpoint"};
    if (intent != RUN_GO_ON && !(run->intent == RUN_CANCEL && intent == RUN_PAUSE)) {
        run->intent = intent;
    }
    uv_timer_stop(&run->timer);
    if (run->trainer == NULL) {
        run_workers_kill_all(run);
        run_settle(run);
        return;
    }
    if (!run->trainer_ready || process_send(run->trainer, MSG_CHILD_STOP, &stop, NULL, NULL) < 0) {
        process_kill(run->trainer, PROCESS_STOPPED); /* nothing to save yet */
        return;
    }
    uint64_t grace_s = intent == RUN_CANCEL ? 5 : (uint64_t)run->daemon->settings->stop_seconds;
    uv_timer_start(&run->timer, on_grace, grace_s * 1000, 0);
}

void run_starve(struct run *run, const struct err *why)
{
    if (run->intent != RUN_GO_ON || run->finished || run->outcome.code != 0) {
        return;
    }
    run->outcome = *why;
    run->paused = true;
    run->daemon->counters[COUNT_FEED_PAUSES]++;
    run_stop(run, RUN_GO_ON);
}

/* ---- the start
 * ---------------------------------------------------------------------------------------------- */

static int64_t count_processors(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}

static int64_t bound(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

int64_t run_slabs(const struct daemon *daemon, int64_t slab_bytes, int64_t prefetch)
{
    const int64_t fit = daemon->settings->slab_memory_bytes / (slab_bytes > 0 ? slab_bytes : 1);
    return bound(bound(prefetch > 0 ? prefetch + 2 : SLABS_AUTO, SLABS_MIN, SLABS_MAX), 0, fit);
}

/* At its greatest size from the start, so that a worker that comes later inherits all of it. The
 * trainer reserves the memory. */
static int make_slab(struct run *run, struct err *err)
{
    const struct doc *plan = run->job->plan;
    int64_t slab_bytes = doc_int(plan, "slab_bytes", 0);
    int64_t prefetch = 0;
    const struct doc *train = doc_find(plan, "streams.train");
    if (train != NULL) {
        prefetch = doc_int(train, "prefetch", 0);
    }
    if (slab_bytes <= 0) {
        return err_set(err, ERR_INTERNAL, "the plan of job %s has no slab_bytes", run->job->id);
    }
    run->n_slabs = run_slabs(run->daemon, slab_bytes, prefetch);
    if (run->n_slabs < SLABS_MIN) {
        return err_set(
            err, ERR_LIMIT,
            "a batch has %lld bytes, %d of them do not fit into slab_memory_bytes = %lld",
            (long long)slab_bytes, SLABS_MIN, (long long)run->daemon->settings->slab_memory_bytes);
    }
    int fd = -1;
    int rc = run->inline_rows ? 0 : slab_create(run->n_slabs, (size_t)slab_bytes, &fd, err);
    if (rc >= 0 && fd >= 0) {
        rc = fds_add(&run->worker_fds, "slab", fd, true, err);
    }
    return rc >= 0 && fd >= 0 ? fds_add(&run->trainer_fds, "slab", fd, false, err) : rc;
}

/* One memory file for both roles. */
static int add_text(struct run *run, const char *name, const char *text, size_t size,
                    struct err *err)
{
    int fd = -1;
    int rc = fds_memory(name, text, size, &fd, err);
    if (rc >= 0) {
        rc = fds_add(&run->worker_fds, name, fd, true, err);
    }
    return rc >= 0 ? fds_add(&run->trainer_fds, name, fd, false, err) : rc;
}

static int add_files(struct run *run, struct err *err)
{
    struct buf text;
    int folder = -1;
    buf_init(&text);
    int rc = jobs_folder(run->job, &folder, err);
    if (rc >= 0) {
        rc = fds_add(&run->trainer_fds, "jobdir", folder, true, err);
    }
    if (rc >= 0) {
        rc = file_read(folder, "job.json", JOB_TEXT_MAX, &text, err);
    }
    if (rc >= 0) {
        rc = add_text(run, "job", text.data, text.size, err);
    }
    if (rc >= 0) {
        buf_clear(&text);
        doc_write_json(run->job->plan, 0, &text);
        rc = add_text(run, "plan", text.data, text.size, err);
    }
    int model = rc >= 0 && run->job->from != NULL
                    ? openat(folder, "from.keras", O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
                    : -1;
    if (model >= 0) {
        rc = fds_add(&run->trainer_fds, "model", model, true, err);
    }
    if (rc >= 0) {
        rc = fds_add_pins(&run->worker_fds, run->daemon, run->job->pins, run->job->n_pins,
                          &run->arena, err);
    }
    buf_fini(&text);
    return rc;
}

static int start_trainer(struct run *run, struct err *err)
{
    run->trainer_ready = false;
    run->first_step = -1;
    run->ticks = -1;
    int rc = process_start(run->daemon, ROLE_TRAINER, run->threads, on_message, on_end, run,
                           &run->trainer, err);
    if (rc < 0) {
        run->trainer = NULL;
        return rc;
    }
    run->daemon->counters[COUNT_TRAINERS_STARTED]++;
    run_workers_apply(run); /* their programs load while the trainer compiles the model */
    return run_send_start(run, run->trainer, &run->trainer_fds, 0, 0, err);
}

static struct run *new_run(struct job *job)
{
    struct run *run = calloc(1, sizeof(*run));
    BUG_ON(run == NULL);
    struct daemon *daemon = job->daemon;
    const struct doc *settings = job->settings;
    int64_t workers = settings != NULL ? doc_int(settings, "workers", 0) : 0;
    int64_t most = settings != NULL ? doc_int(settings, "max_workers", 0) : 0;
    arena_init(&run->arena);
    run->daemon = daemon;
    run->job = job;
    run->sandbox = daemon->settings->sandbox;
    run->inline_rows = settings != NULL && doc_bool(settings, "inline", false);
    run->threads = settings != NULL ? doc_int(settings, "threads", 0) : 0;
    run->max_workers = bound(most > 0      ? most
                             : workers > 0 ? workers
                                           : count_processors(),
                             1, SLAB_WORKERS_MAX);
    run->n_wanted = bound(workers > 0 ? workers : 1, 1, run->max_workers);
    run->trainer_end = "";
    snprintf(run->address, sizeof(run->address), "ipc://%s/j%lld/data", daemon->settings->run_dir,
             (long long)job->number);
    uv_timer_init(daemon->loop, &run->timer);
    run->timer.data = run;
    run->n_open = 1;
    run_workers_init(run);
    return run;
}

void run_start(struct job *job)
{
    struct err err = {0};
    struct run *run = new_run(job);
    job->run = run;
    jobs_step(job, JOB_EVENT_START, NULL, NULL);
    int rc = make_socket_folder(run, &err);
    if (rc >= 0) {
        rc = make_slab(run, &err);
    }
    if (rc >= 0) {
        rc = add_files(run, &err);
    }
    if (rc >= 0) {
        rc = start_trainer(run, &err);
    }
    if (rc < 0) {
        run->outcome = err;
        run->paused = err.code == ERR_NO_SPACE;
        run_stop(run, RUN_GO_ON);
    }
}

/* ---- looking
 * ------------------------------------------------------------------------------------------------
 */

void run_write(const struct run *run, struct doc *list, struct arena *arena)
{
    doc_set_list(list);
    if (run == NULL) {
        return;
    }
    struct doc *map = doc_push(list, arena);
    doc_set_map(map);
    doc_put_int(map, arena, "worker", 0);
    doc_put_str(map, arena, "role", role_table[ROLE_TRAINER].name);
    doc_put_int(map, arena, "pid", run->trainer != NULL ? run->trainer->pid : 0);
    doc_put_str(map, arena, "state",
                run->trainer == NULL ? "waiting"
                : run->trainer_ready ? "ready"
                                     : "starting");
    doc_put_int(map, arena, "restarts", run->trainer_restarts);
    doc_put_str(map, arena, "end", run->trainer_end);
    doc_put_str(map, arena, "reason", run->trainer_reason);
    run_workers_write(run, list, arena);
}

/* Silent and idle for so long means hung (stopped, or waiting for what never comes); a long
 * computation uses the processor. Threads that only look around use less than IDLE_SHARE of it. */
void run_watch(struct run *run)
{
    int64_t limit_us = run->daemon->settings->hang_seconds * 1000000;
    int64_t now_us = clock_us();
    if (run->trainer == NULL || limit_us == 0) {
        return;
    }
    if (run->ticks < 0 || run->ticks_us < run->trainer->heard_us) {
        run->ticks = process_ticks(run->trainer);
        run->ticks_us = now_us;
        return;
    }
    if (now_us - run->ticks_us < limit_us) {
        return;
    }
    int64_t ticks = process_ticks(run->trainer);
    int64_t used_us = (ticks - run->ticks) * (1000000 / sysconf(_SC_CLK_TCK));
    if (used_us * IDLE_SHARE < now_us - run->ticks_us) {
        journal_log(run->job, LOG_LEVEL_WARNING, "the trainer hangs and is killed (hang_seconds)");
        process_kill(run->trainer, PROCESS_WATCHDOG);
    }
    run->ticks = ticks;
    run->ticks_us = now_us;
}
