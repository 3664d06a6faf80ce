#include "daemon/prepare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "proto/slab.h"

struct prepare_worker {
    struct prepare *prepare;
    struct process *process; /* NULL when not alive */
    int64_t number, part;    /* part: begun last; -1 = none */
    int64_t ticks, ticks_us; /* of its processor time, when it was looked at */
    bool is_done;
};
struct prepare {
    struct daemon *daemon;
    struct prepare_input input;
    struct arena arena;
    struct prepare_worker workers[SLAB_WORKERS_MAX];
    int64_t n_workers, made, fruitless; /* fruitless: deaths since a part was made */
    bool stopping, starting;
    struct err failure;
};

static bool is_alive(const struct prepare *prepare)
{
    bool alive = prepare->starting;
    for (int64_t i = 0; i < prepare->n_workers; i++) {
        alive = alive || prepare->workers[i].process != NULL;
    }
    return alive;
}

static void settle(struct prepare *prepare)
{
    if (is_alive(prepare)) {
        return;
    }
    prepare->input.done(prepare->input.context, &prepare->failure);
    arena_fini(&prepare->arena);
    free(prepare);
}

static void kill_all(struct prepare *prepare)
{
    for (int64_t i = 0; i < prepare->n_workers; i++) {
        if (prepare->workers[i].process != NULL) {
            process_kill(prepare->workers[i].process, PROCESS_STOPPED);
        }
    }
}

/* The first error counts. */
static void give_up(struct prepare *prepare, const struct err *err)
{
    if (prepare->failure.code == 0) {
        prepare->failure = *err;
    }
    prepare->stopping = true;
    kill_all(prepare);
}

void prepare_stop(struct prepare *prepare)
{
    struct err err = {0};
    err_set(&err, ERR_CANCELLED, "it is not wanted any more");
    give_up(prepare, &err);
}

static void on_message(struct process *process, const struct msg *msg, void *context)
{
    struct prepare_worker *worker = context;
    struct prepare *prepare = worker->prepare;
    if (msg->type == MSG_CHILD_FAILED) {
        give_up(prepare, &process->failure);
    } else if (msg->type == MSG_CHILD_RESULT) {
        worker->is_done = true;
    } else if (msg->type == MSG_CHILD_PART) {
        const struct msg_child_part *part = msg->body;
        worker->part = part->made ? -1 : part->part;
        if (part->made && prepare->made < prepare->input.parts) {
            prepare->made++;
            prepare->fruitless = 0;
            prepare->input.tell(prepare->input.context, prepare->made);
        }
    }
}

static void start_worker(struct prepare_worker *worker);

/* Its claim went with it: it, or another one, makes the part again. */
static void on_death(struct prepare_worker *worker, const struct process *process)
{
    struct prepare *prepare = worker->prepare;
    char why[160];
    struct err err = {0};
    process_end_text(process, why, sizeof(why));
    prepare->daemon->counters[COUNT_WORKERS_DIED]++;
    log_put(prepare->daemon->log, LOG_LEVEL_WARNING, "a worker ended",
            LOG_TEXT("job", prepare->input.job), LOG_NUMBER("pid", process->pid),
            LOG_TEXT("reason", why));
    if (++prepare->fruitless <= role_table[ROLE_WORKER].burst) {
        start_worker(worker);
        return;
    }
    const int64_t first = worker->part * prepare->input.part_elements;
    if (worker->part >= 0) {
        err_set(&err, ERR_JOB_FAILED,
                "workers that make %s died %lld times, the last at elements %lld to %lld: %s",
                prepare->input.what, (long long)prepare->fruitless, (long long)first,
                (long long)(first + prepare->input.part_elements - 1), why);
    } else {
        err_set(&err, ERR_JOB_FAILED, "workers that make %s died %lld times: %s",
                prepare->input.what, (long long)prepare->fruitless, why);
    }
    give_up(prepare, &err);
}

static void on_end(struct process *process, void *context)
{
    struct prepare_worker *worker = context;
    worker->process = NULL;
    if (!worker->prepare->stopping && (!worker->is_done || process->exit_status != 0)) {
        on_death(worker, process);
    }
    settle(worker->prepare);
}

static int send_start(struct prepare *prepare, struct prepare_worker *worker, struct err *err)
{
    const struct settings *limits = prepare->daemon->settings;
    struct msg_child_start start;
    opt_defaults(msg_child_start_options, &start, &prepare->arena);
    struct doc *settings = doc_new(&prepare->arena);
    doc_set_map(settings);
    doc_put_bool(settings, &prepare->arena, "sandbox", limits->sandbox);
    doc_put_int(settings, &prepare->arena, "memory_bytes", limits->worker_memory_bytes);
    start.mode = "prepare";
    start.job = prepare->input.job;
    start.worker = worker->number;
    start.max_workers = prepare->n_workers;
    start.settings = settings;
    return fds_send_start(prepare->input.fds, worker->process, &start, err);
}

static void start_worker(struct prepare_worker *worker)
{
    struct prepare *prepare = worker->prepare;
    struct err err = {0};
    worker->part = -1;
    worker->ticks = -1;
    worker->is_done = false;
    if (process_start(prepare->daemon, ROLE_WORKER, 1, on_message, on_end, worker, &worker->process,
                      &err) < 0) {
        worker->process = NULL;
        give_up(prepare, &err);
        return;
    }
    prepare->daemon->counters[COUNT_WORKERS_STARTED]++;
    if (send_start(prepare, worker, &err) < 0) {
        give_up(prepare, &err);
    }
}

void prepare_start(struct daemon *daemon, const struct prepare_input *input, struct prepare **ret)
{
    struct prepare *prepare = calloc(1, sizeof(*prepare));
    BUG_ON(prepare == NULL);
    arena_init(&prepare->arena);
    prepare->daemon = daemon;
    prepare->input = *input;
    prepare->made = input->made;
    const int64_t left = input->parts - input->made;
    prepare->n_workers = input->workers < left ? input->workers : left;
    prepare->n_workers = prepare->n_workers < 1                  ? 1
                         : prepare->n_workers > SLAB_WORKERS_MAX ? SLAB_WORKERS_MAX
                                                                 : prepare->n_workers;
    *ret = prepare;
    prepare->starting = true;
    for (int64_t i = 0; i < prepare->n_workers && !prepare->stopping; i++) {
        prepare->workers[i] = (struct prepare_worker){.prepare = prepare, .number = i + 1};
        start_worker(&prepare->workers[i]);
    }
    prepare->starting = false;
    settle(prepare);
}

void prepare_watch(struct prepare *prepare)
{
    const int64_t limit_us = prepare->daemon->settings->hang_seconds * 1000000;
    const int64_t now_us = clock_us();
    for (int64_t i = 0; i < prepare->n_workers && limit_us > 0; i++) {
        struct prepare_worker *worker = &prepare->workers[i];
        if (worker->process == NULL) {
            continue;
        }
        const int64_t ticks = process_ticks(worker->process);
        if (ticks != worker->ticks || worker->ticks_us < worker->process->heard_us) {
            worker->ticks = ticks;
            worker->ticks_us = now_us;
        } else if (now_us - worker->ticks_us > limit_us) {
            process_kill(worker->process, PROCESS_WATCHDOG);
        }
    }
}
