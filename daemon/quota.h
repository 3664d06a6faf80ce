/* quota - what the data sets of one user may have together.
 *
 * Owns, Lifetime: nothing.
 * Threads:  the store thread's.
 * Errors:   ERR_LIMIT over quota_bytes, ERR_NO_SPACE when reserve_bytes would not stay free.
 */
#ifndef DAEMON_QUOTA_H
#define DAEMON_QUOTA_H

#include "daemon/daemon.h"
#include "daemon/db.h"

/* What the user's files have, and so many bytes more. */
int quota_check(const struct daemon *daemon, struct db *db, int64_t uid, int64_t more,
                struct err *err);
int quota_space(const struct daemon *daemon, size_t size, struct err *err);

#endif
