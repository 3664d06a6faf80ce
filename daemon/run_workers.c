#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/journal.h"
#include "daemon/run_impl.h"

enum { EARLY_DEATHS_MAX = 8 }; /* about three seconds of pauses */

static void on_timer(uv_timer_t *timer);

void run_workers_init(struct run *run)
{
    for (int i = 0; i < SLAB_WORKERS_MAX; i++) {
        struct run_worker *worker = &run->workers[i];
        worker->number = i + 1;
        worker->run = run;
        worker->end = "";
        uv_timer_init(run->daemon->loop, &worker->timer);
        worker->timer.data = worker;
        run->n_open++;
    }
}

bool run_workers_alive(const struct run *run)
{
    bool alive = false;
    for (int i = 0; i < SLAB_WORKERS_MAX; i++) {
        alive = alive || run->workers[i].process != NULL;
    }
    return alive;
}

static void tell(struct run_worker *worker, const char *state)
{
    struct arena arena;
    arena_init(&arena);
    struct doc *map = doc_new(&arena);
    doc_set_map(map);
    doc_put_int(map, &arena, "worker", worker->number);
    doc_put_int(map, &arena, "pid", worker->process != NULL ? worker->process->pid : 0);
    doc_put_str(map, &arena, "state", state);
    doc_put_str(map, &arena, "reason", worker->reason);
    journal_put(worker->run->job, "workers", map);
    arena_fini(&arena);
}

static void tell_trainer(struct run_worker *worker, enum msg_id type, int pid)
{
    struct run *run = worker->run;
    const struct msg_child_worker body = {
        .worker = worker->number, .pid = pid, .reason = worker->reason};
    if (run->trainer != NULL && run->trainer_ready) {
        process_send(run->trainer, type, &body, NULL, NULL);
    }
}

/* What a worker gets once the trainer listens: before that its connection would fail. */
static void give_start(struct run_worker *worker)
{
    struct run *run = worker->run;
    struct err err = {0};
    worker->started = true;
    tell_trainer(worker, MSG_CHILD_WORKER_NEW, worker->process->pid);
    if (run_send_start(run, worker->process, &run->worker_fds, worker->number,
                       run->daemon->settings->worker_memory_bytes, &err) < 0) {
        log_err(run->daemon->log, LOG_LEVEL_WARNING, "a worker cannot be started", &err);
        process_kill(worker->process, PROCESS_STOPPED);
    }
}

static void on_message(struct process *process, const struct msg *msg, void *context)
{
    struct run_worker *worker = context;
    struct run *run = worker->run;
    if (msg->type == MSG_CHILD_READY) {
        const struct msg_child_ready *ready = msg->body;
        worker->early_deaths = 0;
        worker->wait_ms = 0;
        tell(worker, "ready");
        if (ready->sandbox != NULL && run->sandbox && !strcmp(ready->sandbox, "off")) {
            journal_log(run->job, LOG_LEVEL_WARNING, "worker %lld runs without a sandbox",
                        (long long)worker->number);
        }
    } else if (msg->type == MSG_CHILD_LOG) {
        const struct msg_child_log *line = msg->body;
        journal_log(
            run->job, (enum log_level)(line->level >= 0 && line->level <= 3 ? line->level : 2),
            "worker %lld: %s", (long long)worker->number, line->text != NULL ? line->text : "");
    } else if (msg->type == MSG_CHILD_FAILED) {
        journal_log(run->job, LOG_LEVEL_WARNING, "worker %lld: %s", (long long)worker->number,
                    process->failure.text);
    }
}

static void start_worker(struct run_worker *worker);

/* A worker that ends before it was ready is started again with growing pauses, and after too many
 * the job fails; one that was ready is replaced at once: the trainer decides which sample is to
 * blame. */
static void plan_restart(struct run_worker *worker, bool was_ready)
{
    struct run *run = worker->run;
    const struct role_desc *role = &role_table[ROLE_WORKER];
    worker->restarts++;
    worker->early_deaths = was_ready ? 0 : worker->early_deaths + 1;
    if (worker->early_deaths > EARLY_DEATHS_MAX || worker->early_deaths > role->burst) {
        if (run->outcome.code == 0) {
            err_set(&run->outcome, ERR_JOB_FAILED,
                    "worker %lld ended %lld times before it was ready: %s",
                    (long long)worker->number, (long long)worker->early_deaths, worker->reason);
        }
        run_stop(run, RUN_GO_ON);
        return;
    }
    worker->wait_ms = was_ready ? role->delay_ms : worker->wait_ms * 2 + 10;
    worker->wait_ms = worker->wait_ms > role->delay_max_ms ? role->delay_max_ms : worker->wait_ms;
    if (worker->wait_ms == 0) {
        start_worker(worker);
    } else {
        uv_timer_start(&worker->timer, on_timer, (uint64_t)worker->wait_ms, 0);
    }
}

