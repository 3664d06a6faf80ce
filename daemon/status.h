/* status - documents about the daemon as a whole, for the control socket and the status endpoint.
 *
 * Owns, Lifetime: the arena's. Threads: the loop's. Errors: none.
 */
#ifndef DAEMON_STATUS_H
#define DAEMON_STATUS_H

#include "daemon/control.h"

/* {version, instance, uptime_seconds, jobs: {state: n}, datasets, counters, status_url, settings}
 */
void status_write(const struct daemon *daemon, struct doc *map, struct arena *arena);
/* {workers: [{job, worker, pid, state, restarts, reason}]} */
void status_write_workers(const struct daemon *daemon, struct doc *map, struct arena *arena);
/* True when the loop turns and the store ends its work in time. why: a sentence if not. */
bool status_is_well(const struct daemon *daemon, const char **why);

control_fn status_on_workers, status_on_status;

#endif
