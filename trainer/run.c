#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "trainer/fit.h"
#include "trainer/modes.h"
#include "trainer/resume.h"

#define LOCK_NAME "trainer.lock"
enum { LOCK_WAIT_MS = 10000, LOCK_STEP_MS = 5, LEASE_FLOOR_MS = 2000, SPARE_SLABS = 2 };
static const double checkpoint_share = 0.01;

struct run {
    struct setup *setup;
    int job_fd, lock_fd, signal_fd;
    struct sock_context *context;
    struct sock *sock;
    struct slab slab;
    bool has_slab;
    unsigned char *slabs;
    size_t slab_bytes;
    int n_slabs;
    int processors;
    struct doc *fingerprint;
    struct state state;
    char found[64]; /* checkpoint it goes on from */
    struct checkpoint checkpoint;
    struct ledger ledger;
    struct feeder *feeder;
    struct fit fit;
};

/* Two trainers never run on one job: the old one may still be dying when the new one starts. */
static int take_lock(struct run *run, struct err *err)
{
    run->lock_fd = openat(run->job_fd, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (run->lock_fd < 0) {
        return err_errno(err, errno, "open '%s'", LOCK_NAME);
    }
    int64_t until = clock_us() + LOCK_WAIT_MS * 1000LL;
    while (flock(run->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK || clock_us() >= until) {
            return err_set(err, ERR_BUSY, "another trainer runs on this job");
        }
        nanosleep(&(struct timespec){.tv_nsec = LOCK_STEP_MS * 1000000L}, NULL);
    }
    return 0;
}

int run_signals(int *ret_fd, struct err *err)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    *ret_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return *ret_fd >= 0 ? 0 : err_errno(err, errno, "signalfd");
}

