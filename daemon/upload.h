/* upload - data sets on their way in: chunks with credit, resumable, deduplicated, checked against
 * declared ids.
 *
 * Owns:     struct uploads owns the sessions; parts of files lie in uploads/<id>/ and outlive them.
 * Threads:  the loop's; tasks write on the store thread.
 * Errors:   ERR_NOT_FOUND (begin again), ERR_LIMIT, ERR_CORRUPT (bytes do not have the declared
 * id), ERR_NO_SPACE (go on later). Lifetime: upload_open .. upload_close. The same list gives the
 * same session, before and after a restart.
 */
#ifndef DAEMON_UPLOAD_H
#define DAEMON_UPLOAD_H

#include "daemon/control.h"

int upload_open(struct daemon *daemon, struct err *err);
void upload_close(struct daemon *daemon);

/* The ids of all files of the uploads that are known here: what they have is not to be collected.
 */
void upload_hold(const struct daemon *daemon, struct doc *ids, struct arena *arena);

/* Enters what a commit made and answers its request. */
struct upload_commit_task;
void upload_answer(struct upload_commit_task *task);

control_fn upload_on_begin, upload_on_chunk, upload_on_files, upload_on_commit;

#endif
