/* Loaded before libc into the daemon: SIGUSR2 cuts the power. What was written into the rows of
 * feeds since their last sync is taken back, then the process ends. Maps count as synced: the worst
 * case for the order. With MILLRACED_LYING_DISK a sync of rows does nothing: the negative control.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FDS_MAX = 1024, WRITES_MAX = 65536 };

int openat64(int dir_fd, const char *name, int flags, ...);
ssize_t pwrite64(int fd, const void *data, size_t size, off_t offset);
int fsync(int fd);

struct write { /* what stood there before */
    ino_t inode;
    int fd;
    off_t offset;
    size_t size;
    void *before;
};
static atomic_bool is_rows[FDS_MAX], is_off;
static struct write writes[WRITES_MAX];
static atomic_int n_writes;

/* dlsym gives a data pointer; ISO C has no cast from it to a function. */
#define REAL(type, name)                   \
    __typeof__(type) real = NULL;          \
    void *symbol = dlsym(RTLD_NEXT, name); \
    memcpy(&real, &symbol, sizeof(real))

int openat64(int dir_fd, const char *name, int flags, ...)
{
    REAL(int (*)(int, const char *, int, ...), "openat64");
    va_list ap;
    va_start(ap, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(ap, mode_t) : 0;
    va_end(ap);
    int fd = real(dir_fd, name, flags, mode);
    size_t n = strlen(name);
    if (fd >= 0 && fd < FDS_MAX) {
        atomic_store(&is_rows[fd], n > 5 && strcmp(name + n - 5, ".rows") == 0);
    }
    return fd;
}

static ino_t inode_of(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

ssize_t pwrite64(int fd, const void *data, size_t size, off_t offset)
{
    REAL(ssize_t(*)(int, const void *, size_t, off_t), "pwrite64");
    int n = atomic_load(&n_writes);
    while (atomic_load(&is_off)) {
        pause();
    }
    if (fd >= 0 && fd < FDS_MAX && atomic_load(&is_rows[fd]) && n < WRITES_MAX) {
        void *before = calloc(1, size);
        ssize_t got = before != NULL ? pread(fd, before, size, offset) : -1;
        writes[n] = (struct write){inode_of(fd), fd, offset, got >= 0 ? size : 0, before};
        atomic_store(&n_writes, n + 1);
    }
    return real(fd, data, size, offset);
}

int fsync(int fd)
{
    REAL(int (*)(int), "fsync");
    while (atomic_load(&is_off)) {
        pause();
    }
    ino_t inode = inode_of(fd);
    int rc = real(fd);
    int kept = 0;
    if (getenv("MILLRACED_LYING_DISK") != NULL) {
        return rc;
    }
    for (int i = 0; rc == 0 && i < atomic_load(&n_writes); i++) {
        if (writes[i].inode != inode) {
            writes[kept++] = writes[i];
        }
    }
    atomic_store(&n_writes, rc == 0 ? kept : atomic_load(&n_writes));
    return rc;
}

static void cut(int number)
{
    (void)number;
    atomic_store(&is_off, true);
    for (int i = atomic_load(&n_writes); i-- > 0;) {
        /* Not by the name that is caught above. */
        if (lseek(writes[i].fd, writes[i].offset, SEEK_SET) >= 0 &&
            write(writes[i].fd, writes[i].before, writes[i].size) < 0) {
            _exit(1);
        }
    }
    _exit(0);
}

__attribute__((constructor)) static void catch_signal(void)
{
    signal(SIGUSR2, cut);
}
