#include "daemon/blob_index.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

void blob_index_init(struct blob_index *index)
{
    memset(index, 0, sizeof(*index));
    pack_path_init(&index->hash);
}

void blob_index_fini(struct blob_index *index)
{
    buf_fini(&index->entries);
    buf_fini(&index->packs);
}

/* 1 + the pack's number in the index. Neighbours lie in the same pack, so the last one comes first.
 */
static uint32_t pack_of(struct blob_index *index, const char *name)
{
    const char *names = index->packs.data;
    for (uint32_t i = 0; i < index->n_packs; i++) {
        uint32_t k = (index->last + i) % index->n_packs;
        if (!strcmp(names + (size_t)k * PACK_NAME, name)) {
            index->last = k;
            return k + 1;
        }
    }
    buf_put(&index->packs, name, PACK_NAME);
    index->last = index->n_packs;
    return ++index->n_packs;
}

void blob_index_add(struct blob_index *index, const char *id, const struct blob_place *place)
{
    struct pack_entry entry = {0};
    if (place->pack[0] != '\0') {
        entry.pack = pack_of(index, place->pack);
        entry.offset = place->offset;
    }
    buf_put(&index->entries, &entry, sizeof(entry));
    index->n_files++;
    pack_path_add(&index->hash, id);
}

void blob_index_path(const struct blob_index *index, char path[PACK_INDEX_PATH])
{
    struct hash hash = index->hash;
    pack_path_final(&hash, path);
}

int blob_index_write(struct blob_index *index, int blobs_fd, struct err *err)
{
    char path[PACK_INDEX_PATH];
    struct buf text;
    blob_index_path(index, path);
    if (index->n_packs == 0) {
        return unlinkat(blobs_fd, path, 0) == 0 || errno == ENOENT
                   ? 0
                   : err_errno(err, errno, "remove an index of packs");
    }
    int fd = openat(blobs_fd, "at", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return err_errno(err, errno, "open blobs/at");
    }
    buf_init(&text);
    pack_index_encode((const char(*)[PACK_NAME])index->packs.data, index->n_packs,
                      (const struct pack_entry *)(const void *)index->entries.data, index->n_files,
                      &text);
    int rc = file_write_atomic(fd, path + 3, text.data, text.size, err);
    buf_fini(&text);
    close(fd);
    return rc;
}
