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

/* How much of what is not there a process makes. */
enum kept_how {
    KEPT_MAKE_ALL,
    KEPT_MAKE_BRIEFLY, /* what is not made at until_us is left: ERR_NOT_MADE */
    KEPT_MAKE_PARTS, /* those that no other process makes; then ERR_NOT_MADE, who puts them together
                        comes after */
};
/* What ERR_NOT_MADE is about. */
struct kept_missing {
    char path[192];   /* of the stage: "pipeline[1].filter" */
    const char *what; /* "keys" */
    int64_t parts, made, part_elements, elements;
};

struct kept {
    int fd;            /* the folder */
    int64_t max_bytes; /* of one file, with its header; 0 = no bound */
    enum kept_how how;
    int64_t until_us;      /* of KEPT_MAKE_BRIEFLY, by clock_us */
    int64_t maker, makers; /* of KEPT_MAKE_PARTS: who this is, from 0, among how many */
    /* Of KEPT_MAKE_PARTS, may be NULL: a part is begun, or was made. */
    void (*tell)(struct kept *kept, int64_t part, bool is_made); /* of kept->missing */
    void *context;
    struct kept_missing missing;
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

/* Parts of `id` that processes make at once: each is claimed by one at a time. A claim goes with
 * the process, however that ends. */
int kept_claims_open(struct kept *kept, const char *id, struct err *err); /* a descriptor */
bool kept_claim(int fd, int64_t part);
void kept_unclaim(int fd, int64_t part);
void kept_claims_remove(struct kept *kept, const char *id);
void kept_part_id(const char *id, int64_t part, char ret[HASH_ID_TEXT]);

/* A file of `bytes` behind its header that processes write at places of their own, all of them at
 * once; its space is reserved, and what nobody wrote is zero. Whether a row in it is whole is for
 * the row's own checksum to tell. The descriptor is the caller's to close; written and read with
 * kept_shared_write and kept_shared_read, at places from 0. One of another size is damaged and made
 * anew. */
int kept_shared(struct kept *kept, const char *id, int64_t bytes, int *ret_fd, struct err *err);
int kept_shared_write(int fd, int64_t place, const void *data, size_t size, struct err *err);
int kept_shared_read(int fd, int64_t place, void *data, size_t size, struct err *err);

#endif
