#include "trainer/feeder.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "trainer/feeder_impl.h"

enum { TICK_MS = 100, CHUNK_US = 1000 };
static const int64_t look_us = 250000, patience_us = 2000000;

const struct counter_desc feeder_counters[FEEDER_COUNTER_MAX_] = {
#define COUNTER_ROW(symbol, name, unit, kind, help) {name, unit, kind, help},
#include "trainer/feeder_counters.h"
#undef COUNTER_ROW
};

/* ---- the feeder's thread
 * ------------------------------------------------------------------------------------ */

void feeder_fail(struct feeder *feeder, const struct err *failure)
{
    pthread_mutex_lock(&feeder->lock);
    if (feeder->err.code == 0) {
        feeder->err = *failure;
    }
    feeder->is_over = true;
    pthread_cond_broadcast(&feeder->changed);
    pthread_mutex_unlock(&feeder->lock);
}

static void take_returned(struct feeder *feeder)
{
    uint64_t count = 0;
    if (read(feeder->wake_fd, &count, sizeof(count)) < 0 && errno != EAGAIN) {
        BUG("eventfd: errno %d", errno);
    }
    pthread_mutex_lock(&feeder->lock);
    for (int i = 0; i < feeder->n_returned; i++) {
        board_return(&feeder->board, feeder->returned[i]);
    }
    feeder->n_returned = 0;
    pthread_mutex_unlock(&feeder->lock);
}

