/* manifest - the list of a version's files, read from the disk entry by entry: however long it is,
 * it takes a window of memory.
 *
 * Owns:     struct manifest is heap, made by manifest_open, given back by manifest_close.
 * Threads:  one at a time; the store thread's in practice.
 * Errors:   ERR_NOT_FOUND; ERR_CORRUPT: the text does not have its id, or is no manifest.
 * Lifetime: open .. close. An entry lives till the next one.
 */
#ifndef DAEMON_MANIFEST_H
#define DAEMON_MANIFEST_H

#include "base/doc.h"
#include "daemon/daemon.h"

struct manifest;

/* Reads it once to compare it with its id. */
int manifest_open(const struct daemon *daemon, const char *id, struct manifest **ret,
                  struct err *err);
void manifest_close(struct manifest *manifest);
/* All of it but the files: {kind, place, shards, ...}. */
const struct doc *manifest_rest(const struct manifest *manifest);
/* The next of the files: {path, bytes, id, ...}; *ret NULL behind the last. */
int manifest_next(struct manifest *manifest, const struct doc **ret, struct err *err);
void manifest_rewind(struct manifest *manifest);

#endif
