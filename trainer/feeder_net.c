#include <string.h>

#include "base/clock.h"
#include "trainer/feeder_impl.h"

enum { DRAIN_BUDGET = 256 };

/* ---- workers
 * ------------------------------------------------------------------------------------------------
 */

static int find_peer(const struct feeder *feeder, const struct sock_peer *peer)
{
    for (int i = 0; i < SLAB_WORKERS_MAX; i++) {
        if (feeder->board.workers[i].used && feeder->peers[i].size == peer->size &&
            memcmp(feeder->peers[i].id, peer->id, peer->size) == 0) {
            return i;
        }
    }
    return -1;
}

static void ask_to_kill(struct feeder *feeder, int64_t number, int64_t pid, const char *reason)
{
    struct msg_child_worker body = {.worker = number, .pid = pid, .reason = reason};
    control_send(feeder->options.control, MSG_CHILD_KILL, &body, NULL);
}

static int64_t row_in_flight(const struct feeder *feeder, int worker)
{
    struct slab_header *header = feeder->options.header;
    if (header == NULL) {
        return BOARD_ROW_UNKNOWN;
    }
    int64_t number = feeder->board.workers[worker].number;
    return number < 0 ? -1 : header->in_flight[number % SLAB_WORKERS_MAX].row;
}

static void name_conviction(struct feeder *feeder, int batch, int64_t row)
{
    if (row < 0) {
        return;
    }
    const struct board_batch *board_batch = &feeder->board.batches[batch];
    control_log(feeder->options.control, LOG_LEVEL_WARNING,
                "row %lld of batch %lld of epoch %lld killed %d workers that had nothing else in "
                "hand: it is left out",
                (long long)row, (long long)board_batch->at.step,
                (long long)board_batch->at.epoch + 1, BOARD_STRIKES);
}

static void give_up_worker(struct feeder *feeder, int worker, int64_t row, const char *reason)
{
    int batch = -1;
    const struct board_worker *who = &feeder->board.workers[worker];
    int64_t convicted = board_expire(&feeder->board, worker, row, &batch);
    name_conviction(feeder, batch, convicted);
    ask_to_kill(feeder, who->number, who->pid, reason);
}

static bool is_gone(const struct feeder *feeder, int64_t number, int64_t pid)
{
    int n = feeder->n_gone < FEEDER_GONE_MAX ? feeder->n_gone : FEEDER_GONE_MAX;
    for (int i = 0; i < n; i++) {
        if (feeder->gone[i].number == number && feeder->gone[i].pid == pid) {
            return true;
        }
    }
    return false;
}

/* A negative control lets workers in whose pipeline is another (meson -Dbreak=rng_worker). */
static bool is_ours(const struct feeder *feeder, const struct msg_chunk_hello *hello)
{
#ifdef MILLRACE_BREAK_RNG_WORKER
    return hello->worker > 0 || feeder == NULL;
#else
    return hello->pipeline != NULL && strcmp(hello->pipeline, feeder->options.plan->pipeline) == 0;
#endif
}

static void on_hello(struct feeder *feeder, const struct sock_peer *peer,
                     const struct msg_chunk_hello *hello)
{
    if (is_gone(feeder, hello->worker, hello->pid) ||
        board_find_worker(&feeder->board, hello->worker, hello->pid) >= 0) {
        return;
    }
    if (!is_ours(feeder, hello)) {
        ask_to_kill(feeder, hello->worker, hello->pid, "its pipeline is not that of the plan");
        return;
    }
    int worker = board_add_worker(&feeder->board, hello->worker, hello->pid);
    if (worker < 0) {
        ask_to_kill(feeder, hello->worker, hello->pid,
                    "there are as many workers as the table holds");
        return;
    }
    feeder->peers[worker] = *peer;
}

static bool inline_fits(const struct feeder *feeder, const struct msg_chunk_done *done,
                        const struct sock_frame *frames, int n_frames)
{
    if (done->stream < 0 || done->stream >= FEED_STREAM_MAX_ || done->begin < 0 ||
        done->end <= done->begin) {
        return false;
    }
    const struct feed_stream *stream = &feeder->options.plan->stream[done->stream];
    if (!stream->given || done->end > stream->batch) {
        return false;
    }
    if (feeder->options.header != NULL) {
        return n_frames == 0;
    }
    for (int i = 0; i < stream->layout.n_fields && n_frames == stream->layout.n_fields; i++) {
        if (frames[i].size !=
            (size_t)(done->end - done->begin) * stream->layout.fields[i].row_bytes) {
            return false;
        }
    }
    return n_frames == stream->layout.n_fields;
}

