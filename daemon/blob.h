/* blob - content-addressed bytes: a file blobs/ab/<id> or a part of a pack, where id is their
 * BLAKE2b.
 *
 * Owns:     returned descriptors are the caller's.
 * Threads:  any; the store thread's in practice.
 * Errors:   ERR_NOT_FOUND, ERR_CORRUPT (bytes do not have the id), ERR_IO.
 * Lifetime: the state folder's.
 */
#ifndef DAEMON_BLOB_H
#define DAEMON_BLOB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"
#include "daemon/db.h"
#include "proto/pack.h"

enum { BLOB_PATH = 80 };

struct blob_place {
    char pack[PACK_NAME]; /* "" = a file of its own */
    int64_t number;       /* of the pack */
    int64_t offset, bytes;
};

bool blob_is_id(const char *id);
void blob_path(const char *id, char path[BLOB_PATH]); /* "ab/abcd..." */
int64_t blob_bytes(int blobs_fd, const char *id);     /* of a file of its own; -1 if absent */
/* Where a blob lies; ERR_NOT_FOUND (without a text) if nowhere. Arrivals must have been merged. */
int blob_find(int blobs_fd, struct db *db, const char *id, struct blob_place *ret, struct err *err);
/* Makes what arrived since the last merge findable. Inside a task that writes rows. */
int blob_merge(struct db *db, struct err *err);
int blob_open(int blobs_fd, const char *id, const struct blob_place *place, int *ret_fd,
              struct err *err);
/* Reads so many bytes of a descriptor, or to its end. */
int blob_hash_fd(int fd, int64_t offset, int64_t bytes, char id[HASH_ID_TEXT], struct err *err);
/* A damaged blob goes to the folder of quarantine, durably; one that is absent already stays so. */
int blob_put_aside(int blobs_fd, int state_fd, const char *id, struct err *err);
/* Moves a finished file in; the file must be synced. ret_dir_fd: the folder, still to be synced. */
int blob_adopt(int blobs_fd, int from_fd, const char *from, const char *id, int *ret_dir_fd,
               struct err *err);

#endif
