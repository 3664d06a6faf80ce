#include "daemon/drain.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/fds.h"
#include "daemon/process.h"
#include "daemon/run.h"
#include "proto/job.h"
#include "proto/slab.h"

enum { GRACE_MS = 30000 }; /* for what the trainer does besides taking batches */

struct drain_worker {
    struct drain *drain;
    struct process *process; /* NULL when not alive */
    int64_t number;
};
struct drain {
    struct daemon *daemon;
    const struct drain_input *input;
    struct arena arena;
    struct fds worker_fds, trainer_fds;
    char address[128], folder[32];
    int64_t n_slabs;
    struct process *trainer;
    struct drain_worker workers[SLAB_WORKERS_MAX];
    const struct doc *result;
    bool settled;
    struct err failure;
    uv_timer_t timer;
    drain_fn *done;
    void *context;
};

/* ---- the end ---------------------------------------------------------------------------------- */

static void on_closed(uv_handle_t *handle)
{
    struct drain *drain = handle->data;
    fds_fini(&drain->worker_fds);
    fds_fini(&drain->trainer_fds);
    arena_fini(&drain->arena);
    free(drain);
}

static void kill_all(struct drain *drain)
{
    if (drain->trainer != NULL) {
        process_kill(drain->trainer, PROCESS_STOPPED);
    }
    for (int i = 0; i < SLAB_WORKERS_MAX; i++) {
        if (drain->workers[i].process != NULL) {
            process_kill(drain->workers[i].process, PROCESS_STOPPED);
        }
    }
}

static void close_drain(struct drain *drain)
{
    drain->settled = true;
    unlink(drain->address + strlen("ipc://"));
    unlinkat(drain->daemon->run_fd, drain->folder, AT_REMOVEDIR);
    uv_close((uv_handle_t *)&drain->timer, on_closed);
}

static void settle(struct drain *drain)
{
    bool is_alive = drain->trainer != NULL || drain->settled;
    for (int i = 0; i < SLAB_WORKERS_MAX; i++) {
        is_alive = is_alive || drain->workers[i].process != NULL;
    }
    if (!is_alive) {
        drain->done(drain->context, drain->failure.code == 0 ? drain->result : NULL,
                    &drain->failure);
        close_drain(drain);
    }
}

/* The first error counts. */
static void give_up(struct drain *drain, const struct err *err)
{
    if (drain->failure.code == 0 && drain->result == NULL) {
        drain->failure = *err;
    }
    kill_all(drain);
}

void drain_stop(struct drain *drain)
{
    struct err err = {0};
    err_set(&err, ERR_GONE, "the daemon is stopping");
    give_up(drain, &err);
}

static void on_timeout(uv_timer_t *timer)
{
    struct drain *drain = timer->data;
    struct err err = {0};
    err_set(&err, ERR_TIMEOUT, "the pipeline did not end in time");
    give_up(drain, &err);
}

/* ---- messages --------------------------------------------------------------------------------- */

static int send_start(struct drain *drain, struct process *process, struct fds *fds, int64_t worker,
                      struct err *err)
{
    const struct settings *limits = drain->daemon->settings;
    struct msg_child_start start;
    opt_defaults(msg_child_start_options, &start, &drain->arena);
    struct doc *settings = doc_new(&drain->arena);
    doc_set_map(settings);
    doc_put_bool(settings, &drain->arena, "sandbox", limits->sandbox);
    doc_put_int(settings, &drain->arena, "memory_bytes", worker > 0 ? limits->worker_memory_bytes : 0);
    if (worker > 0) { /* either refuses settings that are not its own */
        doc_put_bool(settings, &drain->arena, "profile", true);
    } else {
        doc_put_int(settings, &drain->arena, "steps", drain->input->steps);
        doc_put_float(settings, &drain->arena, "seconds", drain->input->seconds);
    }
    start.mode = worker > 0 ? "run" : "drain";
    start.job = drain->input->job->id;
    start.worker = worker;
    start.address = drain->address;
    start.max_workers = drain->input->workers;
    start.n_slabs = drain->n_slabs;
    start.settings = settings;
    return fds_send_start(fds, process, &start, err);
}

static void name_failure(struct drain *drain, const struct process *process, const char *who)
{
    char text[256];
    struct err err = process->failure;
    if (err.code == 0) {
        process_end_text(process, text, sizeof(text));
        err_set(&err, ERR_INTERNAL, "%s %s", who, text);
    }
    give_up(drain, &err);
}

static void on_worker_message(struct process *process, const struct msg *msg, void *context)
{
    struct drain_worker *worker = context;
    if (msg->type == MSG_CHILD_FAILED) {
        give_up(worker->drain, &process->failure);
    }
}

static void on_worker_end(struct process *process, void *context)
{
    struct drain_worker *worker = context;
    worker->process = NULL;
    name_failure(worker->drain, process, "a worker");
    settle(worker->drain);
}

/* The trainer listens: now workers can connect. */
static void start_workers(struct drain *drain)
{
    struct err err = {0};
    int rc = 0;
    for (int64_t i = 0; i < drain->input->workers && rc >= 0; i++) {
        struct drain_worker *worker = &drain->workers[i];
        *worker = (struct drain_worker){.drain = drain, .number = i + 1};
        rc = process_start(drain->daemon, ROLE_WORKER, 1, on_worker_message, on_worker_end, worker,
                           &worker->process, &err);
        if (rc >= 0) {
            const struct msg_child_worker body = {.worker = i + 1, .pid = worker->process->pid};
            drain->daemon->counters[COUNT_WORKERS_STARTED]++;
            rc = process_send(drain->trainer, MSG_CHILD_WORKER_NEW, &body, NULL, &err);
        }
        rc = rc < 0 ? rc : send_start(drain, worker->process, &drain->worker_fds, i + 1, &err);
    }
    if (rc < 0 && rc != ERR_GONE) { /* who is gone says why, or has done all that was wanted */
        give_up(drain, &err);
    }
}