static void take_signal(struct feeder *feeder)
{
    struct signalfd_siginfo info;
    if (read(feeder->options.signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        pthread_mutex_lock(&feeder->lock);
        feeder->stop = feeder->stop == FEEDER_STOP_NONE ? FEEDER_STOP_CHECKPOINT : feeder->stop;
        pthread_cond_broadcast(&feeder->changed);
        pthread_mutex_unlock(&feeder->lock);
    }
}

/* A chunk should take about a millisecond at least: smaller ones cost more in messages than they
 * gain in latency. */
static int parts_of(const struct feeder *feeder)
{
    int workers = board_n_workers(&feeder->board);
    workers = workers > feeder->tune.workers ? workers : feeder->tune.workers;
    double us = feeder->row_us * (double)feed_plan_rows(feeder->options.plan, &feeder->next);
    if (feeder->row_us > 0 && us / CHUNK_US < workers) {
        workers = (int)(us / CHUNK_US);
    }
    return workers < 1 ? 1 : workers;
}

static void open_batches(struct feeder *feeder)
{
    while (!feeder->is_over && !feed_plan_is_end(feeder->options.plan, &feeder->next) &&
           feeder->board.n_open <= feeder->tune.depth && board_has_room(&feeder->board)) {
        board_open(&feeder->board, &feeder->next, parts_of(feeder));
        feeder->next = feed_plan_next(feeder->options.plan, &feeder->next);
    }
}

static uint64_t hash_batch(const struct feeder *feeder, const struct board_batch *batch,
                           int64_t rows)
{
    const struct slab_layout *layout = &feeder->options.plan->stream[batch->at.stream].layout;
    const unsigned char *slab =
        feeder->options.slabs + (size_t)batch->slab * feeder->options.slab_bytes;
    uint64_t hash = (uint64_t)rows;
    for (int i = 0; i < layout->n_fields; i++) {
        hash = hash_fast(slab + layout->fields[i].offset,
                         (size_t)rows * layout->fields[i].row_bytes, hash);
    }
    return hash;
}

static void release_batches(struct feeder *feeder)
{
    int index;
    while (!feeder->is_over && (index = board_ready(&feeder->board)) >= 0) {
        struct board_batch *batch = &feeder->board.batches[index];
        struct feeder_out out = {0};
        if (batch->err.code == 0) {
            feeder_bad_compact(feeder, batch, &out, &batch->err);
        }
        if (batch->err.code != 0) {
            feeder_fail(feeder, &batch->err);
            return;
        }
        out.hash = hash_batch(feeder, batch, out.rows);
        board_release(&feeder->board, index);
        pthread_mutex_lock(&feeder->lock);
        feeder->out[index] = out;
        feeder->ready[(feeder->ready_head + feeder->n_ready) % feeder->board.n_batches] = index;
        feeder->n_ready++;
        feeder->stats.counters[FEEDER_BATCHES]++;
        pthread_cond_broadcast(&feeder->changed);
        pthread_mutex_unlock(&feeder->lock);
    }
}

static void tell_choice(struct feeder *feeder)
{
    struct msg_child_workers body = {
        .n = feeder->tune.workers, .prefetch = feeder->tune.depth, .reason = feeder->tune.reason};
    control_send(feeder->options.control, MSG_CHILD_WORKERS, &body, NULL);
}

static void look(struct feeder *feeder, int64_t now)
{
    pthread_mutex_lock(&feeder->lock);
    struct autotune_sample sample = {
        .now_us = now,
        .window_us = now - feeder->tuned_us,
        .wait_us = feeder->stats.wait_us - feeder->seen_wait_us,
        .steps = feeder->steps - feeder->seen_steps,
        .rows = feeder->rows - feeder->seen_rows,
        .row_us = feeder->row_us,
        .row_cpu = -1,
        .workers = feeder->stats.workers,
    };
    if (sample.steps < AUTOTUNE_STEPS) {
        pthread_mutex_unlock(&feeder->lock);
        return; /* the window goes on */
    }
    sample.queue_mean = (double)(feeder->queue_sum - feeder->seen_queue) / (double)sample.steps;
    feeder->seen_wait_us = feeder->stats.wait_us;
    feeder->seen_steps = feeder->steps;
    feeder->seen_rows = feeder->rows;
    feeder->seen_queue = feeder->queue_sum;
    pthread_mutex_unlock(&feeder->lock);
    feeder->tuned_us = now;
    if (autotune_look(&feeder->tune, &sample)) {
        tell_choice(feeder);
    }
}

static void publish(struct feeder *feeder)
{
    const struct board *board = &feeder->board;
    pthread_mutex_lock(&feeder->lock);
    feeder->stats.counters[FEEDER_REMADE] = board->n_remade;
    feeder->stats.counters[FEEDER_MOVED] = board->n_moved;
    feeder->stats.counters[FEEDER_LATE] = board->n_late;
    feeder->stats.counters[FEEDER_WIRE] = (int64_t)(sock_bytes_sent(feeder->options.sock) +
                                                    sock_bytes_received(feeder->options.sock));
    feeder->stats.workers = board_n_workers(board);
    feeder->stats.depth = feeder->tune.depth;
    memcpy(feeder->stats.choice, feeder->tune.reason, sizeof(feeder->stats.choice));
    pthread_mutex_unlock(&feeder->lock);
}

static int timeout_ms(const struct feeder *feeder)
{
    int64_t next = board_next_deadline(&feeder->board);
    int64_t left = next == INT64_MAX ? TICK_MS : (next - clock_us()) / 1000 + 1;
    return left < 0 ? 0 : left > TICK_MS ? TICK_MS : (int)left;
}

static bool must_quit(struct feeder *feeder)
{
    pthread_mutex_lock(&feeder->lock);
    bool quit = feeder->quit;
    pthread_mutex_unlock(&feeder->lock);
    return quit;
}

static void *run_feeder(void *arg)
{
    struct feeder *feeder = arg;
    const int fds[3] = {feeder->wake_fd, feeder->options.control->fd, feeder->options.signal_fd};
    feeder->tuned_us = clock_us();
    tell_choice(feeder);
    while (!must_quit(feeder)) {
        int bits = sock_pending(feeder->options.sock)
                       ? 1
                       : sock_poll(feeder->options.sock, fds, 3, timeout_ms(feeder));
        take_returned(feeder);
        feeder_net_drain(feeder);
        /* Tokens first: what a worker finished before it died is not made again. */
        feeder_net_control(feeder);
        if (bits & 8) {
            take_signal(feeder);
        }
        feeder_net_expire(feeder);
        open_batches(feeder);
        feeder_net_dispatch(feeder);
        release_batches(feeder);
        publish(feeder);
        int64_t now = clock_us();
        if (now - feeder->tuned_us >= look_us) {
            look(feeder, now);
        }
    }
    return NULL;
}

int feeder_start(const struct feeder_options *options, struct arena *arena, struct feeder **ret,
                 struct err *err)
{
    struct feeder *feeder = ARENA_NEW(arena, struct feeder);
    feeder->options = *options;
    feeder->next = options->start;
    board_init(&feeder->board, options->plan, options->slabs, options->slab_bytes, options->n_slabs,
               arena);
    feeder->board.timing.floor_us = options->lease_floor_us;
    autotune_init(&feeder->tune, &options->limits);
    arena_init(&feeder->message);
    arena_init(&feeder->texts);
    feeder->ready = arena_array(arena, (size_t)options->n_slabs, sizeof(*feeder->ready));
    feeder->returned = arena_array(arena, (size_t)options->n_slabs, sizeof(*feeder->returned));
    feeder->out = arena_array(arena, (size_t)options->n_slabs, sizeof(*feeder->out));
    feeder_bad_init(feeder, arena);
    pthread_mutex_init(&feeder->lock, NULL);
    pthread_cond_init(&feeder->changed, NULL);
    feeder->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (feeder->wake_fd < 0) {
        return err_errno(err, errno, "eventfd");
    }
    *ret = feeder;
    if (pthread_create(&feeder->thread, NULL, run_feeder, feeder) != 0) {
        return err_set(err, ERR_NO_MEMORY, "cannot start the feeder's thread");
    }
    return 0;
}

/* ---- the fit loop's side
 * ------------------------------------------------------------------------------------ */

static int give_up(struct feeder *feeder, struct err *err)
{
    if (feeder->err.code != 0 && feeder->n_ready == 0) {
        if (err != NULL) {
            *err = feeder->err;
        }
        return feeder->err.code;
    }
    if (feeder->stop == FEEDER_STOP_CHECKPOINT) {
        return err_set(err, ERR_INTERRUPTED, "stopped");
    }
    return feeder->stop == FEEDER_STOP_CANCEL ? err_set(err, ERR_CANCELLED, "cancelled") : 0;
}

int feeder_next(struct feeder *feeder, struct feeder_batch *ret, struct err *err)
{
    pthread_mutex_lock(&feeder->lock);
    int64_t begin = clock_us();
    const struct timespec until = {.tv_sec = (begin + patience_us) / 1000000,
                                   .tv_nsec = (begin + patience_us) % 1000000 * 1000};
    int rc;
    while ((rc = give_up(feeder, err)) == 0 && feeder->n_ready == 0) {
        if (pthread_cond_clockwait(&feeder->changed, &feeder->lock, CLOCK_MONOTONIC, &until) != 0) {
            rc = err_set(err, ERR_TIMEOUT, "no batch is ready");
            break;
        }
    }
    feeder->stats.wait_us += clock_us() - begin;
    if (rc == 0) {
        int index = feeder->ready[feeder->ready_head];
        const struct board_batch *batch = &feeder->board.batches[index];
        const struct feed_stream *stream = &feeder->options.plan->stream[batch->at.stream];
        unsigned char *data =
            feeder->options.slabs + (size_t)batch->slab * feeder->options.slab_bytes;
        *ret = (struct feeder_batch){
            .at = batch->at,
            .rows = feeder->out[index].rows,
            .bad = feeder->out[index].bad,
            .hash = feeder->out[index].hash,
            .data = data,
            .samples =
                (const int64_t *)(const void *)(data +
                                                stream->layout.fields[stream->sample].offset),
            .index = index,
        };
        feeder->ready_head = (feeder->ready_head + 1) % feeder->board.n_batches;
        feeder->queue_sum += feeder->n_ready--;
        feeder->steps++;
        feeder->rows += ret->rows;
    }
    pthread_mutex_unlock(&feeder->lock);
    return rc;
}

void feeder_return(struct feeder *feeder, const struct feeder_batch *batch)
{
    pthread_mutex_lock(&feeder->lock);
    feeder->returned[feeder->n_returned++] = batch->index;
    pthread_mutex_unlock(&feeder->lock);
    const uint64_t one = 1;
    BUG_ON(write(feeder->wake_fd, &one, sizeof(one)) != (ssize_t)sizeof(one));
}

enum feeder_stop feeder_stopping(struct feeder *feeder)
{
    pthread_mutex_lock(&feeder->lock);
    enum feeder_stop stop = feeder->stop;
    pthread_mutex_unlock(&feeder->lock);
    return stop;
}

void feeder_stats(struct feeder *feeder, struct feeder_stats *ret)
{
    pthread_mutex_lock(&feeder->lock);
    *ret = feeder->stats;
    ret->queue = feeder->n_ready;
    pthread_mutex_unlock(&feeder->lock);
}

void feeder_bad(struct feeder *feeder, struct doc *list, struct arena *arena)
{
    static const char *const names[FEED_STREAM_MAX_] = {"train", "validation"};
    doc_set_list(list);
    pthread_mutex_lock(&feeder->lock);
    for (int i = 0; i < feeder->n_bads; i++) {
        const struct feeder_bad_row *bad = &feeder->bads[i];
        struct doc *map = doc_push(list, arena);
        doc_set_map(map);
        doc_put_str(map, arena, "stream", names[bad->stream]);
        doc_put_int(map, arena, "sample", bad->sample);
        doc_put_str(map, arena, "path", bad->path);
        doc_put_int(map, arena, "offset", bad->offset);
        doc_put_str(map, arena, "reason", bad->reason);
        doc_put_bool(map, arena, "convicted", bad->convicted);
    }
    pthread_mutex_unlock(&feeder->lock);
}

void feeder_stop(struct feeder *feeder)
{
    pthread_mutex_lock(&feeder->lock);
    feeder->quit = true;
    pthread_mutex_unlock(&feeder->lock);
    const uint64_t one = 1;
    BUG_ON(write(feeder->wake_fd, &one, sizeof(one)) != (ssize_t)sizeof(one));
    pthread_join(feeder->thread, NULL);
    close(feeder->wake_fd);
    arena_fini(&feeder->message);
    arena_fini(&feeder->texts);
}
