/* harness - a miniature of the daemon: real trainer and worker processes on a job, with kills and
 * stops at will.
 *
 * Owns:     its temporary folder, its children (killed by harness_close), their sockets.
 * Threads:  one.
 * Errors:   what must not happen fails the test.
 * Lifetime: open .. close; a job is planned once and run as often as wanted, in the same job folder
 * or a new one.
 */
#ifndef TESTS_SYSTEM_HARNESS_H
#define TESTS_SYSTEM_HARNESS_H

#include "base/rng.h"
#include "proto/child.h"
#include "proto/job.h"
#include "proto/slab.h"
#include "tests/test.h"

enum { HARNESS_WORKERS_MAX = 16, HARNESS_TEXT = 512 };

struct harness_options {
    const char *job; /* JSON */
    int workers;     /* 0 = as many as the trainer asks for */
    int n_slabs;
    bool sandbox;
    int chaos_ms; /* a random worker is killed or stopped so often; 0 = never */
    int lease_ms;
    int kill_late_ms; /* chaos only stops; what the trainer has killed wakes once more and dies so
                         much later */
    double checkpoint_share;
    bool seed_by_worker; /* negative control: each worker draws from a seed of its own */
    const char *trainer; /* program in the build folder; NULL = the real one */
    uint64_t seed;       /* of the disturbances */
    bool same_folder; /* harness_plan keeps the job's folder: the job changes, what it did stays */
};

struct harness_worker {
    pid_t pid; /* 0 = none */
    int fd, pid_fd;
    int64_t number;
    bool ready;
    int64_t continue_us; /* when a stopped one is continued */
    int64_t kill_us;     /* when one that the trainer has killed dies, 0 = not asked */
};

struct harness_outcome {
    bool finished, paused, failed, killed;
    int status; /* of the trainer, as waitpid gives it */
    int code;
    char text[HARNESS_TEXT]; /* of failed and paused */
    char path[HARNESS_TEXT];
    char log[8 * HARNESS_TEXT]; /* lines for the job's log */
    int64_t sample;             /* the last one in quarantine */
    char chain[32];             /* over all batches */
    char tensors[72];           /* of the last checkpoint */
    double accuracy, val_accuracy;
    int64_t global_step, checkpoint_step; /* of the last message of each */
    int n_checkpoints, n_epochs, n_kills, n_stops, n_lost, n_quarantine, n_convicted, n_progress,
        most_workers;
    double wait_share; /* of the last progress message */
    int64_t bytes_wire, batches, expired, moved;
    char choice[HARNESS_TEXT]; /* the last reason of child.workers */
    int64_t wanted, prefetch;  /* by it */
    double seconds;            /* ready .. end */
};

struct harness {
    char dir[TEST_PATH], job_dir[TEST_PATH], address[TEST_PATH];
    int blobs_fd, kept_fd, job_dir_fd, manifest_fd;
    int plan_fd, job_fd, slab_fd;
    size_t slab_bytes;
    struct harness_options options;
    pid_t trainer;
    int trainer_fd, trainer_pid_fd;
    bool trainer_ready;
    struct harness_worker workers[HARNESS_WORKERS_MAX];
    int64_t next_number, n_jobs;
    struct rng rng;
    struct arena arena;
    struct harness_outcome outcome;
    /* Called after each message of the trainer and at least every 20 ms; may kill. NULL = none. */
    void (*hook)(struct harness *harness, const struct msg *msg);
    void *hook_ctx;
    int watch_fd;  /* wakes the hook, 0 = none */
    bool stopping; /* for hooks */
};

/* Makes the store with the digits (names "digits", splits train and test). Skips the test without
 * them. */
void harness_open(struct harness *harness, const char *shared);
/* Has a job checked by the real worker and trainer; keeps its plan. The result of the trainer's
 * checker is in *ret_model. */
void harness_plan(struct harness *harness, const struct harness_options *options);
/* A new, empty job folder. */
void harness_new_job(struct harness *harness);
/* Runs the job in its folder until the trainer ends. */
const struct harness_outcome *harness_run(struct harness *harness);
void harness_kill_trainer(struct harness *harness, int signal);
void harness_stop(struct harness *harness, const char *reason);
void harness_close(struct harness *harness);
/* Runs a child to its answer (check, predict): 0 and the document in the harness's arena, or the
 * error of child.failed. */
int harness_ask(struct harness *harness, const char *program, const struct msg_child_start *start,
                const struct child_fds *fds, const struct doc **ret, struct err *err);
int harness_memfd(const char *name, const void *data, size_t size);

#endif
