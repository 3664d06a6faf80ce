#include "proto/pack.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

enum { HEAD = 16, ENTRY = 16, NAME_BYTES = PACK_NAME - 1 };
static const char magic[8] = {'m', 'r', 'p', 'a', 'c', 'k', 's', '1'};

void pack_path_init(struct hash *hash)
{
    hash_init(hash);
    hash_update(hash, "at", 3);
}

void pack_path_add(struct hash *hash, const char *id)
{
    hash_update(hash, id, HASH_ID_TEXT - 1);
}

void pack_path_final(struct hash *hash, char path[PACK_INDEX_PATH])
{
    char id[HASH_ID_TEXT];
    hash_final(hash, id);
    (void)snprintf(path, PACK_INDEX_PATH, "at/%s", id);
}

void pack_path(const char *name, char path[PACK_PATH])
{
    (void)snprintf(path, PACK_PATH, "pack/%.32s", name);
}

void pack_index_encode(const char (*packs)[PACK_NAME], uint32_t n_packs, const struct pack_entry *entries,
                       uint32_t n_files, struct buf *out)
{
    const uint32_t counts[2] = {htole32(n_packs), htole32(n_files)};
    buf_put(out, magic, sizeof magic);
    buf_put(out, counts, sizeof counts);
    for (uint32_t i = 0; i < n_packs; i++) {
        buf_put(out, packs[i], NAME_BYTES);
    }
    for (uint32_t i = 0; i < n_files; i++) {
        const uint64_t entry[2] = {htole64(entries[i].pack), htole64((uint64_t)entries[i].offset)};
        buf_put(out, entry, sizeof entry);
    }
}

int pack_index_decode(const void *data, size_t size, struct pack_index *ret, struct err *err)
{
    const char *bytes = data;
    uint32_t counts[2];
    if (size < HEAD || memcmp(bytes, magic, sizeof magic) != 0) {
        return err_set(err, ERR_CORRUPT, "the index of packs is none");
    }
    memcpy(counts, bytes + sizeof magic, sizeof counts);
    *ret = (struct pack_index){.packs = bytes + HEAD, .n_packs = le32toh(counts[0]), .n_files = le32toh(counts[1])};
    const uint64_t names = (uint64_t)ret->n_packs * NAME_BYTES;
    if (size != HEAD + names + (uint64_t)ret->n_files * ENTRY) {
        return err_set(err, ERR_CORRUPT, "the index of packs has %zu bytes for %u packs and %u files", size,
                       ret->n_packs, ret->n_files);
    }
    for (uint64_t i = 0; i < names; i++) {
        if (ret->packs[i] == '\0' || strchr("0123456789abcdef", ret->packs[i]) == NULL) {
            return err_set(err, ERR_CORRUPT, "the index of packs names a pack that is none");
        }
    }
    ret->entries = (const unsigned char *)bytes + HEAD + names;
    for (uint32_t i = 0; i < ret->n_files; i++) {
        const struct pack_entry entry = pack_index_at(ret, i);
        if (entry.pack > ret->n_packs || entry.offset < 0) {
            return err_set(err, ERR_CORRUPT, "the index of packs has no pack %u for file %u", entry.pack, i);
        }
    }
    return 0;
}

struct pack_entry pack_index_at(const struct pack_index *index, uint32_t file)
{
    uint64_t entry[2];
    memcpy(entry, index->entries + (size_t)file * ENTRY, sizeof entry);
    return (struct pack_entry){.pack = (uint32_t)le64toh(entry[0]), .offset = (int64_t)le64toh(entry[1])};
}

void pack_index_pack(const struct pack_index *index, uint32_t pack, char name[PACK_NAME])
{
    memcpy(name, index->packs + (size_t)(pack - 1) * NAME_BYTES, NAME_BYTES);
    name[NAME_BYTES] = '\0';
}