int run_socket_folder(const char *address)
{
    static const char scheme[] = "ipc://";
    char path[256];
    if (strncmp(address, scheme, sizeof(scheme) - 1) != 0) {
        return -1;
    }
    const char *name = address + sizeof(scheme) - 1;
    const char *slash = strrchr(name, '/');
    size_t size = slash != NULL ? (size_t)(slash - name) : 0;
    if (size == 0 || size >= sizeof(path)) {
        return -1;
    }
    memcpy(path, name, size);
    path[size] = '\0';
    return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static int enclose(struct run *run, struct err *err)
{
    const char *address = run->setup->start->address;
    const int folder = run_socket_folder(address);
    const struct sandbox_paths paths = {.write_fds = {run->job_fd, folder},
                                        .n_write = folder >= 0 ? 2 : 1};
    int rc = setup_sandbox(run->setup, &paths, err);
    if (folder >= 0) {
        close(folder);
    }
    if (rc < 0 || (rc = take_lock(run, err)) < 0) {
        return rc;
    }
    file_sweep(run->job_fd, NULL); /* before seccomp: it asks whether their writers live */
    run->context = sock_context_create();
    return sock_open_router(run->context, address, NULL, &run->sock, err);
}

static int map_slabs(struct run *run, struct err *err)
{
    int fd = setup_fd(run->setup, "slab");
    run->has_slab = fd >= 0;
    if (!run->has_slab) {
        return 0;
    }
    int rc = slab_map(fd, &run->slab, err);
    return rc < 0 ? rc : slab_reserve(fd, &run->slab, err);
}

/* Rows that come inline are put together in memory of our own. */
static int choose_slabs(struct run *run, struct err *err)
{
    const struct setup *setup = run->setup;
    if (setup->job.resources.transport == JOB_TRANSPORT_SLAB && run->has_slab) {
        if (run->slab.slab_bytes < setup->plan.slab_bytes) {
            return err_set(err, ERR_CORRUPT, "a slab has %zu bytes, a batch of the plan %zu",
                           run->slab.slab_bytes, setup->plan.slab_bytes);
        }
        run->n_slabs = (int)run->slab.n_slabs;
        run->slab_bytes = run->slab.slab_bytes;
        run->slabs = run->slab.base;
    } else {
        int64_t n = setup->start->n_slabs > 0 ? setup->start->n_slabs : 4;
        run->n_slabs = n > FEED_SLABS_MAX ? FEED_SLABS_MAX : (int)n;
        run->slab_bytes = setup->plan.slab_bytes;
        run->slabs = arena_try(&run->setup->arena, run->slab_bytes * (size_t)run->n_slabs);
    }
    if (run->slabs == NULL) {
        return err_set(err, ERR_NO_MEMORY, "%d batches of %zu bytes", run->n_slabs,
                       run->slab_bytes);
    }
    run->n_slabs = run->n_slabs > FEED_SLABS_MAX ? FEED_SLABS_MAX : run->n_slabs;
    return 0;
}

static void name_differences(const struct doc *a, const struct doc *b, char *buf, size_t size)
{
    size_t used = 0;
    buf[0] = '\0';
    for (size_t i = 0; a != NULL && a->type == DOC_MAP && i < a->n; i++) {
        const struct doc *other = doc_get(b, a->pairs[i].key);
        if (other == NULL || !doc_equal(&a->pairs[i].value, other)) {
            char was[64], is[64];
            doc_describe(&a->pairs[i].value, was, sizeof(was));
            if (other != NULL) {
                doc_describe(other, is, sizeof(is));
            }
            int n = snprintf(buf + used, size - used, "%s%s was %s, is %s", used > 0 ? "; " : "",
                             a->pairs[i].key, was, other != NULL ? is : "not given");
            used += n > 0 ? (size_t)n : 0;
            if (used >= size) {
                return;
            }
        }
    }
}

/* Law 3 holds for one fingerprint: under another the job asks, or says that it goes on. */
static int compare_fingerprint(struct run *run, struct err *err)
{
    struct setup *setup = run->setup;
    run->fingerprint = doc_new(&setup->arena);
    model_fingerprint(setup->model, run->fingerprint, &setup->arena);
    if (run->found[0] == '\0' ||
        (run->state.fingerprint != NULL && doc_equal(run->fingerprint, run->state.fingerprint))) {
        return 0;
    }
    char text[400];
    name_differences(run->state.fingerprint, run->fingerprint, text, sizeof(text));
    bool accepted = doc_bool(setup->start->settings, "accept_fingerprint", false);
    if (setup->job.fit.on_fingerprint == JOB_ON_FINGERPRINT_PAUSE && !accepted) {
        return err_set(
            err, ERR_FINGERPRINT,
            "%s was made under other numerics (%s): the result would not be bit for bit the same; "
            "fit.on_fingerprint: continue goes on all the same",
            run->found, text);
    }
    control_log(setup->control, LOG_LEVEL_WARNING,
                "%s was made under other numerics (%s): going on", run->found, text);
    return 0;
}

static int find_state(struct run *run, struct err *err)
{
    struct setup *setup = run->setup;
    int rc = resume_newest(setup->model, setup->control, run->job_fd, &setup->arena, run->found,
                           &run->state, err);
    if (rc < 0 || (rc = compare_fingerprint(run, err)) < 0) {
        return rc;
    }
    struct state *state = &run->state;
    if (run->found[0] == '\0') {
        *state = (struct state){.seed = setup->job.fit.seed};
    } else if (state->seed != setup->job.fit.seed ||
               strcmp(state->pipeline, setup->plan.pipeline) != 0) {
        return err_set(err, ERR_INVALID, "%s is of another pipeline or seed than the job",
                       run->found);
    } else {
        control_log(setup->control, LOG_LEVEL_INFO, "goes on from %s: epoch %lld, step %lld",
                    run->found, (long long)state->epoch + 1, (long long)state->step);
    }
    state->job = setup->start->job != NULL ? setup->start->job : "";
    state->pipeline = setup->plan.pipeline;
    state->fingerprint = run->fingerprint;
    return 0;
}

static int smaller(int64_t a, int64_t b)
{
    return (int)(a < b ? a : b);
}

static struct autotune_limits limits_of(const struct run *run)
{
    const struct setup *setup = run->setup;
    const struct job_resources *resources = &setup->job.resources;
    struct arena arena;
    arena_init(&arena);
    struct doc *summary = doc_new(&arena);
    model_summary(setup->model, summary, &arena);
    int64_t most = resources->max_workers > 0 ? resources->max_workers : run->processors;
    int64_t allowed = setup->start->max_workers > 0 ? setup->start->max_workers : SLAB_WORKERS_MAX;
    struct autotune_limits limits = {
        .processors = run->processors,
        .threads = (int)doc_int(summary, "threads", 1),
        .max_workers = smaller(most, smaller(allowed, SLAB_WORKERS_MAX)),
        .max_depth = run->n_slabs > SPARE_SLABS + 1 ? run->n_slabs - SPARE_SLABS : 1,
        .fixed_workers = smaller(resources->workers, allowed),
        .fixed_depth = smaller(setup->plan.stream[FEED_TRAIN].prefetch, INT32_MAX),
    };
    arena_fini(&arena);
    return limits;
}

static int start_threads(struct run *run, struct err *err)
{
    struct setup *setup = run->setup;
    const struct doc *settings = setup->start->settings;
    const struct job_spec *job = &setup->job;
    int rc = checkpoint_start(
        &run->checkpoint, setup->model, setup->control, run->job_fd, job->fit.checkpoint.keep,
        doc_float(settings, "checkpoint_share", checkpoint_share), &setup->arena, err);
    if (rc < 0) {
        return rc;
    }
    rc = ledger_open(&run->ledger, run->job_fd, job->fit.ledger,
                     setup->plan.stream[FEED_TRAIN].batch, &setup->arena, err);
    if (rc < 0 || (rc = ledger_start(&run->ledger, run->state.epoch, run->state.step, err)) < 0) {
        return rc;
    }
    struct feeder_options options = {
        .plan = &setup->plan,
        .start = feed_plan_at(&setup->plan, run->state.epoch, run->state.step),
        .slabs = run->slabs,
        .slab_bytes = run->slab_bytes,
        .n_slabs = run->n_slabs,
        .header = run->slabs == run->slab.base && run->has_slab ? run->slab.header : NULL,
        .sock = run->sock,
        .control = setup->control,
        .signal_fd = run->signal_fd,
        .limits = limits_of(run),
        .lease_floor_us = doc_int(settings, "lease_ms", LEASE_FLOOR_MS) * 1000,
        .max_bad = job->data.max_bad,
        .known_bad = {run->state.bad, doc_get(settings, "quarantine")},
    };
    return feeder_start(&options, &setup->arena, &run->feeder, err);
}

static int send_result(struct run *run, struct err *err)
{
    struct doc *result = doc_new(&run->setup->arena);
    fit_result(&run->fit, result, &run->setup->arena);
    struct msg_child_result body = {.result = result};
    return control_send(run->setup->control, MSG_CHILD_RESULT, &body, err);
}

static int fit(struct run *run, struct err *err)
{
    struct setup *setup = run->setup;
    int rc = start_threads(run, err);
    if (rc < 0) {
        return rc;
    }
    run->fit = (struct fit){.job = &setup->job,
                            .callbacks = setup->callbacks,
                            .plan = &setup->plan,
                            .model = setup->model,
                            .feeder = run->feeder,
                            .control = setup->control,
                            .checkpoint = &run->checkpoint,
                            .ledger = &run->ledger};
    fit_init(&run->fit, &run->state);
    rc = fit_run(&run->fit, err);
    return rc < 0 ? rc : send_result(run, err);
}

/* What the job can go on from later is a pause and not a failure; who asked for the end need not be
 * told of it. */
static int end(struct run *run, int rc, struct err *err)
{
    static const int pauses[] = {ERR_NO_SPACE, ERR_FINGERPRINT};
    if (rc == ERR_INTERRUPTED || rc == ERR_CANCELLED) {
        return 0;
    }
    for (size_t i = 0; i < sizeof(pauses) / sizeof(pauses[0]); i++) {
        if (rc == pauses[i]) {
            control_paused(run->setup->control, err);
            return 0;
        }
    }
    return rc;
}

static void finish(struct run *run)
{
    if (run->feeder != NULL) {
        feeder_stop(run->feeder);
        fit_fini(&run->fit);
    }
    checkpoint_stop(&run->checkpoint);
    ledger_close(&run->ledger);
    sock_close(run->sock);
    sock_context_destroy(run->context);
    if (run->has_slab) {
        slab_unmap(&run->slab);
    }
}

int run_mode(struct setup *setup, struct err *err)
{
    struct run run = {
        .setup = setup, .job_fd = setup_fd(setup, "jobdir"), .lock_fd = -1, .ledger = {.fd = -1}};
    if (run.job_fd < 0 || setup->start->address == NULL) {
        return err_set(err, ERR_MISSING,
                       "child.start of a run has a descriptor 'jobdir' and an address");
    }
    run.processors = autotune_processors();
    int rc;
    if ((rc = run_signals(&run.signal_fd, err)) == 0 && (rc = enclose(&run, err)) == 0 &&
        (rc = map_slabs(&run, err)) == 0 && (rc = setup_seccomp(setup, err)) == 0 &&
        (rc = setup_ready(setup, err)) == 0 && (rc = setup_read(setup, err)) == 0 &&
        (rc = setup_model(setup, err)) == 0 && (rc = setup_callbacks(setup, err)) == 0 &&
        (rc = choose_slabs(&run, err)) == 0) {
        rc = find_state(&run, err);
        rc = rc < 0 ? rc : fit(&run, err);
    }
    rc = rc < 0 ? end(&run, rc, err) : rc;
    finish(&run);
    return rc;
}
