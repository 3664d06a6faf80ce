/* pack - where the small files of a data set lie: an index beside the packs that workers read.
 *
 * Owns:     nothing; a decoded index points into the bytes given.
 * Threads:  none shared.
 * Errors:   ERR_CORRUPT for bytes that are no index.
 * Lifetime: the bytes'.
 *
 * A pack is a run of files without anything between them, "pack/<random name>" in the folder of blobs. The index of
 * a list of files is "at/<id>", where the id is made from the ids of the files in their order: like a blob's name,
 * only who has the manifest can say it. A list without an index has its files one by one.
 */
#ifndef PROTO_PACK_H
#define PROTO_PACK_H

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"

enum { PACK_NAME = 33, PACK_PATH = 48, PACK_INDEX_PATH = 80 };

struct pack_entry {
    uint32_t pack; /* 0 = a file of its own, else 1 + the pack's number in the index */
    int64_t offset;
};
struct pack_index {
    const char *packs; /* PACK_NAME - 1 hex digits each */
    const unsigned char *entries;
    uint32_t n_packs, n_files;
};

/* The path of an index: init, add every id in the order of the list, then the path. */
void pack_path_init(struct hash *hash);
void pack_path_add(struct hash *hash, const char *id);
void pack_path_final(struct hash *hash, char path[PACK_INDEX_PATH]);
/* "pack/<name>" */
void pack_path(const char *name, char path[PACK_PATH]);

void pack_index_encode(const char (*packs)[PACK_NAME], uint32_t n_packs, const struct pack_entry *entries,
                       uint32_t n_files, struct buf *out);
int pack_index_decode(const void *data, size_t size, struct pack_index *ret, struct err *err);
/* file < n_files. */
struct pack_entry pack_index_at(const struct pack_index *index, uint32_t file);
void pack_index_pack(const struct pack_index *index, uint32_t pack, char name[PACK_NAME]);

#endif
