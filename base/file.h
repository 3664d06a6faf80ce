/* file - law 5: nothing half-written is ever seen.
 *
 * Owns:     descriptors only inside a call, but for struct file_atomic between open and commit/abort.
 * Threads:  none shared.
 * Errors:   ERR_NO_SPACE, ERR_IO, ERR_NOT_FOUND, ERR_DENIED, ERR_LIMIT. A failed fsync is never retried: the temporary file
 *           is unlinked and the caller writes a new one.
 * Lifetime: the caller's.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

struct file_atomic {
    int dir_fd; /* borrowed */
    int fd;     /* of the temporary file, O_RDWR */
    char name[256];
    char temporary[288];
};

/* Opens a temporary name ".NAME.PID.N.tmp" in dir_fd. reserve_bytes > 0 is fallocated first. */
int file_atomic_open(struct file_atomic *file, int dir_fd, const char *name, int64_t reserve_bytes, struct err *err);
/* fsync, rename over NAME, fsync of the folder, close. On failure the temporary file is gone and NAME is as before. */
int file_atomic_commit(struct file_atomic *file, struct err *err);
void file_atomic_abort(struct file_atomic *file);
/* The three above around one write. */
int file_write_atomic(int dir_fd, const char *name, const void *data, size_t size, struct err *err);

/* Whole writes and reads; EINTR and short counts handled. file_pread returns bytes read (< size only at the end). */
int file_write_all(int fd, const void *data, size_t size, struct err *err);
int file_pwrite_all(int fd, const void *data, size_t size, int64_t offset, struct err *err);
int64_t file_pread(int fd, void *data, size_t size, int64_t offset, struct err *err);
/* Reads a file of at most max_bytes into out. dir_fd may be AT_FDCWD. */
int file_read(int dir_fd, const char *name, size_t max_bytes, struct buf *out, struct err *err);
int file_read_fd(int fd, size_t max_bytes, struct buf *out, struct err *err);
/* mkdir -p with mode 0700. */
int file_make_dirs(const char *path, struct err *err);
/* Removes left-over ".*.tmp" files of dead processes in a folder. */
int file_sweep(int dir_fd, struct err *err);

#endif