static void on_trainer_message(struct process *process, const struct msg *msg, void *context)
{
    struct drain *drain = context;
    if (msg->type == MSG_CHILD_READY) {
        start_workers(drain);
    } else if (msg->type == MSG_CHILD_FAILED) {
        give_up(drain, &process->failure);
    } else if (msg->type == MSG_CHILD_KILL) {
        struct err err = {0};
        err_set(&err, ERR_TIMEOUT, "a worker does not end its rows: %s",
                ((const struct msg_child_worker *)msg->body)->reason);
        give_up(drain, &err);
    } else if (msg->type == MSG_CHILD_RESULT && drain->result == NULL) {
        struct doc *copy = doc_new(&drain->arena);
        doc_copy(copy, &drain->arena, ((const struct msg_child_result *)msg->body)->result);
        drain->result = copy;
        kill_all(drain);
    }
}

static void on_trainer_end(struct process *process, void *context)
{
    struct drain *drain = context;
    drain->trainer = NULL;
    name_failure(drain, process, "the trainer");
    settle(drain);
}

/* ---- the start -------------------------------------------------------------------------------- */

int64_t drain_workers(const struct doc *job, int64_t wished)
{
    const struct doc *resources = doc_get(job, "resources");
    const int64_t given = resources != NULL ? doc_int(resources, "workers", 0) : 0;
    cpu_set_t set;
    CPU_ZERO(&set);
    int64_t n = wished > 0 ? wished : given;
    if (n < 1) {
        n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
    }
    return n < SLAB_WORKERS_MAX ? n : SLAB_WORKERS_MAX;
}

/* A folder of its own for the data socket, as a job has one. */
static int make_folder(struct drain *drain, struct err *err)
{
    snprintf(drain->folder, sizeof(drain->folder), "p%lld",
             (long long)drain->daemon->counters[COUNT_PREVIEWS]);
    snprintf(drain->address, sizeof(drain->address), "ipc://%s/%s/data",
             drain->daemon->settings->run_dir, drain->folder);
    mkdirat(drain->daemon->run_fd, drain->folder, 0700);
    unlink(drain->address + strlen("ipc://"));
    return faccessat(drain->daemon->run_fd, drain->folder, W_OK, 0) == 0
               ? 0
               : err_set(err, ERR_IO, "make the folder of %s", drain->address);
}

static int add_both(struct drain *drain, const char *name, int fd, struct err *err)
{
    int rc = fds_add(&drain->worker_fds, name, fd, true, err);
    return rc >= 0 ? fds_add(&drain->trainer_fds, name, fd, false, err) : rc;
}

static int add_slab(struct drain *drain, struct err *err)
{
    const struct doc *train = doc_find(drain->input->plan, "streams.train");
    const int64_t bytes = doc_int(drain->input->plan, "slab_bytes", 0);
    int fd = -1;
    drain->n_slabs =
        run_slabs(drain->daemon, bytes, train != NULL ? doc_int(train, "prefetch", 0) : 0);
    if (bytes < 1 || drain->n_slabs < 1) {
        return err_set(err, ERR_LIMIT, "a batch of %lld bytes does not fit into slab_memory_bytes",
                       (long long)bytes);
    }
    int rc = slab_create(drain->n_slabs, (size_t)bytes, &fd, err);
    return rc < 0 ? rc : add_both(drain, "slab", fd, err);
}

static int add_files(struct drain *drain, struct err *err)
{
    const struct check_input *job = drain->input->job;
    struct buf text;
    int fd = -1;
    buf_init(&text);
    doc_write_json(drain->input->plan, 0, &text);
    int rc = fds_memory("job", job->text, job->size, &fd, err);
    rc = rc < 0 ? rc : add_both(drain, "job", fd, err);
    rc = rc < 0 ? rc : fds_memory("plan", text.data, text.size, &fd, err);
    rc = rc < 0 ? rc : add_both(drain, "plan", fd, err);
    buf_fini(&text);
    return rc < 0 ? rc
                  : fds_add_pins(&drain->worker_fds, drain->daemon, job->pins, job->n_pins,
                                 &drain->arena, err);
}

int drain_start(struct daemon *daemon, const struct drain_input *input, drain_fn *done,
                void *context, struct drain **ret, struct err *err)
{
    struct drain *drain = calloc(1, sizeof(*drain));
    BUG_ON(drain == NULL);
    arena_init(&drain->arena);
    drain->daemon = daemon;
    drain->input = input;
    drain->done = done;
    drain->context = context;
    uv_timer_init(daemon->loop, &drain->timer);
    drain->timer.data = drain;
    int rc = make_folder(drain, err);
    rc = rc < 0 ? rc : add_slab(drain, err);
    rc = rc < 0 ? rc : add_files(drain, err);
    if (rc >= 0) {
        rc = process_start(daemon, ROLE_TRAINER, 1, on_trainer_message, on_trainer_end, drain,
                           &drain->trainer, err);
    }
    if (rc < 0) {
        close_drain(drain);
        return rc;
    }
    uv_timer_start(&drain->timer, on_timeout, (uint64_t)(input->seconds * 1000) + GRACE_MS, 0);
    *ret = drain;
    if (send_start(drain, drain->trainer, &drain->trainer_fds, 0, err) < 0) {
        give_up(drain, err);
    }
    return 0;
}
