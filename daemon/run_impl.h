/* run_impl - what run.c and run_workers.c share. Not for others.
 *
 * Owns, Threads, Errors, Lifetime: see run.h.
 */
#ifndef DAEMON_RUN_IMPL_H
#define DAEMON_RUN_IMPL_H

#include "daemon/fds.h"
#include "daemon/process.h"
#include "daemon/run.h"
#include "proto/slab.h"

struct run_worker {
    struct process *process;        /* NULL between two */
    int64_t number;                 /* 1.. */
    int64_t restarts, early_deaths; /* early: before it was ready, in a row */
    int64_t wait_ms;
    bool wanted, started, leaving; /* started: has its start message; leaving: was asked to end */
    bool gone_told;
    char reason[160]; /* of its last end */
    const char *end;
    uv_timer_t timer; /* start again, or kill what does not leave */
    struct run *run;
};

struct run {
    struct daemon *daemon;
    struct job *job;
    struct arena arena;
    struct fds worker_fds, trainer_fds;
    char address[128];
    int64_t n_slabs, max_workers, threads;
    bool inline_rows, sandbox;

    struct process *trainer;
    bool trainer_ready;
    int64_t trainer_restarts,
        fruitless; /* fruitless: ends in a row without a finished step in between */
    int64_t trainer_wait_ms;
    int64_t first_step, last_step; /* global step at the start of this trainer, and now */
    int64_t ticks, ticks_us;       /* for run_watch */
    char trainer_reason[160];
    const char *trainer_end;
    uv_timer_t timer; /* start the trainer again, or kill it after the grace */

    struct run_worker workers[SLAB_WORKERS_MAX];
    int64_t n_wanted;

    enum run_intent intent;
    bool finished, paused, settled;
    struct err outcome; /* of child.paused or child.failed */
    int n_open;         /* timers */
};

/* Sends child.start with what the role needs. */
int run_send_start(struct run *run, struct process *process, struct fds *fds, int64_t worker,
                   int64_t memory_bytes, struct err *err);
/* Goes on when a child was reaped: starts the trainer again, or lets the job go. */
void run_settle(struct run *run);

/* run_workers.c */
void run_workers_init(struct run *run);
/* Makes the number of workers what is wanted. */
void run_workers_apply(struct run *run);
/* The trainer is ready: who was started before gets its start message. */
void run_workers_go(struct run *run);
void run_workers_kill_all(struct run *run);
void run_workers_lease(struct run *run, const struct msg_child_worker *worker);
bool run_workers_alive(const struct run *run);
void run_workers_write(const struct run *run, struct doc *list, struct arena *arena);
void run_workers_close(struct run *run, uv_close_cb closed);

#endif
