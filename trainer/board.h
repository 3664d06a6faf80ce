/* board - which rows of which batches are made, leased or missing: the bookkeeping of the feeder.
 *
 * Owns:     its tables (arena); the memory of the slabs is the caller's.
 * Threads:  the feeder's thread only.
 * Errors:   none; a broken invariant is BUG().
 * Lifetime: the run's.
 *
 * A batch is cut into chunks; a chunk is leased to a worker until a deadline. A lease that expired
 * stays with its worker until that is dead and reaped: its slab is not free, and its rows are not
 * asked for again in that slab, before (generations alone do not keep a stopped process that wakes
 * from writing). The batch moves to another slab instead. The row that a dead worker had in flight
 * is a suspect: it is asked for again alone, from a worker with nothing else in hand; the third
 * such death convicts it, and from then on it is skipped.
 */
#ifndef TRAINER_BOARD_H
#define TRAINER_BOARD_H

#include "base/arena.h"
#include "proto/msg.h"
#include "trainer/feed_plan.h"

enum { BOARD_LEASES_MAX = 2, BOARD_STRIKES = 3, BOARD_ROW_UNKNOWN = -2 };

enum board_chunk_state { BOARD_CHUNK_TODO, BOARD_CHUNK_LEASED, BOARD_CHUNK_DONE };

struct board_chunk {
    int64_t begin, end;
    int state;
    int strikes; /* workers that died on it while it was alone */
    bool alone;  /* one suspect row */
};

struct board_batch {
    bool used;
    bool released; /* handed to the fit loop */
    struct feed_position at;
    int64_t rows;
    int slab;
    int n_chunks, n_todo, n_done, n_max;
    struct board_chunk *chunks;
    int64_t *skip; /* convicted rows */
    int n_skip, n_skip_max;
    int n_failed;   /* chunk.failed answers */
    int n_holds;    /* convictions that are not durable yet */
    struct err err; /* the batch cannot be made */
};

struct board_lease {
    bool used, expired;
    int batch;
    int64_t begin, end;
    int slab;
    int64_t generation;
    int64_t sent_us, deadline_us;
};

struct board_worker {
    bool used;
    bool doomed; /* asked to be killed, or gone for the socket: gets nothing more */
    int64_t number, pid;
    int n_leases;
    struct board_lease leases[BOARD_LEASES_MAX]; /* in the order they were given */
};

struct board_slab {
    bool owned; /* by a batch */
    int n_leases;
    int n_expired; /* leases of those whose writer may still wake */
};

struct board_timing {
    int64_t floor_us; /* least time of a lease */
    int64_t row_us;   /* measured, 0 = not yet */
};

struct board {
    const struct feed_plan *plan;
    unsigned char *slabs;
    size_t slab_bytes;
    int n_slabs;
    int n_batches;    /* capacity, = n_slabs */
    int head, n_open; /* ring of open batches in order: head .. head + n_open */
    struct board_batch *batches;
    struct board_slab *slab;
    struct board_worker workers[SLAB_WORKERS_MAX];
    int64_t generation;
    struct board_timing timing;
    int64_t n_remade, n_moved, n_late; /* counters */
};

void board_init(struct board *board, const struct feed_plan *plan, unsigned char *slabs,
                size_t slab_bytes, int n_slabs, struct arena *arena);
/* Slabs that a new batch may take (one is kept for a batch that must move). */
bool board_has_room(const struct board *board);
/* Opens the batch at a position behind all others, cut into at most `parts`; returns its index. */
int board_open(struct board *board, const struct feed_position *at, int parts);
/* The oldest batch if it is complete (or failed) and nothing holds it back, else -1. */
int board_ready(const struct board *board);
/* A batch that board_ready gave goes to the fit loop, and comes back. */
void board_release(struct board *board, int batch);
void board_return(struct board *board, int batch);

int board_add_worker(struct board *board, int64_t number, int64_t pid);
int board_find_worker(const struct board *board, int64_t number, int64_t pid);
int board_n_workers(const struct board *board); /* that can be given work */
/* The next chunk for a worker, leased from now on; false if there is none for it. */
bool board_lease(struct board *board, int worker, int64_t now_us, struct msg_chunk_make *ret);
/* A token: marks its rows made and returns the batch, or -1 if the lease is not (any more) the
 * worker's. *ret_slab is where the rows are. board_settle then brings them to where the batch is.
 */
int board_done(struct board *board, int worker, const struct msg_chunk_done *done);
/* The worker cannot make the chunk: it counts, and is asked for again after the worker is gone.
 * Returns the batch or -1. */
int board_failed(struct board *board, int worker);
/* The worker waits for what a client feeds: its leases begin anew. */
void board_wait(struct board *board, int worker, int64_t now_us);
/* A worker whose lease is past its deadline, or -1. */
int board_overdue(const struct board *board, int64_t now_us);
int64_t board_next_deadline(const struct board *board); /* INT64_MAX if none */
/* The worker is given up: its leases expire, the caller has it killed. row is what it has in flight
 * (-1 none, BOARD_ROW_UNKNOWN). Both return the row that is convicted by this (and its batch in
 * *ret_batch), or -1. */
int64_t board_expire(struct board *board, int worker, int64_t row, int *ret_batch);
/* The worker is dead and reaped: its slabs are free. */
int64_t board_gone(struct board *board, int worker, int64_t row, int *ret_batch);

#endif
