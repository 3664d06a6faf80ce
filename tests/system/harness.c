#include "tests/system/harness.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/system/harness_impl.h"

enum { TICK_MS = 20, RUN_MS = 300000 };
static const char worker_program[] = "workers/millrace-worker",
                  trainer_program[] = "trainer/millrace-trainer";

/* ---- making a job
 * ------------------------------------------------------------------------------------------- */

void harness_open(struct harness *harness, const char *shared)
{
    *harness = (struct harness){.plan_fd = -1, .job_fd = -1, .slab_fd = -1, .job_dir_fd = -1};
    arena_init(&harness->arena);
    test_dir_make(harness->dir);
    harness_store_make(harness, shared);
}

static struct doc *settings(struct harness *harness, bool is_trainer)
{
    struct doc *map = doc_new(&harness->arena);
    doc_set_map(map);
    doc_put_bool(map, &harness->arena, "sandbox", harness->options.sandbox);
    if (is_trainer) {
        doc_put_int(map, &harness->arena, "lease_ms",
                    harness->options.lease_ms > 0 ? harness->options.lease_ms : 2000);
        double share = harness->options.checkpoint_share;
        doc_put_float(map, &harness->arena, "checkpoint_share", share > 0 ? share : 0.01);
    }
    return map;
}

static struct doc *read_job(struct harness *harness)
{
    struct doc *job = NULL;
    struct err err = {0};
    int rc = doc_read_json(harness->options.job, strlen(harness->options.job), &doc_limits_default,
                           &harness->arena, &job, &err);
    ck_assert_msg(rc == 0, "the test's job: line %d: %s", err.line, err.text);
    return job;
}

static const struct doc *check(struct harness *harness, const char *program, int plan_fd)
{
    static const char *const names[] = {"job", "blobs", "manifest:digits", "plan"};
    struct child_fds fds = {
        .n = plan_fd >= 0 ? 4 : 3,
        .fd = {harness->job_fd, harness->blobs_fd, harness->manifest_fd, plan_fd}};
    struct msg_child_start start = {.mode = "check",
                                    .job = "job-1",
                                    .fds = {names, (size_t)fds.n},
                                    .settings = settings(harness, false)};
    const struct doc *result = NULL;
    struct err err = {0};
    int rc = harness_ask(harness, program, &start, &fds, &result, &err);
    ck_assert_msg(rc == 0, "%s --check: %s: %s", program, err.path, err.text);
    return result;
}

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
    *fd = -1;
}

void harness_plan(struct harness *harness, const struct harness_options *options)
{
    harness->options = *options;
    harness->options.n_slabs = options->n_slabs > 0 ? options->n_slabs : 6;
    close_fd(&harness->job_fd);
    close_fd(&harness->plan_fd);
    close_fd(&harness->slab_fd);
    harness->job_fd = harness_store_json("job", read_job(harness));
    const struct doc *plan = check(harness, worker_program, -1);
    harness->plan_fd = harness_store_json("plan", plan);
    check(harness, trainer_program, harness->plan_fd);
    harness->slab_bytes = (size_t)doc_int(plan, "slab_bytes", 0);
    ck_assert_uint_gt(harness->slab_bytes, 0);
    ck_assert_int_eq(
        slab_create(harness->options.n_slabs, harness->slab_bytes, &harness->slab_fd, NULL), 0);
    if (!options->same_folder) {
        harness_new_job(harness);
    }
}

