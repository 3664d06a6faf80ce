/* drain - mode "drain": takes batches as fast as they come and has no model, so that what it says
 * is of the workers and the way from them alone. */
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "trainer/feeder.h"
#include "trainer/modes.h"

enum { SPARE_SLABS = 2, SLABS_INLINE = 4, LEASE_FLOOR_US = 2000000 };

struct drain {
    struct setup *setup;
    int signal_fd, processors;
    struct sock_context *context;
    struct sock *sock;
    struct slab slab;
    struct feeder_options options;
    struct feeder *feeder;
    int64_t steps, rows; /* taken */
    int64_t ahead;       /* so many are made before the clock begins: what lies there already */
    int64_t begin_us, begin_rows;
    int64_t bad;                     /* rows that were left out of them */
    int64_t start_us, first_us, last_us, wait_us, most_us;
    double op_us[FEEDER_STAGES_MAX]; /* sums of what the feeder said of a row after each batch */
    int64_t op_n[FEEDER_STAGES_MAX];
};

static int enclose(struct drain *drain, struct err *err)
{
    const char *address = drain->setup->start->address;
    int folder = run_socket_folder(address);
    const struct sandbox_paths paths = {.write_fds = {folder}, .n_write = folder >= 0};
    int rc = setup_sandbox(drain->setup, &paths, err);
    if (folder >= 0) {
        close(folder);
    }
    if (rc < 0) {
        return rc;
    }
    drain->context = sock_context_create();
    return sock_open_router(drain->context, address, NULL, &drain->sock, err);
}

/* The batches of a job that sends its rows are put together in memory of our own, as in a run. */
static int open_slabs(struct drain *drain, struct err *err)
{
    struct setup *setup = drain->setup;
    struct feeder_options *options = &drain->options;
    if (setup->job.resources.transport == JOB_TRANSPORT_SLAB) {
        if (drain->slab.slab_bytes < setup->plan.slab_bytes) {
            return err_set(err, ERR_CORRUPT, "a slab has %zu bytes, a batch of the plan %zu",
                           drain->slab.slab_bytes, setup->plan.slab_bytes);
        }
        options->n_slabs =
            (int)(drain->slab.n_slabs < FEED_SLABS_MAX ? drain->slab.n_slabs : FEED_SLABS_MAX);
        options->slab_bytes = drain->slab.slab_bytes;
        options->slabs = drain->slab.base;
        options->header = drain->slab.header;
        return 0;
    }
    options->n_slabs = SLABS_INLINE;
    options->slab_bytes = setup->plan.slab_bytes;
    options->slabs = arena_try(&setup->arena, options->slab_bytes * SLABS_INLINE);
    return options->slabs != NULL ? 0
                                  : err_set(err, ERR_NO_MEMORY, "%d batches of %zu bytes",
                                            SLABS_INLINE, options->slab_bytes);
}

/* Epochs of the training stream one behind the other, as many as are needed. */
static void only_training(struct feed_plan *plan, int64_t steps)
{
    const int64_t needed = steps / plan->stream[FEED_TRAIN].steps + 1;
    plan->stream[FEED_VALIDATION].given = false;
    plan->epochs = plan->epochs > needed ? plan->epochs : needed;
}

static int start_feeder(struct drain *drain, int64_t steps, struct err *err)
{
    struct setup *setup = drain->setup;
    struct feeder_options *options = &drain->options;
    const int workers = (int)setup->start->max_workers;
    only_training(&setup->plan, steps);
    options->plan = &setup->plan;
    options->start = feed_plan_at(&setup->plan, 0, 0);
    options->sock = drain->sock;
    options->control = setup->control;
    options->signal_fd = drain->signal_fd;
    options->lease_floor_us = LEASE_FLOOR_US;
    options->max_bad = setup->job.data.max_bad;
    options->limits = (struct autotune_limits){
        .processors = drain->processors,
        .max_workers = workers,
        .fixed_workers = workers,
        .max_depth = options->n_slabs > SPARE_SLABS + 1 ? options->n_slabs - SPARE_SLABS : 1,
    };
    options->limits.fixed_depth = (int)(setup->plan.stream[FEED_TRAIN].prefetch < FEED_SLABS_MAX
                                            ? setup->plan.stream[FEED_TRAIN].prefetch
                                            : FEED_SLABS_MAX);
    if (options->limits.fixed_depth ==
        0) { /* AUTOTUNE looks at a fit loop: here all slabs are used */
        options->limits.fixed_depth = options->limits.max_depth;
    }
    return feeder_start(options, &setup->arena, &drain->feeder, err);
}

/* The feeder has a mean of the last chunks; the mean of those is that of the whole run. */
static void note_ops(struct drain *drain)
{
    struct feeder_stats stats;
    feeder_stats(drain->feeder, &stats);
    for (int i = 0; i < stats.n_stages; i++) {
        drain->op_us[i] += stats.stages[i].row_us;
        drain->op_n[i]++;
    }
}

/* What was before is the start, and batches that were made while it lasted. */
static void begin_clock(struct drain *drain, int64_t now)
{
    drain->begin_us = now;
    drain->begin_rows = drain->rows;
    drain->wait_us = drain->most_us = 0;
    memset(drain->op_us, 0, sizeof(drain->op_us));
    memset(drain->op_n, 0, sizeof(drain->op_n));
}

