/* kept - files with what was computed once of a data set: tables, indexes, rows.
 *
 * Owns:     the folder's descriptor is the caller's, as is what kept_read gives.
 * Threads:  one (it counts).
 * Errors:   what cannot be kept is no error of the pipeline: kept_put says why, and who asked goes
 *           on with what it has in memory. ERR_NO_SPACE, ERR_LIMIT, ERR_DENIED, ERR_IO, and
 *           ERR_UNSUPPORTED where `kept` is NULL.
 * Lifetime: the process's; files stay till the daemon evicts them or their data set goes.
 *
 * A file is named by an id of what it is: the BLAKE2b of a canonical description (kept_id), in
 * which a version of its form stands, so that there is nothing to compare but the id. It is whole
 * or not there: it is written under a random name and renamed. Nothing is synced, because nothing
 * is lost with it: length and checksum stand in front, and a file that a power cut tore is taken
 * for none. What is read is a copy: another process that writes where it should not changes nothing
 * in it. The folder belongs to the data sets of a job (docs/decisions).
 */
#ifndef PIPELINE_KEPT_H
#define PIPELINE_KEPT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/doc.h"
#include "base/hash.h"

enum { KEPT_HEADER_BYTES = 64 }; /* in front of what was written */

struct kept {
    int fd;            /* the folder */
    int64_t max_bytes; /* of one file, with its header; 0 = no bound */
    /* So far, for tests and people. */
    int64_t n_found, n_missed, n_damaged, n_made;
    int64_t n_elements; /* that were read to make what was not there */
};

/* {what: ..., version: ..., of: ...}; `of`: everything that it depends on. */
void kept_id(const char *what, int version, const struct doc *of, char ret[HASH_ID_TEXT]);

/* Its bytes in memory that the caller frees, or ERR_NOT_FOUND: not there, or damaged and then
 * removed. `kept` NULL: nothing is there. More than max_bytes are damage. ERR_NO_MEMORY. */
int kept_read(struct kept *kept, const char *id, size_t max_bytes, void **ret, size_t *ret_size);
bool kept_has(struct kept *kept, const char *id); /* looks at its header only */
/* Writes and publishes it; over one that is there, too. */
int kept_put(struct kept *kept, const char *id, const void *data, size_t size, struct err *err);
void kept_remove(struct kept *kept, const char *id);

/* A file of `bytes` behind its header that processes write at places of their own, all of them at
 * once; its space is reserved, and what nobody wrote is zero. Whether a row in it is whole is for
 * the row's own checksum to tell. The descriptor is the caller's to close; written and read with
 * kept_shared_write and kept_shared_read, at places from 0. One of another size is damaged and made
 * anew. */
int kept_shared(struct kept *kept, const char *id, int64_t bytes, int *ret_fd, struct err *err);
int kept_shared_write(int fd, int64_t place, const void *data, size_t size, struct err *err);
int kept_shared_read(int fd, int64_t place, void *data, size_t size, struct err *err);

#endif
