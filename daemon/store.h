/* store - the thread that may wait for the disk: tasks go in, completions come back on the loop.
 *
 * Owns:     the thread, the database connection, the queue. A task is its caller's; it belongs to
 * the store from store_put until `done` is called. Threads:  store_put and `done`: the loop's.
 * `run` and `publish`: the store thread, one after the other, in order. Errors:   a task's `status`
 * and `err`; a failed commit fails every task of its group that wrote rows. Lifetime: store_open ..
 * store_close; close runs what is queued first.
 *
 * Tasks that wait together form a group: all `run`, one sync a file, all `publish` (renames, rows
 * about what is durable now), one sync a folder, one commit. So a thousand small files cost a few
 * syncs, and nothing is acknowledged before it is durable.
 */
#ifndef DAEMON_STORE_H
#define DAEMON_STORE_H

#include <stdbool.h>
#include <uv.h>

#include "base/err.h"
#include "daemon/db.h"

struct store;
struct store_task;
typedef int store_fn(struct store_task *task, struct db *db, struct err *err);

struct store_task {
    store_fn *run;     /* returns 0 or a negative code */
    store_fn *sync;    /* makes durable what run wrote to a file that it shares; may be NULL */
    store_fn *publish; /* after its file is synced; may be NULL. Called with err NULL and a status <
                        * 0 when the task failed before */
    void (*done)(struct store_task *task);
    bool rows;      /* run writes to the database */
    bool late_rows; /* publish does */
    int sync_fd;    /* set by run: a file to sync, closed by the store; -1 = none */
    int dir_fd;     /* set by run or publish: a folder to sync, closed by the store; -1 = none */
    int status;
    struct err err;
    struct store_task *next;
};

int store_open(uv_loop_t *loop, const char *state_dir, struct store **ret, struct err *err);
/* Runs the queue to its end and calls what is done. */
void store_close(struct store *store);
/* For the start, before the first put. */
struct db *store_db(struct store *store);
void store_put(struct store *store, struct store_task *task);
int64_t store_queued(const struct store *store);
/* Microseconds since the oldest waiting task was put, 0 if none: the watchdog looks at it. */
int64_t store_lag_us(const struct store *store);
void store_task_init(struct store_task *task, store_fn *run, void (*done)(struct store_task *task),
                     bool rows);

#endif