static void copy_frames(const struct feeder *feeder, const struct board_batch *batch,
                        const struct msg_chunk_done *done, const struct sock_frame *frames,
                        int n_frames)
{
    const struct slab_layout *layout = &feeder->options.plan->stream[batch->at.stream].layout;
    unsigned char *slab = feeder->options.slabs + (size_t)batch->slab * feeder->options.slab_bytes;
    for (int i = 0; i < n_frames; i++) {
        const struct slab_field *field = &layout->fields[i];
        memcpy(slab + field->offset + (size_t)done->begin * field->row_bytes, frames[i].data,
               frames[i].size);
    }
}

static void note_stage(struct feeder_stats *stats, const char *name, double row_us)
{
    int i = 0;
    while (i < stats->n_stages && strcmp(stats->stages[i].name, name) != 0) {
        i++;
    }
    size_t size = strlen(name);
    if (i == FEEDER_STAGES_MAX || size >= FEEDER_STAGE_NAME) {
        return;
    }
    if (i == stats->n_stages) {
        memcpy(stats->stages[i].name, name, size + 1);
        stats->stages[i].row_us = row_us;
        stats->n_stages++;
    }
    stats->stages[i].row_us += (row_us - stats->stages[i].row_us) / 16;
}

static void note_times(struct feeder *feeder, const struct msg_chunk_done *done)
{
    double rows = (double)(done->end - done->begin);
    double row_us = (double)(done->us > 0 ? done->us : 0) / rows;
    feeder->row_us =
        feeder->row_us > 0 ? feeder->row_us + (row_us - feeder->row_us) / 16 : row_us + 0.01;
    pthread_mutex_lock(&feeder->lock);
    feeder->stats.counters[FEEDER_CHUNKS]++;
    for (size_t i = 0; done->stages != NULL && done->stages->type == DOC_MAP && i < done->stages->n;
         i++) {
        const struct doc_pair *pair = &done->stages->pairs[i];
        if (doc_is_number(&pair->value)) {
            note_stage(&feeder->stats, pair->key, doc_number(&pair->value) / rows);
        }
    }
    pthread_mutex_unlock(&feeder->lock);
}

static void on_done(struct feeder *feeder, int worker, const struct msg_chunk_done *done,
                    const struct sock_frame *frames, int n_frames)
{
    if (!inline_fits(feeder, done, frames, n_frames)) {
        give_up_worker(feeder, worker, -1, "its answer does not fit what was asked for");
        return;
    }
    int index = board_done(&feeder->board, worker, done);
    if (index < 0) {
        return;
    }
    copy_frames(feeder, &feeder->board.batches[index], done, frames, n_frames);
    feeder_bad_report(feeder, index, done);
    note_times(feeder, done);
}

static void on_failed(struct feeder *feeder, int worker, const struct msg_error *failure)
{
    int index = board_failed(&feeder->board, worker);
    if (index < 0) {
        return;
    }
    struct board_batch *batch = &feeder->board.batches[index];
    if (failure->code == ERR_DATA || batch->n_failed >= FEEDER_FAILED_MAX) {
        int code =
            failure->code < 0 && failure->code >= ERR_USAGE ? (int)failure->code : ERR_INTERNAL;
        err_set_at(&batch->err, code, failure->path != NULL ? failure->path : "", "%s",
                   failure->text != NULL ? failure->text : "a worker failed");
    }
}

static void handle(struct feeder *feeder, const struct sock_peer *peer, const struct msg *msg,
                   const struct sock_frame *frames, int n_frames)
{
    if (msg->type == MSG_CHUNK_HELLO) {
        on_hello(feeder, peer, msg->body);
        return;
    }
    int worker = find_peer(feeder, peer);
    if (worker < 0) {
        return; /* of a worker that is gone */
    }
    if (msg->type == MSG_CHUNK_DONE) {
        on_done(feeder, worker, msg->body, frames, n_frames);
    } else if (msg->type == MSG_CHUNK_FAILED) {
        on_failed(feeder, worker, msg->body);
    } else if (msg->type == MSG_CHUNK_WAIT) {
        board_wait(&feeder->board, worker, clock_us());
    }
}

void feeder_net_drain(struct feeder *feeder)
{
    for (int i = 0; i < DRAIN_BUDGET; i++) {
        struct sock_peer peer = {.size = 0};
        struct sock_frame frames[SOCK_FRAMES_MAX];
        struct msg msg;
        struct err err = {0};
        int n_frames = 0;
        int64_t uid = -1;
        arena_reset(&feeder->message);
        int rc = sock_recv(feeder->options.sock, &peer, &feeder->message, &msg, frames, &n_frames,
                           &uid, &err);
        if (rc == ERR_TIMEOUT) {
            return;
        }
        if (rc == 0) {
            handle(feeder, &peer, &msg, frames, n_frames);
            continue;
        }
        int worker = find_peer(feeder, &peer);
        if (worker >= 0) {
            give_up_worker(feeder, worker, -1, err.text);
        }
    }
}

