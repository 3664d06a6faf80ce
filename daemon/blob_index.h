/* blob_index - the index of packs that workers read (proto/pack.h), made from where blobs lie.
 *
 * Owns:     its lists, heap. Threads: one at a time; the store thread's in practice.
 * Errors:   ERR_IO, ERR_NO_SPACE. Lifetime: init .. fini.
 */
#ifndef DAEMON_BLOB_INDEX_H
#define DAEMON_BLOB_INDEX_H

#include "daemon/blob.h"

struct blob_index {
    struct hash hash;
    struct buf entries, packs; /* struct pack_entry; PACK_NAME bytes each */
    uint32_t n_files, n_packs, last;
};

void blob_index_init(struct blob_index *index);
void blob_index_fini(struct blob_index *index);
/* The files of a list in their order. */
void blob_index_add(struct blob_index *index, const char *id, const struct blob_place *place);
/* Writes it durably under its name, or removes an older one if no file lies in a pack. */
int blob_index_write(struct blob_index *index, int blobs_fd, struct err *err);
/* The name, for removing it. */
void blob_index_path(const struct blob_index *index, char path[PACK_INDEX_PATH]);

#endif
