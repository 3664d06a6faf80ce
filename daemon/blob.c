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

int blob_hash_fd(int fd, char id[HASH_ID_TEXT], struct err *err)
{
    enum { PIECE = 1 << 20 };
    unsigned char *piece = malloc(PIECE);
    BUG_ON(piece == NULL);
    struct hash hash;
    hash_init(&hash);
    int64_t offset = 0;
    int64_t n = 0;
    while ((n = file_pread(fd, piece, PIECE, offset, err)) > 0) {
        hash_update(&hash, piece, (size_t)n);
        offset += n;
    }
    hash_final(&hash, id);
    free(piece);
    return n < 0 ? (int)n : 0;
}

int blob_verify(int blobs_fd, const char *id, int64_t bytes, struct err *err)
{
    char path[BLOB_PATH];
    char found[HASH_ID_TEXT];
    blob_path(id, path);
    if (blob_bytes(blobs_fd, id) != bytes) {
        return err_set(err, ERR_CORRUPT, "blob %s is missing or has another size", id);
    }
    int fd = openat(blobs_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return err_errno(err, errno, "open blob %s", id);
    }
    int rc = blob_hash_fd(fd, found, err);
    close(fd);
    if (rc >= 0 && strcmp(found, id) != 0) {
        rc = err_set(err, ERR_CORRUPT, "blob %s holds other bytes", id);
    }
    return rc;
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