static void on_end(struct process *process, void *context)
{
    struct run_worker *worker = context;
    struct run *run = worker->run;
    bool ready = process->ready;
    bool told = worker->started;
    process_end_text(process, worker->reason, sizeof(worker->reason));
    worker->end = process_end_name(process->end);
    worker->process = NULL;
    worker->started = false;
    worker->leaving = false;
    uv_timer_stop(&worker->timer);
    if (process->end != PROCESS_STOPPED) {
        run->daemon
            ->counters[process->end == PROCESS_LEASE ? COUNT_WORKERS_KILLED : COUNT_WORKERS_DIED]++;
    }
    if (told) {
        tell_trainer(worker, MSG_CHILD_WORKER_GONE,
                     process->pid); /* reaped: only now its slabs may be used again */
    }
    if (run->trainer != NULL && run->intent == RUN_GO_ON && run->outcome.code == 0 &&
        !run->finished) {
        if (process->end != PROCESS_STOPPED) {
            log_put(run->daemon->log, LOG_LEVEL_WARNING, "a worker ended",
                    LOG_TEXT("job", run->job->id), LOG_NUMBER("worker", worker->number),
                    LOG_NUMBER("pid", process->pid), LOG_TEXT("reason", worker->reason));
        }
        tell(worker, "gone");
        if (worker->wanted) {
            plan_restart(worker, ready);
        }
    }
    run_settle(run);
}

static void start_worker(struct run_worker *worker)
{
    struct run *run = worker->run;
    struct err err = {0};
    if (process_start(run->daemon, ROLE_WORKER, 1, on_message, on_end, worker, &worker->process,
                      &err) < 0) {
        snprintf(worker->reason, sizeof(worker->reason), "%.150s", err.text);
        worker->end = "start";
        worker->process = NULL;
        plan_restart(worker, false);
        return;
    }
    worker->process->job = run->job;
    run->daemon->counters[COUNT_WORKERS_STARTED]++;
    if (run->trainer_ready) {
        give_start(worker);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct run_worker *worker = timer->data;
    if (worker->process != NULL && worker->leaving) {
        process_kill(worker->process, PROCESS_STOPPED);
    } else if (worker->process == NULL && worker->wanted && worker->run->trainer != NULL &&
               worker->run->intent == RUN_GO_ON) {
        start_worker(worker);
    }
}

static void ask_to_leave(struct run_worker *worker)
{
    const struct msg_child_stop stop = {.reason = "cancel"};
    worker->leaving = true;
    snprintf(worker->reason, sizeof(worker->reason), "not needed");
    if (worker->process->end == PROCESS_RUNS) {
        worker->process->end = PROCESS_STOPPED;
    }
    if (!worker->started || process_send(worker->process, MSG_CHILD_STOP, &stop, NULL, NULL) < 0) {
        process_kill(worker->process, PROCESS_STOPPED);
        return;
    }
    uv_timer_start(&worker->timer, on_timer, (uint64_t)role_table[ROLE_WORKER].grace_s * 1000, 0);
}

void run_workers_apply(struct run *run)
{
    for (int i = 0; i < SLAB_WORKERS_MAX; i++) {
        struct run_worker *worker = &run->workers[i];
        bool wanted = worker->number <= run->n_wanted;
        if (wanted && !worker->wanted && worker->process == NULL) {
            worker->wanted = true;
            start_worker(worker);
        } else if (!wanted && worker->wanted && worker->process != NULL) {
            ask_to_leave(worker);
        }
        worker->wanted = wanted;
    }
}

void run_workers_go(struct run *run)
{
    for (int i = 0; i < SLAB_WORKERS_MAX; i++) {
        if (run->workers[i].process != NULL && !run->workers[i].started) {
            give_start(&run->workers[i]);
        }
    }
}

void run_workers_kill_all(struct run *run)
{
    for (int i = 0; i < SLAB_WORKERS_MAX; i++) {
        struct run_worker *worker = &run->workers[i];
        worker->wanted = false;
        uv_timer_stop(&worker->timer);
        if (worker->process != NULL) {
            process_kill(worker->process, PROCESS_STOPPED);
        }
    }
}

void run_workers_lease(struct run *run, const struct msg_child_worker *message)
{
    if (message->worker < 1 || message->worker > SLAB_WORKERS_MAX) {
        return;
    }
    struct run_worker *worker = &run->workers[message->worker - 1];
    if (worker->process == NULL || (message->pid != 0 && worker->process->pid != message->pid)) {
        return; /* it is gone already; child.worker_gone is on its way */
    }
    journal_log(run->job, LOG_LEVEL_WARNING, "worker %lld (pid %d) is killed: %s",
                (long long)worker->number, worker->process->pid,
                message->reason != NULL ? message->reason : "its lease expired");
    process_kill(worker->process, PROCESS_LEASE);
}

void run_workers_write(const struct run *run, struct doc *list, struct arena *arena)
{
    for (int i = 0; i < SLAB_WORKERS_MAX; i++) {
        const struct run_worker *worker = &run->workers[i];
        if (worker->process == NULL && !worker->wanted) {
            continue;
        }
        struct doc *map = doc_push(list, arena);
        doc_set_map(map);
        doc_put_int(map, arena, "worker", worker->number);
        doc_put_str(map, arena, "role", role_table[ROLE_WORKER].name);
        doc_put_int(map, arena, "pid", worker->process != NULL ? worker->process->pid : 0);
        doc_put_str(map, arena, "state",
                    worker->process == NULL  ? "waiting"
                    : worker->leaving        ? "leaving"
                    : worker->process->ready ? "ready"
                                             : "starting");
        doc_put_int(map, arena, "restarts", worker->restarts);
        doc_put_str(map, arena, "end", worker->end);
        doc_put_str(map, arena, "reason", worker->reason);
    }
}

void run_workers_close(struct run *run, uv_close_cb closed)
{
    for (int i = 0; i < SLAB_WORKERS_MAX; i++) {
        run->workers[i].timer.data = run;
        uv_close((uv_handle_t *)&run->workers[i].timer, closed);
    }
}
