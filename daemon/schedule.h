/* schedule - which job runs next: the oldest that is checked, at most max_jobs at once.
 *
 * Owns:     nothing. Threads: the loop's. Errors: none. Lifetime: none.
 */
#ifndef DAEMON_SCHEDULE_H
#define DAEMON_SCHEDULE_H

#include "daemon/jobs.h"

/* Checks what is unchecked and starts what may start. */
void schedule_kick(struct daemon *daemon);
/* A job that was paused for want of space is tried again when there is some. */
void schedule_retry(struct job *job);
void schedule_retry_stop(struct job *job);
int64_t schedule_running(const struct daemon *daemon);

#endif