static int take(struct drain *drain, int64_t steps, int64_t until_us, struct err *err)
{
    while (drain->steps < steps && clock_us() < until_us) {
        struct feeder_batch batch;
        const int64_t begin = clock_us();
        int rc = feeder_next(drain->feeder, &batch, err);
        const int64_t now = clock_us();
        if (rc < 0 && rc != ERR_TIMEOUT) {
            return rc;
        }
        if (rc >= 0 && drain->steps > 0 && drain->steps == drain->ahead) {
            begin_clock(drain, drain->last_us);
        }
        drain->wait_us += now - begin;
        drain->most_us = now - begin > drain->most_us ? now - begin : drain->most_us;
        if (rc < 0) {
            continue;
        }
        drain->first_us = drain->steps == 0 ? now : drain->first_us;
        drain->last_us = now;
        drain->rows += batch.rows;
        drain->bad += batch.bad;
        drain->steps++;
        note_ops(drain);
        feeder_return(drain->feeder, &batch);
    }
    return 0;
}

static void put_ops(const struct drain *drain, const struct feeder_stats *stats, struct doc *map,
                    struct arena *arena)
{
    struct doc *ops = doc_put(map, arena, "ops");
    doc_set_list(ops);
    for (int i = 0; i < stats->n_stages; i++) {
        struct doc *op = doc_push(ops, arena);
        doc_set_map(op);
        doc_put_str(op, arena, "name", stats->stages[i].name);
        doc_put_float(op, arena, "us",
                      drain->op_n[i] > 0 ? drain->op_us[i] / (double)drain->op_n[i] : 0);
    }
}

/* Rates are of what came after the start and after the batches that were made ahead in it; of few
 * batches, of all since the start. */
static int send_result(struct drain *drain, int64_t steps, struct err *err)
{
    struct arena *arena = &drain->setup->arena;
    struct doc *map = doc_new(arena);
    struct feeder_stats stats;
    const bool is_short = drain->steps <= drain->ahead; /* its time was over */
    const int64_t n = is_short ? drain->steps : drain->steps - drain->ahead;
    const int64_t rows = is_short ? drain->rows : drain->rows - drain->begin_rows;
    const double seconds =
        (double)(drain->last_us - (is_short ? drain->start_us : drain->begin_us)) * 1e-6;
    feeder_stats(drain->feeder, &stats);
    doc_set_map(map);
    doc_put_int(map, arena, "steps", drain->steps);
    doc_put_int(map, arena, "wanted", steps);
    doc_put_int(map, arena, "rows", drain->rows);
    doc_put_int(map, arena, "batch", drain->setup->plan.stream[FEED_TRAIN].batch);
    doc_put_int(map, arena, "workers", drain->setup->start->max_workers);
    doc_put_int(map, arena, "prefetch", drain->options.limits.fixed_depth);
    doc_put_int(map, arena, "bad", drain->bad);
    doc_put_float(map, arena, "start_seconds",
                  drain->steps > 0 ? (double)(drain->first_us - drain->start_us) * 1e-6 : 0);
    doc_put_float(map, arena, "seconds", seconds);
    doc_put_float(map, arena, "batches_per_second", seconds > 0 ? (double)n / seconds : 0);
    doc_put_float(map, arena, "rows_per_second", seconds > 0 ? (double)rows / seconds : 0);
    struct doc *wait = doc_put(map, arena, "wait");
    doc_set_map(wait);
    doc_put_float(wait, arena, "share", seconds > 0 ? (double)drain->wait_us * 1e-6 / seconds : 0);
    doc_put_float(wait, arena, "mean_us", (double)drain->wait_us / (double)n);
    doc_put_int(wait, arena, "most_us", drain->most_us);
    put_ops(drain, &stats, map, arena);
    const struct msg_child_result body = {.result = map};
    return control_send(drain->setup->control, MSG_CHILD_RESULT, &body, err);
}

static int drain_all(struct drain *drain, struct err *err)
{
    const struct doc *settings = drain->setup->start->settings;
    const int64_t steps = doc_int(settings, "steps", 1);
    const double seconds = doc_float(settings, "seconds", 60);
    int rc = start_feeder(drain, steps, err);
    drain->start_us = clock_us();
    const int64_t depth = drain->options.limits.fixed_depth + 1;
    drain->ahead = steps >= 2 * depth ? depth : 0;
    drain->begin_us = drain->start_us;
    rc = rc < 0 ? rc : take(drain, steps, drain->start_us + (int64_t)(seconds * 1e6), err);
    if (rc == 0 && drain->steps == 0) {
        rc = err_set(err, ERR_TIMEOUT, "no batch came in %.1f seconds", seconds);
    }
    return rc < 0 ? rc : send_result(drain, steps, err);
}

int drain_mode(struct setup *setup, struct err *err)
{
    struct drain drain = {.setup = setup};
    const int slab_fd = setup_fd(setup, "slab");
    int rc;
    if (setup->start->address == NULL || setup->start->max_workers < 1) {
        return err_set(err, ERR_MISSING, "child.start of a drain has an address and workers");
    }
    drain.processors = autotune_processors();
    if ((rc = run_signals(&drain.signal_fd, err)) == 0 && (rc = enclose(&drain, err)) == 0 &&
        (rc = slab_map(slab_fd, &drain.slab, err)) == 0 &&
        (rc = slab_reserve(slab_fd, &drain.slab, err)) == 0 &&
        (rc = setup_seccomp(setup, err)) == 0 && (rc = setup_ready(setup, err)) == 0 &&
        (rc = setup_read(setup, err)) == 0 && (rc = open_slabs(&drain, err)) == 0) {
        rc = drain_all(&drain, err);
    }
    if (drain.feeder != NULL) {
        feeder_stop(drain.feeder);
    }
    sock_close(drain.sock);
    sock_context_destroy(drain.context);
    slab_unmap(&drain.slab);
    return rc;
}
