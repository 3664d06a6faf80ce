/* blob_gc - collection: blobs that nobody names go, packs that are mostly dead are made anew.
 *
 * Owns:     its task. Threads: the loop's; the work is the store thread's, a pack or a manifest a
 * task, so that others get their turn. Errors: those of reading and writing; what was done stays.
 * Lifetime: none.
 *
 * A pack that was copied is marked dead in the transaction that moves its rows; it is removed after
 * the indexes of all manifests were written again, also by the next start.
 */
#ifndef DAEMON_BLOB_GC_H
#define DAEMON_BLOB_GC_H

#include "daemon/control.h"

control_fn blob_gc_on_gc;
/* Ends a collection that a crash broke off. */
void blob_gc_recover(struct daemon *daemon);

#endif
