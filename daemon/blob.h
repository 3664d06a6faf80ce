/* blob - content-addressed files: blobs/ab/<id>, where id is the BLAKE2b of the bytes.
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

enum { BLOB_PATH = 80 };

bool blob_is_id(const char *id);
void blob_path(const char *id, char path[BLOB_PATH]); /* "ab/abcd..." */
int64_t blob_bytes(int blobs_fd, const char *id);     /* -1 if absent */
/* Reads a descriptor from its beginning to its end. */
int blob_hash_fd(int fd, char id[HASH_ID_TEXT], struct err *err);
/* Reads every byte again. */
int blob_verify(int blobs_fd, const char *id, int64_t bytes, struct err *err);
/* A damaged blob goes to the folder of quarantine, durably; one that is absent already stays so. */
int blob_put_aside(int blobs_fd, int state_fd, const char *id, struct err *err);
/* Moves a finished file in; the file must be synced. ret_dir_fd: the folder, still to be synced. */
int blob_adopt(int blobs_fd, int from_fd, const char *from, const char *id, int *ret_dir_fd,
               struct err *err);

#endif
