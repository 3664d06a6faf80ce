/* journal - what happened to a job: events with numbers, kept in the database and sent to those who
 * watch.
 *
 * Owns, Threads: rows are written by the store thread; all calls are the loop's.
 * Errors:   an event that cannot be stored is sent all the same and counted.
 * Lifetime: the daemon's.
 */
#ifndef DAEMON_JOURNAL_H
#define DAEMON_JOURNAL_H

#include "daemon/jobs.h"

/* Stores an event and sends it after the commit. */
void journal_put(struct job *job, const char *kind, const struct doc *data);
/* Sends without storing (progress): carries the last number. */
void journal_send(struct job *job, const char *kind, const struct doc *data);
/* A line for the job's log. */
void journal_log(struct job *job, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Rows that belong to an event; stored with it. */
void journal_epoch(struct job *job, const struct msg_child_epoch *epoch);
void journal_checkpoint(struct job *job, const struct msg_child_checkpoint *checkpoint);
/* Calls done(context, status) after the commit: only then is the conviction durable. */
void journal_quarantine(struct job *job, const struct msg_child_quarantine *bad,
                        void (*done)(void *context, int64_t seq, int status), void *context);

control_fn journal_on_logs, journal_on_watch;

#endif
