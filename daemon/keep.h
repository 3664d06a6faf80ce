/* keep - folders of what pipelines computed once: kept/<key>/, one for each set of data sets that a
 * job reads together.
 *
 * Owns:     the list of keys in use. A folder's descriptor is the caller's.
 * Threads:  the loop's; measuring and deleting run on the store thread.
 * Errors:   a folder that cannot be made is none of the job's: it computes for itself. ERR_IO,
 *           ERR_NO_SPACE, ERR_UNSUPPORTED (kept_bytes is 0).
 * Lifetime: keep_open .. keep_close. A key in use is not evicted; without, the least recently used
 *           ones go while there are more bytes than kept_bytes, and all whose data set went.
 *
 * The key is the hash of the manifests' ids, so that the daemon looks into no pipeline. Who is
 * broken in by one data set writes where only jobs that read the same data sets look.
 */
#ifndef DAEMON_KEEP_H
#define DAEMON_KEEP_H

#include "daemon/jobs.h"

struct keep;
struct keep_key;

void keep_open(struct daemon *daemon);
void keep_close(struct daemon *daemon);
/* Opens the folder of these data sets, made if it is not there; it is in use until keep_leave. */
int keep_take(struct daemon *daemon, const struct job_pin *pins, int64_t n_pins,
              struct keep_key **ret, int *ret_fd, struct err *err);
void keep_leave(struct keep_key *key); /* NULL is fine */
/* Measures, evicts, deletes what is left of dead writers; once more if it is under way. */
void keep_sweep(struct daemon *daemon);
void keep_tick(struct daemon *daemon);
/* {bytes, keys, used, limit_bytes} */
void keep_write(const struct daemon *daemon, struct doc *map, struct arena *arena);

#endif