void harness_new_job(struct harness *harness)
{
    close_fd(&harness->job_dir_fd);
    test_path(harness->job_dir, "%s/job-%lld", harness->dir, (long long)++harness->n_jobs);
    ck_assert_int_eq(mkdir(harness->job_dir, 0700), 0);
    harness->job_dir_fd = open(harness->job_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(harness->job_dir_fd, 0);
    test_path(harness->address, "ipc://%s/data", harness->job_dir);
}

/* ---- children
 * -----------------------------------------------------------------------------------------------
 */

static void start_trainer(struct harness *harness)
{
    static const char *const names[] = {"job", "plan", "jobdir", "slab"};
    struct child_fds fds = {
        .n = 4, .fd = {harness->job_fd, harness->plan_fd, harness->job_dir_fd, harness->slab_fd}};
    struct msg_child_start start = {.mode = "run",
                                    .job = "job-1",
                                    .address = harness->address,
                                    .max_workers = HARNESS_WORKERS_MAX,
                                    .n_slabs = harness->options.n_slabs,
                                    .fds = {names, 4},
                                    .settings = settings(harness, true)};
    const char *program =
        harness->options.trainer != NULL ? harness->options.trainer : trainer_program;
    harness->trainer_ready = false;
    harness->trainer =
        harness_child_spawn(program, &start, &fds, &harness->trainer_fd, &harness->trainer_pid_fd);
}

static int job_of_worker(struct harness *harness, int64_t number)
{
    struct doc *job = read_job(harness);
    struct doc *fit = doc_put(job, &harness->arena, "fit");
    doc_copy(fit, &harness->arena, doc_get(read_job(harness), "fit"));
    doc_put_int(fit, &harness->arena, "seed", doc_int(fit, "seed", 0) + number);
    return harness_store_json("job", job);
}

static void tell_trainer(struct harness *harness, enum msg_id type, const void *body)
{
    if (harness->trainer != 0) {
        child_send(harness->trainer_fd, type, body, NULL, NULL);
    }
}

static void start_worker(struct harness *harness, struct harness_worker *worker)
{
    static const char *const names[] = {"job", "blobs", "kept", "manifest:digits", "slab"};
    *worker = (struct harness_worker){.number = ++harness->next_number};
    int job_fd =
        harness->options.seed_by_worker ? job_of_worker(harness, worker->number) : harness->job_fd;
    struct child_fds fds = {.n = 5,
                            .fd = {job_fd, harness->blobs_fd, harness->kept_fd,
                                   harness->manifest_fd, harness->slab_fd}};
    struct msg_child_start start = {.mode = "run",
                                    .job = "job-1",
                                    .worker = worker->number,
                                    .address = harness->address,
                                    .fds = {names, 5},
                                    .settings = settings(harness, false)};
    worker->pid = harness_child_spawn(worker_program, &start, &fds, &worker->fd, &worker->pid_fd);
    if (job_fd != harness->job_fd) {
        close(job_fd);
    }
    struct msg_child_worker body = {
        .worker = worker->number, .pid = worker->pid, .reason = "started"};
    tell_trainer(harness, MSG_CHILD_WORKER_NEW, &body);
}

static void reap_worker(struct harness *harness, struct harness_worker *worker, int signal)
{
    struct msg_child_worker body = {
        .worker = worker->number, .pid = worker->pid, .reason = "ended"};
    int status = 0;
    harness_child_end(worker->pid, signal, &worker->fd, &worker->pid_fd, &status);
    if (getenv("HARNESS_VERBOSE") != NULL) {
        fprintf(stderr, "worker %lld ended, status %#x\n", (long long)worker->number,
                (unsigned)status);
    }
    worker->pid = 0;
    worker->kill_us = 0;
    harness->outcome.n_lost++;
    tell_trainer(harness, MSG_CHILD_WORKER_GONE, &body);
}

static bool is_over(const struct harness *harness)
{
    return harness->outcome.finished || harness->outcome.paused || harness->outcome.failed;
}

/* Starts and ends workers until as many live as are wanted. */
static void keep_workers(struct harness *harness)
{
    int64_t want =
        harness->options.workers > 0 ? harness->options.workers : harness->outcome.wanted;
    int n = 0;
    for (int i = 0; i < HARNESS_WORKERS_MAX; i++) {
        struct harness_worker *worker = &harness->workers[i];
        if (worker->pid != 0 && n >= want) {
            reap_worker(harness, worker, SIGKILL);
        }
        if (worker->pid == 0 && n < want && harness->trainer_ready && !is_over(harness)) {
            start_worker(harness, worker);
        }
        n += worker->pid != 0;
    }
    harness->outcome.most_workers =
        n > harness->outcome.most_workers ? n : harness->outcome.most_workers;
}

/* ---- messages of the trainer
 * -------------------------------------------------------------------------------- */

static void on_kill(struct harness *harness, const struct msg_child_worker *body)
{
    for (int i = 0; i < HARNESS_WORKERS_MAX; i++) {
        struct harness_worker *worker = &harness->workers[i];
        if (worker->pid == 0 || worker->pid != body->pid) {
            continue;
        }
        if (harness->options.kill_late_ms == 0) {
            kill(worker->pid, SIGKILL);
        } else if (worker->kill_us == 0) {
            worker->kill_us = clock_us() + harness->options.kill_late_ms * 1000LL;
            worker->continue_us = clock_us() + (int64_t)rng_below(&harness->rng, 80000);
        }
    }
}

static void on_quarantine(struct harness *harness, const struct msg_child_quarantine *body)
{
    harness->outcome.n_quarantine++;
    harness->outcome.n_convicted += body->convicted;
    snprintf(harness->outcome.path, sizeof(harness->outcome.path), "%s", body->path);
    harness->outcome.sample = body->sample;
    struct msg_child_seq seq = {.seq = body->seq};
    tell_trainer(harness, MSG_CHILD_QUARANTINED, &seq);
}

static void on_progress(struct harness *harness, const struct msg_child_progress *body)
{
    struct harness_outcome *outcome = &harness->outcome;
    outcome->n_progress++;
    outcome->global_step = body->global_step;
    outcome->wait_share = body->wait_share;
    outcome->bytes_wire = doc_int(body->counters, "bytes_wire", 0);
    outcome->batches = doc_int(body->counters, "batches", 0);
    outcome->expired = doc_int(body->counters, "leases_expired", 0);
    outcome->moved = doc_int(body->counters, "batches_moved", 0);
}

static void on_end(struct harness_outcome *outcome, const char *path, const char *text,
                   int64_t code)
{
    outcome->code = (int)code;
    snprintf(outcome->text, sizeof(outcome->text), "%s", text != NULL ? text : "");
    snprintf(outcome->path, sizeof(outcome->path), "%s", path != NULL ? path : "");
}

static void on_result(struct harness_outcome *outcome, const struct doc *result)
{
    const struct doc *metrics = doc_get(result, "metrics");
    outcome->finished = true;
    outcome->global_step = doc_int(result, "global_step", -1);
    outcome->accuracy = doc_float(metrics, "accuracy", -1);
    outcome->val_accuracy = doc_float(metrics, "val_accuracy", -1);
    snprintf(outcome->chain, sizeof(outcome->chain), "%s", doc_str(result, "chain", ""));
}

static void on_log(struct harness_outcome *outcome, const struct msg_child_log *line)
{
    size_t used = strlen(outcome->log);
    snprintf(outcome->log + used, sizeof(outcome->log) - used, "%s\n", line->text);
    if (getenv("HARNESS_VERBOSE") != NULL) {
        fprintf(stderr, "trainer: %s\n", line->text);
    }
}

static void on_message(struct harness *harness, const struct msg *msg)
{
    struct harness_outcome *outcome = &harness->outcome;
    const struct msg_error *failure = msg->body;
    const struct msg_child_paused *paused = msg->body;
    const struct msg_child_workers *workers = msg->body;
    const struct msg_child_checkpoint *checkpoint = msg->body;
    if (msg->type == MSG_CHILD_READY) {
        harness->trainer_ready = true;
    } else if (msg->type == MSG_CHILD_KILL) {
        on_kill(harness, msg->body);
    } else if (msg->type == MSG_CHILD_QUARANTINE) {
        on_quarantine(harness, msg->body);
    } else if (msg->type == MSG_CHILD_PROGRESS) {
        on_progress(harness, msg->body);
    } else if (msg->type == MSG_CHILD_EPOCH) {
        outcome->n_epochs++;
    } else if (msg->type == MSG_CHILD_CHECKPOINT) {
        outcome->n_checkpoints++;
        outcome->checkpoint_step = checkpoint->global_step;
        snprintf(outcome->tensors, sizeof(outcome->tensors), "%s", checkpoint->tensors);
    } else if (msg->type == MSG_CHILD_WORKERS) {
        outcome->wanted = workers->n;
        outcome->prefetch = workers->prefetch;
        snprintf(outcome->choice, sizeof(outcome->choice), "%s", workers->reason);
    } else if (msg->type == MSG_CHILD_RESULT) {
        on_result(outcome, ((const struct msg_child_result *)msg->body)->result);
    } else if (msg->type == MSG_CHILD_FAILED) {
        outcome->failed = true;
        on_end(outcome, failure->path, failure->text, failure->code);
    } else if (msg->type == MSG_CHILD_PAUSED) {
        outcome->paused = true;
        on_end(outcome, NULL, paused->text, paused->code);
    } else if (msg->type == MSG_CHILD_LOG) {
        on_log(outcome, msg->body);
    }
}

static void drain_trainer(struct harness *harness)
{
    struct msg msg;
    struct arena arena;
    arena_init(&arena);
    while (child_recv(harness->trainer_fd, 0, &arena, &msg, NULL, NULL) == 0) {
        on_message(harness, &msg);
        if (harness->hook != NULL && harness->trainer != 0) {
            harness->hook(harness, &msg);
        }
        arena_reset(&arena);
    }
    arena_fini(&arena);
}

/* ---- disturbances
 * ------------------------------------------------------------------------------------------- */

static void wake_stopped(struct harness *harness, int64_t now)
{
    for (int i = 0; i < HARNESS_WORKERS_MAX; i++) {
        struct harness_worker *worker = &harness->workers[i];
        if (worker->pid != 0 && worker->continue_us != 0 && worker->continue_us <= now) {
            worker->continue_us = 0;
            kill(worker->pid, SIGCONT);
        }
        if (worker->pid != 0 && worker->kill_us != 0 && worker->kill_us <= now) {
            worker->kill_us = 0;
            kill(worker->pid, SIGKILL);
        }
    }
}

static void disturb(struct harness *harness, int64_t now)
{
    struct harness_worker *worker =
        &harness->workers[rng_below(&harness->rng, HARNESS_WORKERS_MAX)];
    for (int i = 0; i < HARNESS_WORKERS_MAX && worker->pid == 0; i++) {
        worker = &harness->workers[(worker - harness->workers + 1) % HARNESS_WORKERS_MAX];
    }
    if (worker->pid == 0) {
        return;
    }
    if (harness->options.kill_late_ms == 0 && rng_below(&harness->rng, 2) == 0) {
        kill(worker->pid, SIGKILL);
        harness->outcome.n_kills++;
    } else if (worker->continue_us == 0 && worker->kill_us == 0) {
        kill(worker->pid, SIGSTOP);
        worker->continue_us = now + 50000 + (int64_t)rng_below(&harness->rng, 2500000);
        harness->outcome.n_stops++;
    }
}

/* ---- the loop
 * -----------------------------------------------------------------------------------------------
 */

static void watch(struct harness *harness)
{
    struct pollfd fds[3 + HARNESS_WORKERS_MAX];
    fds[0] = (struct pollfd){.fd = harness->trainer_fd, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = harness->trainer_pid_fd, .events = POLLIN};
    for (int i = 0; i < HARNESS_WORKERS_MAX; i++) {
        const struct harness_worker *worker = &harness->workers[i];
        fds[2 + i] =
            (struct pollfd){.fd = worker->pid != 0 ? worker->pid_fd : -1, .events = POLLIN};
    }
    int watch = 2 + HARNESS_WORKERS_MAX;
    fds[watch] =
        (struct pollfd){.fd = harness->watch_fd > 0 ? harness->watch_fd : -1, .events = POLLIN};
    poll(fds, (nfds_t)watch + 1, TICK_MS);
    if (fds[watch].revents != 0 && harness->hook != NULL && harness->trainer != 0) {
        harness->hook(harness, NULL);
    }
    drain_trainer(harness);
    for (int i = 0; i < HARNESS_WORKERS_MAX; i++) {
        if (fds[2 + i].revents != 0 && harness->workers[i].pid != 0) {
            reap_worker(harness, &harness->workers[i], 0);
        }
    }
    if (fds[1].revents != 0) {
        drain_trainer(harness);
        harness_child_end(harness->trainer, 0, &harness->trainer_fd, &harness->trainer_pid_fd,
                          &harness->outcome.status);
        harness->trainer = 0;
    }
}

const struct harness_outcome *harness_run(struct harness *harness)
{
    int64_t begin = clock_us(), next_us = begin + harness->options.chaos_ms * 1000;
    memset(&harness->outcome, 0, sizeof(harness->outcome));
    rng_init(&harness->rng, harness->options.seed, 99, 0, 0);
    start_trainer(harness);
    while (harness->trainer != 0) {
        int64_t now = clock_us();
        ck_assert_msg(now - begin < RUN_MS * 1000LL, "the run is stuck at step %lld: %s",
                      (long long)harness->outcome.global_step, harness->outcome.text);
        keep_workers(harness);
        wake_stopped(harness, now);
        if (harness->options.chaos_ms > 0 && now >= next_us) {
            disturb(harness, now);
            next_us = now + harness->options.chaos_ms * 1000;
        }
        watch(harness);
        if (harness->hook != NULL && harness->trainer != 0) {
            harness->hook(harness, NULL);
        }
    }
    harness->outcome.killed = WIFSIGNALED(harness->outcome.status);
    ck_assert_msg(!harness->outcome.finished || harness->outcome.status == 0,
                  "the trainer ended with status %#x after its result",
                  (unsigned)harness->outcome.status);
    harness->outcome.seconds = (double)(clock_us() - begin) / 1e6;
    for (int i = 0; i < HARNESS_WORKERS_MAX; i++) {
        if (harness->workers[i].pid != 0) {
            reap_worker(harness, &harness->workers[i], SIGKILL);
        }
    }
    return &harness->outcome;
}

void harness_kill_trainer(struct harness *harness, int signal)
{
    if (harness->trainer != 0) {
        kill(harness->trainer, signal);
    }
}

void harness_stop(struct harness *harness, const char *reason)
{
    struct msg_child_stop body = {.reason = reason};
    tell_trainer(harness, MSG_CHILD_STOP, &body);
}

void harness_close(struct harness *harness)
{
    close_fd(&harness->job_fd);
    close_fd(&harness->plan_fd);
    close_fd(&harness->slab_fd);
    close_fd(&harness->job_dir_fd);
    close_fd(&harness->manifest_fd);
    close_fd(&harness->blobs_fd);
    close_fd(&harness->kept_fd);
    test_dir_remove(harness->dir);
    arena_fini(&harness->arena);
}
