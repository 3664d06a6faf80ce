/* blob_sweep - what broken uploads and crashes left behind.
 *
 * Owns:     its task. Threads: start: the loop's; packs: the store thread's, in a task with rows.
 * Errors:   as the database. Lifetime: none.
 */
#ifndef DAEMON_BLOB_SWEEP_H
#define DAEMON_BLOB_SWEEP_H

#include "daemon/daemon.h"
#include "daemon/db.h"

/* Removes parts older than upload_keep_days, blobs that are files of their own, as old and named by
 * no data set, packs that the database does not know, and packs without blobs. */
void blob_sweep_start(struct daemon *daemon);
/* Removes blobs that are files of their own, older than the limit, named by no data set and not
 * held by an upload; adds up what went. */
void blob_sweep_loose(struct daemon *daemon, struct db *db, int64_t limit_us, int64_t *ret_n,
                      int64_t *ret_bytes);
/* Removes the packs that hold no blob and are not appended to. ret_n: how many, or NULL. */
int blob_sweep_packs(struct daemon *daemon, struct db *db, int64_t *ret_n, struct err *err);

#endif
