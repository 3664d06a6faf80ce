#include "proto/place.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { PART_BYTES = 256 };

struct place_stamp place_stamp(const struct stat *st)
{
    return (struct place_stamp){.bytes = st->st_size,
                                .mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec,
                                .inode = (int64_t)st->st_ino};
}

struct place_stamp place_stamp_of(const struct doc *file)
{
    return (struct place_stamp){.bytes = doc_int(file, "bytes", -1),
                                .mtime_ns = doc_int(file, "mtime_ns", -1),
                                .inode = doc_int(file, "inode", -1)};
}

void place_stamp_put(const struct place_stamp *stamp, struct doc *file, struct arena *arena)
{
    doc_put_int(file, arena, "bytes", stamp->bytes);
    doc_put_int(file, arena, "mtime_ns", stamp->mtime_ns);
    doc_put_int(file, arena, "inode", stamp->inode);
}

/* Closes what it stepped over. */
static int step(int *fd, bool own, const char *part, int flags)
{
    int next = openat(*fd, part, flags | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY);
    int why = errno;
    if (own) {
        close(*fd);
    }
    *fd = next;
    return next < 0 ? -why : 0;
}

int place_open_path(int folder_fd, const char *path, int flags, int *ret_fd, struct err *err)
{
    char part[PART_BYTES];
    int fd = folder_fd;
    int why = 0;
    *ret_fd = -1;
    for (const char *p = path; why == 0;) {
        size_t n = strcspn(p, "/");
        bool last = p[n] == '\0';
        if (n == 0 || n >= sizeof part || (n <= 2 && strncmp(p, "..", n) == 0)) {
            why = -EINVAL;
            if (fd != folder_fd) {
                close(fd);
            }
            break;
        }
        memcpy(part, p, n);
        part[n] = '\0';
        why = step(&fd, fd != folder_fd, part, last ? flags : O_PATH | O_DIRECTORY);
        if (last) {
            break;
        }
        p += n + 1;
    }
    if (why == 0) {
        *ret_fd = fd;
        return 0;
    }
    if (why == -ELOOP || why == -ENOTDIR || why == -EINVAL) {
        return err_set_at(err, ERR_INVALID, path, "is a link or leads through one, or leads out of the folder");
    }
    return err_errno(err, -why, "open '%s'", path);
}

static int compare(const struct stat *st, const struct doc *file, struct err *err)
{
    const struct place_stamp now = place_stamp(st);
    const struct place_stamp then = place_stamp_of(file);
    const char *path = doc_str(file, "path", "?");
    if (!S_ISREG(st->st_mode)) {
        return err_set(err, ERR_DATA, "'%s' is no regular file any more", path);
    }
    if (now.bytes != then.bytes) {
        return err_set(err, ERR_DATA, "'%s' has %lld bytes now and had %lld when it was registered in place", path,
                       (long long)now.bytes, (long long)then.bytes);
    }
    if (now.mtime_ns != then.mtime_ns || now.inode != then.inode) {
        return err_set(err, ERR_DATA, "'%s' was %s since it was registered in place", path,
                       now.inode != then.inode ? "replaced" : "changed");
    }
    return 0;
}

int place_check_fd(int fd, const struct doc *file, struct err *err)
{
    struct stat st;
    return fstat(fd, &st) != 0 ? err_errno(err, errno, "look at '%s'", doc_str(file, "path", "?"))
                               : compare(&st, file, err);
}

static int gone(const struct doc *file, int why, struct err *err)
{
    const char *path = doc_str(file, "path", "?");
    return why == ENOENT ? err_set(err, ERR_DATA, "'%s' is gone since it was registered in place", path)
                         : err_set(err, ERR_DATA, "'%s' cannot be read any more: %s", path, strerrordesc_np(why));
}

int place_check(int folder_fd, const struct doc *file, struct err *err)
{
    struct stat st;
    return fstatat(folder_fd, doc_str(file, "path", ""), &st, AT_SYMLINK_NOFOLLOW) != 0
               ? gone(file, errno, err)
               : compare(&st, file, err);
}

int place_open(int folder_fd, const struct doc *file, int *ret_fd, struct err *err)
{
    struct err found = {0};
    int rc = place_open_path(folder_fd, doc_str(file, "path", ""), O_RDONLY | O_NONBLOCK, ret_fd, &found);
    if (rc == ERR_NOT_FOUND) {
        return gone(file, ENOENT, err);
    }
    if (rc < 0) { /* a link where none was, rights that were taken: whatever it is, it is not the registered file */
        return err_set(err, ERR_DATA, "'%s' cannot be read any more: %s", doc_str(file, "path", "?"), found.text);
    }
    rc = place_check_fd(*ret_fd, file, err);
    if (rc < 0) {
        close(*ret_fd);
        *ret_fd = -1;
    }
    return rc;
}
