/* feeder - the thread that has batches made by workers and hands them to the fit loop in order.
 *
 * Owns:     its thread, the data socket, the board; the slabs' memory is the run's.
 * Threads:  feeder_next, feeder_return and feeder_stats are the fit loop's; all else is the
 * feeder's own thread, which is also the only reader of the control socket. What both touch is
 * under `lock` (feeder_impl.h). Errors:   feeder_next: ERR_INTERRUPTED (stop with a checkpoint),
 * ERR_CANCELLED, ERR_DATA (a sample, or too many), ERR_GONE. Lifetime: start .. stop.
 *
 * The fit loop is never slowed by a message: it waits only for a batch that is not there.
 */
#ifndef TRAINER_FEEDER_H
#define TRAINER_FEEDER_H

#include "base/counter.h"
#include "proto/sock.h"
#include "trainer/autotune.h"
#include "trainer/control.h"
#include "trainer/feed_plan.h"

enum feeder_stop { FEEDER_STOP_NONE, FEEDER_STOP_CHECKPOINT, FEEDER_STOP_CANCEL };
enum { FEEDER_STAGES_MAX = 32, FEEDER_STAGE_NAME = 48 };

struct feeder_options {
    const struct feed_plan *plan;
    struct feed_position start;
    unsigned char *slabs;
    size_t slab_bytes;
    int n_slabs;
    struct slab_header *header; /* NULL: rows come inline */
    struct sock *sock;
    struct control *control;
    int signal_fd; /* SIGTERM and SIGINT */
    struct autotune_limits limits;
    int64_t lease_floor_us;
    double max_bad;
    const struct doc *known_bad[2]; /* quarantine lists so far (checkpoint, daemon): [{stream, sample, convicted, ...}] */
};

struct feeder_batch {
    struct feed_position at;
    int64_t rows; /* good ones, standing first */
    int64_t bad;  /* rows that could not be made */
    unsigned char *data;
    const int64_t *samples;
    uint64_t hash; /* of the rows' bytes */
    int index;
};

enum feeder_counter {
#define COUNTER_ROW(symbol, name, unit, kind, help) FEEDER_##symbol,
#include "trainer/feeder_counters.h"
#undef COUNTER_ROW
    FEEDER_COUNTER_MAX_
};
extern const struct counter_desc feeder_counters[FEEDER_COUNTER_MAX_];

struct feeder_stats {
    int64_t counters[FEEDER_COUNTER_MAX_];
    int64_t wait_us; /* of the fit loop, since start */
    int queue, workers, depth;
    char choice[AUTOTUNE_REASON]; /* why so many workers, so deep a queue */
    int n_stages;
    struct {
        char name[FEEDER_STAGE_NAME];
        double row_us;
    } stages[FEEDER_STAGES_MAX];
};

struct feeder;
int feeder_start(const struct feeder_options *options, struct arena *arena, struct feeder **ret,
                 struct err *err);
/* The next batch in order; waits for it, and gives ERR_TIMEOUT every two seconds so that the caller can say that it waits.
 * It is the caller's until feeder_return. */
int feeder_next(struct feeder *feeder, struct feeder_batch *ret, struct err *err);
void feeder_return(struct feeder *feeder, const struct feeder_batch *batch);
enum feeder_stop feeder_stopping(struct feeder *feeder);
void feeder_stats(struct feeder *feeder, struct feeder_stats *ret);
/* The quarantine list as a document. */
void feeder_bad(struct feeder *feeder, struct doc *list, struct arena *arena);
void feeder_stop(struct feeder *feeder);

#endif