void feeder_net_dispatch(struct feeder *feeder)
{
    for (int depth = 0; depth < BOARD_LEASES_MAX; depth++) {
        for (int i = 0; i < SLAB_WORKERS_MAX; i++) {
            struct board_worker *worker = &feeder->board.workers[i];
            struct msg_chunk_make make;
            if (!worker->used || worker->doomed || worker->n_leases != depth ||
                !board_lease(&feeder->board, i, clock_us(), &make)) {
                continue;
            }
            make.skip_samples = (struct opt_ints){feeder->convicted[make.stream],
                                                  (size_t)feeder->n_convicted[make.stream]};
            struct err err = {0};
            if (sock_send(feeder->options.sock, &feeder->peers[i], MSG_CHUNK_MAKE, 0, &make, NULL,
                          0, &err) < 0) {
                give_up_worker(feeder, i, -1, err.text);
            }
        }
    }
}

void feeder_net_expire(struct feeder *feeder)
{
    int worker;
    while ((worker = board_overdue(&feeder->board, clock_us())) >= 0) {
        pthread_mutex_lock(&feeder->lock);
        feeder->stats.counters[FEEDER_EXPIRED]++;
        pthread_mutex_unlock(&feeder->lock);
        give_up_worker(feeder, worker, row_in_flight(feeder, worker), "its lease expired");
    }
}

/* ---- the daemon
 * --------------------------------------------------------------------------------------------- */

static void on_worker_new(struct feeder *feeder, const void *body)
{
    const struct msg_child_worker *worker = body;
    for (int i = 0; i < FEEDER_GONE_MAX; i++) {
        if (feeder->gone[i].number == worker->worker && feeder->gone[i].pid == worker->pid) {
            feeder->gone[i].pid = -1;
        }
    }
}

static void on_worker_gone(struct feeder *feeder, const void *body)
{
    const struct msg_child_worker *gone = body;
    int slot = feeder->n_gone++ % FEEDER_GONE_MAX;
    feeder->gone[slot].number = gone->worker;
    feeder->gone[slot].pid = gone->pid;
    int worker = board_find_worker(&feeder->board, gone->worker, gone->pid);
    if (worker < 0) {
        return;
    }
    int batch = -1;
    int64_t row = row_in_flight(feeder, worker);
    int64_t convicted = board_gone(&feeder->board, worker, row, &batch);
    name_conviction(feeder, batch, convicted);
    pthread_mutex_lock(&feeder->lock);
    feeder->stats.counters[FEEDER_LOST]++;
    pthread_mutex_unlock(&feeder->lock);
}

static void on_quarantined(struct feeder *feeder, const void *body)
{
    const struct msg_child_seq *seq = body;
    feeder_bad_quarantined(feeder, seq->seq);
}

static void on_stop(struct feeder *feeder, const void *body)
{
    const struct msg_child_stop *stop = body;
    bool cancel = stop->reason != NULL && strcmp(stop->reason, "cancel") == 0;
    pthread_mutex_lock(&feeder->lock);
    feeder->stop = cancel ? FEEDER_STOP_CANCEL : FEEDER_STOP_CHECKPOINT;
    pthread_cond_broadcast(&feeder->changed);
    pthread_mutex_unlock(&feeder->lock);
}

static const struct {
    enum msg_id type;
    void (*handle)(struct feeder *feeder, const void *body);
} daemon_messages[] = {
    {MSG_CHILD_WORKER_NEW, on_worker_new},
    {MSG_CHILD_WORKER_GONE, on_worker_gone},
    {MSG_CHILD_QUARANTINED, on_quarantined},
    {MSG_CHILD_STOP, on_stop},
};

void feeder_net_control(struct feeder *feeder)
{
    for (;;) {
        struct msg msg;
        struct child_fds fds = {.n = 0};
        struct err err = {0};
        arena_reset(&feeder->message);
        int rc = child_recv(feeder->options.control->fd, 0, &feeder->message, &msg, &fds, &err);
        if (rc == ERR_TIMEOUT) {
            return;
        }
        if (rc == ERR_GONE) {
            feeder_fail(feeder, &err);
            return;
        }
        for (size_t i = 0; rc == 0 && i < sizeof(daemon_messages) / sizeof(daemon_messages[0]);
             i++) {
            if (daemon_messages[i].type == msg.type) {
                daemon_messages[i].handle(feeder, msg.body);
            }
        }
    }
}
