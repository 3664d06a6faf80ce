/* Where the bytes of a data set's files are: blobs, parts of shards, or files of a user's. */
#include <errno.h>
#include <unistd.h>

#include "daemon/blob.h"
#include "daemon/dataset.h"
#include "daemon/in_place.h"
#include "proto/place.h"

const struct doc *dataset_files_shard(const struct dataset_files *files, const struct doc *file)
{
    const struct doc *shards = doc_get(files->rest, "shards");
    const int64_t shard = doc_int(file, "shard", -1);
    return shards != NULL && shards->type == DOC_LIST && shard >= 0 && (size_t)shard < shards->n
               ? doc_at(shards, (size_t)shard)
               : NULL;
}

static int open_blob(const struct daemon *daemon, struct db *db, const struct doc *entry,
                     int *ret_fd, int64_t *ret_offset, struct err *err)
{
    const char *id = doc_str(entry, "id", "");
    struct blob_place place;
    if (!blob_is_id(id)) {
        return err_set(err, ERR_CORRUPT, "the manifest gives no content id");
    }
    int rc = blob_find(daemon->blobs_fd, db, id, &place, err);
    if (rc == ERR_NOT_FOUND || (rc >= 0 && place.bytes != doc_int(entry, "bytes", -1))) {
        return err_set(err, ERR_CORRUPT, "blob %s is missing or has another size", id);
    }
    *ret_offset = place.offset;
    return rc < 0 ? rc : blob_open(daemon->blobs_fd, id, &place, ret_fd, err);
}

int dataset_files_open(struct dataset_files *files, struct db *db, const struct doc *file,
                       int *ret_fd, int64_t *ret_offset, struct err *err)
{
    const char *place = doc_str(files->rest, "place", NULL);
    const struct doc *shard = dataset_files_shard(files, file);
    int rc = 0;
    *ret_fd = -1;
    *ret_offset = 0;
    if (place != NULL) {
        rc = files->place_fd < 0 ? in_place_open(files->daemon, place, &files->place_fd, err) : 0;
        return rc < 0 ? rc : place_open(files->place_fd, file, ret_fd, err);
    }
    rc = open_blob(files->daemon, db, shard != NULL ? shard : file, ret_fd, ret_offset, err);
    *ret_offset += shard != NULL ? doc_int(file, "offset", 0) : 0;
    return rc;
}

int dataset_files_check(const struct dataset_files *files, int fd, const struct doc *file,
                        struct err *err)
{
    return doc_get(files->rest, "place") != NULL ? place_check_fd(fd, file, err) : 0;
}

void dataset_files_close(struct dataset_files *files)
{
    if (files->place_fd >= 0) {
        close(files->place_fd);
        files->place_fd = -1;
    }
}
