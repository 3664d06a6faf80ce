/* feeder_impl - the inside of the feeder, shared by its files alone.
 *
 * Owns, Errors, Lifetime: as feeder.h.
 * Threads:  fields up to `lock` are the feeder thread's; those after it are under the lock.
 */
#ifndef TRAINER_FEEDER_IMPL_H
#define TRAINER_FEEDER_IMPL_H

#include "trainer/board.h"
#include "trainer/feeder.h"

enum {
    FEEDER_GONE_MAX = 256,
    FEEDER_KNOWN_BITS = 13,
    FEEDER_BAD_MAX = 1000,
    FEEDER_HOLDS_MAX = 256,
    FEEDER_FAILED_MAX = 3
};

struct feeder_bad_row {
    int64_t stream, sample, offset;
    const char *path, *reason;
    bool convicted;
};
struct feeder_hold { /* a conviction that is not durable yet */
    int64_t seq;
    int batch;
};
struct feeder_out { /* of a released batch, by batch index */
    int64_t rows, bad;
    uint64_t hash;
};

struct feeder {
    struct feeder_options options;
    struct board board;
    struct feed_position next; /* to be opened */
    struct sock_peer peers[SLAB_WORKERS_MAX];
    struct {
        int64_t number, pid;
    } gone[FEEDER_GONE_MAX]; /* a late HELLO of these is not believed */
    int n_gone;
    struct arena message; /* of the message in hand */
    struct autotune tune;
    int64_t tuned_us;
    double row_us; /* recent mean of all workers */
    int64_t blocked_since_us;
    struct feeder_hold holds[FEEDER_HOLDS_MAX];
    int n_holds;
    int64_t seq;
    uint64_t *known; /* set of (stream, sample) + 1 that were reported */
    int n_known;
    int64_t bad_rows[FEED_STREAM_MAX_];   /* since the epoch began */
    int64_t bad_epoch[FEED_STREAM_MAX_];  /* that it is counted for */
    int64_t *convicted[FEED_STREAM_MAX_]; /* samples to be left alone */
    int n_convicted[FEED_STREAM_MAX_];
    struct arena texts;
    pthread_t thread;
    int wake_fd;
    bool is_over; /* nothing more is asked for */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool quit;
    enum feeder_stop stop;
    struct err err;
    int *ready, ready_head, n_ready; /* ring of released batches */
    int *returned, n_returned;
    struct feeder_out *out;
    struct feeder_stats stats;
    int64_t steps, rows, queue_sum; /* since start */
    int64_t seen_steps, seen_rows, seen_wait_us, seen_queue;
    struct feeder_bad_row *bads;
    int n_bads;
};

/* feeder_net.c: messages of workers and of the daemon. */
void feeder_net_drain(struct feeder *feeder);
void feeder_net_control(struct feeder *feeder);
void feeder_net_dispatch(struct feeder *feeder);
void feeder_net_expire(struct feeder *feeder);
/* feeder_bad.c: bad rows and convictions. */
void feeder_bad_init(struct feeder *feeder, struct arena *arena);
void feeder_bad_report(struct feeder *feeder, int batch, const struct msg_chunk_done *done);
void feeder_bad_quarantined(struct feeder *feeder, int64_t seq);
/* Leaves the bad rows of a complete batch out; the good ones stand first. ERR_DATA when there are
 * too many. */
int feeder_bad_compact(struct feeder *feeder, struct board_batch *batch, struct feeder_out *ret,
                       struct err *err);
/* Ends the run with an error: the fit loop gets it from feeder_next. */
void feeder_fail(struct feeder *feeder, const struct err *failure);

#endif
