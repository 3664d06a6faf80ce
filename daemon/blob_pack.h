/* blob_pack - files of many blobs: appended to while an upload runs, never written again.
 *
 * Owns:     struct blob_packs owns the packs that are open for appending, one an upload.
 * Threads:  the store thread's (made before it starts, destroyed after it ended).
 * Errors:   ERR_NO_SPACE, ERR_IO. A pack whose sync failed takes no more: the next append opens
 * another. Lifetime: create .. destroy; a pack handed out lives till its owner's release.
 *
 * Order: append, sync, the row in the database, its commit, the acknowledgement. What stands behind
 * the last row of a pack is of no use to anybody and is never read.
 */
#ifndef DAEMON_BLOB_PACK_H
#define DAEMON_BLOB_PACK_H

#include <stdbool.h>

#include "daemon/db.h"
#include "proto/pack.h"

enum { BLOB_PACK_OWNER = 17, BLOB_PACK_BYTES = 256 << 20 };

struct blob_packs;
struct blob_pack {
    struct blob_pack *next;
    char owner[BLOB_PACK_OWNER];
    char name[PACK_NAME];
    int64_t number, created_us, end, synced;
    int fd, n_users;
    bool failed, left; /* left: takes no more; closed after its last user */
};

int blob_pack_open(int blobs_fd, struct db *db, struct blob_packs **ret, struct err *err);
void blob_pack_close(struct blob_packs *packs);
/* Appends to the owner's pack, opening one if need be. The caller uses the pack until
 * blob_pack_done. */
int blob_pack_append(struct blob_packs *packs, const char *owner, const void *data, size_t size,
                     struct blob_pack **ret, int64_t *ret_offset, struct err *err);
/* Everything below `end` is durable, or an error. */
int blob_pack_sync(struct blob_pack *pack, int64_t end, struct err *err);
/* The row of a blob in a synced pack. */
int blob_pack_enter(const struct blob_pack *pack, struct db *db, const char *id, int64_t offset,
                    int64_t bytes, struct err *err);
void blob_pack_done(struct blob_packs *packs, struct blob_pack *pack);
/* The owner appends no more. */
void blob_pack_release(struct blob_packs *packs, const char *owner);
bool blob_pack_is_open(const struct blob_packs *packs, int64_t number);

#endif
