#include "daemon/blob.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

bool blob_is_id(const char *id)
{
    return id != NULL && strlen(id) == HASH_ID_TEXT - 1 &&
           strspn(id, "0123456789abcdef") == HASH_ID_TEXT - 1;
}

void blob_path(const char *id, char path[BLOB_PATH])
{
    snprintf(path, BLOB_PATH, "%.2s/%.64s", id, id);
}

int64_t blob_bytes(int blobs_fd, const char *id)
{
    char path[BLOB_PATH];
    struct stat st;
    blob_path(id, path);
    return fstatat(blobs_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode)
               ? st.st_size
               : -1;
}

static int take_place(void *context, const struct db_row *row, struct err *err)
{
    (void)err;
    struct blob_place *place = context;
    snprintf(place->pack, sizeof(place->pack), "%s", db_text(row, 0));
    place->offset = db_int(row, 1);
    place->bytes = db_int(row, 2);
    place->number = db_int(row, 3);
    return 0;
}

int blob_find(int blobs_fd, struct db *db, const char *id, struct blob_place *ret, struct err *err)
{
    *ret = (struct blob_place){.bytes = -1};
    int rc = db_each(db, DB_BLOB_FIND, take_place, ret, err, "s", id);
    if (rc >= 0 && ret->pack[0] == '\0') {
        ret->bytes = blob_bytes(blobs_fd, id);
        rc = ret->bytes < 0 ? ERR_NOT_FOUND : 0;
    }
    return rc;
}

static int set_true(void *context, const struct db_row *row, struct err *err)
{
    (void)row;
    (void)err;
    *(bool *)context = true;
    return 0;
}

int blob_merge(struct db *db, struct err *err)
{
    bool any = false;
    int rc = db_each(db, DB_ARRIVALS, set_true, &any, err, "");
    rc = rc < 0 || !any ? rc : db_run(db, DB_ARRIVALS_MERGE, err, "");
    return rc < 0 || !any ? rc : db_run(db, DB_ARRIVALS_CLEAR, err, "");
}

int blob_open(int blobs_fd, const char *id, const struct blob_place *place, int *ret_fd,
              struct err *err)
{
    char path[BLOB_PATH];
    if (place->pack[0] != '\0') {
        pack_path(place->pack, path);
    } else {
        blob_path(id, path);
    }
    *ret_fd = openat(blobs_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    return *ret_fd < 0 ? err_errno(err, errno, "open blob %s", id) : 0;
}

int blob_hash_fd(int fd, int64_t offset, int64_t bytes, char id[HASH_ID_TEXT], struct err *err)
{
    enum { PIECE = 1 << 18 };
    int64_t end = offset + bytes;
    int64_t n = 1;
    unsigned char *piece = malloc(PIECE);
    BUG_ON(piece == NULL);
    struct hash hash;
    hash_init(&hash);
    while (n > 0 && offset < end) {
        n = file_pread(fd, piece, (size_t)(end - offset < PIECE ? end - offset : PIECE), offset,
                       err);
        hash_update(&hash, piece, n > 0 ? (size_t)n : 0);
        offset += n > 0 ? n : 0;
    }
    hash_final(&hash, id);
    free(piece);
    return n < 0 ? (int)n : 0;
}

static int sync_folder(int dir_fd, const char *name, struct err *err)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd < 0 || fsync(fd) != 0 ? err_errno(err, errno, "sync the folder %s", name) : 0;
    if (fd >= 0) {
        close(fd);
    }
    return rc;
}

int blob_put_aside(int blobs_fd, int state_fd, const char *id, struct err *err)
{
    char path[BLOB_PATH];
    char aside[HASH_ID_TEXT + 16];
    const char dir[3] = {id[0], id[1], '\0'};
    blob_path(id, path);
    snprintf(aside, sizeof(aside), "quarantine/%s", id);
    if (renameat(blobs_fd, path, state_fd, aside) != 0) {
        return errno == ENOENT ? 0 : err_errno(err, errno, "put blob %s aside", id);
    }
    int rc = sync_folder(state_fd, "quarantine", err);
    return rc < 0 ? rc : sync_folder(blobs_fd, dir, err);
}

int blob_adopt(int blobs_fd, int from_fd, const char *from, const char *id, int *ret_dir_fd,
               struct err *err)
{
    char path[BLOB_PATH];
    char dir[3] = {id[0], id[1], '\0'};
    blob_path(id, path);
    if (mkdirat(blobs_fd, dir, 0700) == 0) {
        if (fsync(blobs_fd) != 0) {
            return err_errno(err, errno, "sync the folder of blobs");
        }
    } else if (errno != EEXIST) {
        return err_errno(err, errno, "make blobs/%s", dir);
    }
    if (renameat(from_fd, from, blobs_fd, path) != 0 &&
        (errno != ENOENT || blob_bytes(blobs_fd, id) < 0)) {
        return err_errno(err, errno, "rename blob %s", id);
    }
    *ret_dir_fd = openat(blobs_fd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *ret_dir_fd < 0 ? err_errno(err, errno, "open blobs/%s", dir) : 0;
}
