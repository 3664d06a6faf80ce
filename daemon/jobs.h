/* jobs - the jobs and their states: all of them in memory, every change stored.
 *
 * Owns:     struct jobs owns the jobs; a job lives till the daemon ends. Its folder is jobs/<id>/
 * in the state folder. Threads:  the loop's; rows are written by the store thread. Errors:   a row
 * that cannot be written (full disk) is tried again until it is; requests wait for theirs and fail
 * with it. Lifetime: jobs_open .. jobs_close.
 */
#ifndef DAEMON_JOBS_H
#define DAEMON_JOBS_H

#include "base/fsm.h"
#include "daemon/control.h"

enum job_state {
#define JOB_STATE(symbol, name) JOB_##symbol,
#include "daemon/job_states.h"
    JOB_STATE_MAX_
};
enum job_event {
#define JOB_EVENT(symbol, name) JOB_EVENT_##symbol,
#include "daemon/job_states.h"
    JOB_EVENT_MAX_
};
extern const struct fsm jobs_fsm;

enum { JOBS_ID = 48, JOBS_QUARANTINE_MAX = 10000 };

struct job_pin { /* a data set as it was when the job was submitted */
    const char *name, *id;
};

struct job {
    struct job *next; /* by number */
    struct daemon *daemon;
    int64_t number;
    char id[JOBS_ID];
    const char *name, *key, *from; /* key, from: or NULL */
    int state;
    struct err reason; /* code 0 = none */
    int64_t created_us, started_us, ended_us, restarts, last_seq;
    struct arena arena;
    struct job_pin *pins;
    int64_t n_pins;
    const struct doc *settings; /* {workers, max_workers, threads, transport} of the job file */
    const struct doc *plan;     /* NULL until checked */
    struct doc *history, *checkpoints, *quarantine;
    struct arena progress_arena;
    struct doc *progress; /* NULL before the first step */
    struct doc *adapting; /* what workers make for its plan, or NULL (check.h) */
    const char *result;   /* JSON or NULL */
    bool saving, dirty, stored,
        agreed; /* agreed: a person resumed it after a pause, other numerics are taken */
    struct run *run;
    struct check *check;
    struct waiting
        *waiting;     /* requests that wait for its check or for the next commit (submit.c) */
    uv_timer_t retry; /* paused for want of space */
    bool retry_open;
    int64_t retry_wait_ms;
};

struct jobs {
    struct job *head;
    int64_t last_number;
    uv_timer_t save_retry;
    bool save_failed;
};

int jobs_open(struct daemon *daemon, struct err *err);
/* After everything is open: checks and starts what was under way. */
void jobs_recover(struct daemon *daemon);
void jobs_close(struct daemon *daemon);

struct job *jobs_new(struct daemon *daemon, const char *name);
struct job *jobs_find(const struct daemon *daemon,
                      const char *id_or_name); /* the newest of a name */
struct job *jobs_find_key(const struct daemon *daemon, const char *key);
int jobs_get(const struct daemon *daemon, const char *id_or_name, struct job **ret,
             struct err *err);
bool jobs_is_over(const struct job *job);
int64_t jobs_count(const struct daemon *daemon, int state);
/* A job that is not over and uses the version of a data set with this manifest, or NULL; the list.
 */
const char *jobs_user(const struct daemon *daemon, const char *manifest);
void jobs_write_users(const struct daemon *daemon, const char *manifest, struct doc *list,
                      struct arena *arena);

/* Moves the job by an event, stores it and tells the watchers. reason may be NULL. ERR_INVALID: not
 * from this state. */
int jobs_step(struct job *job, enum job_event event, const struct err *reason, struct err *err);
/* Stores the row as it is; again later if that fails. */
void jobs_save(struct job *job);
/* jobs/<id>, made if it is not there. */
int jobs_folder(const struct job *job, int *ret_fd, struct err *err);

/* {job, name, state, ...}; full: with plan, history, checkpoints, workers, quarantine. */
void jobs_write(const struct job *job, bool full, struct doc *map, struct arena *arena);
void jobs_write_all(const struct daemon *daemon, struct doc *map, struct arena *arena);
/* The newest checkpoint's file in the job's folder, or NULL. */
const char *jobs_newest(const struct job *job);

#endif
