/* process - a child of the daemon: started, spoken to, ended, and why it ended.
 *
 * Owns:     struct process frees itself after its `on_end` was called and its handles are closed;
 * its owner forgets it then. Threads:  the loop's, which is the main thread: the children's death
 * signal follows the thread that started them. Errors:   ERR_NOT_FOUND (no such program), ERR_IO. A
 * message that the child does not take is kept and sent again. Lifetime: process_start .. the exit
 * callback.
 */
#ifndef DAEMON_PROCESS_H
#define DAEMON_PROCESS_H

#include "daemon/daemon.h"
#include "proto/child.h"
#include "proto/role.h"

enum process_end {
    PROCESS_RUNS,
    PROCESS_EXIT,     /* by itself */
    PROCESS_SIGNAL,   /* killed by someone else, or crashed */
    PROCESS_WATCHDOG, /* killed by us: hung */
    PROCESS_LEASE,    /* killed by us: the trainer gave it up */
    PROCESS_TIMEOUT,  /* killed by us: over its time */
    PROCESS_MEMORY,   /* it said that memory was short */
    PROCESS_STOPPED,  /* we asked for it */
};

struct process;
typedef void process_message_fn(struct process *process, const struct msg *msg, void *context);
typedef void process_exit_fn(struct process *process, void *context);

struct process {
    struct daemon *daemon;
    enum role role;
    int pid;
    int64_t started_us, heard_us;
    bool ready;           /* child.ready came */
    enum process_end end; /* set before the exit when we end it */
    int64_t exit_status;
    int term_signal;
    struct err failure; /* of child.failed */
    process_message_fn *on_message;
    process_exit_fn *on_end;
    void *context;
    struct job *job; /* whose worker it is, or NULL */
    uv_process_t handle;
    uv_poll_t poll;
    int fd, n_open;
    bool reading_ended;
    struct arena arena;
    struct process_queued *queue; /* what the child did not take yet */
};

int process_start(struct daemon *daemon, enum role role, int64_t threads,
                  process_message_fn *on_message, process_exit_fn *on_end, void *context,
                  struct process **ret, struct err *err);
/* fds may be NULL; they stay the caller's. */
int process_send(struct process *process, enum msg_id type, const void *body,
                 const struct child_fds *fds, struct err *err);
/* SIGKILL, with the reason that will be shown. */
void process_kill(struct process *process, enum process_end why);
/* Processor time used so far in clock ticks, -1 if unknown. */
int64_t process_ticks(const struct process *process);
/* "killed by signal 11 (Segmentation fault)" */
void process_end_text(const struct process *process, char *buf, size_t size);
const char *process_end_name(enum process_end end);

#endif
