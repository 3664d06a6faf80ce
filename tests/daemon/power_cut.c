/* Loaded before libc into the daemon: SIGUSR2 cuts the power. What packs hold beyond their last
 * sync is lost, then the process ends. The database counts as synced: the worst case for the order.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FDS_MAX = 1024 };

int openat64(int dir_fd, const char *name, int flags, ...);
int fdatasync(int fd);

static atomic_bool is_pack[FDS_MAX], is_off;
static atomic_long synced[FDS_MAX];

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
    if (fd >= 0 && fd < FDS_MAX) {
        atomic_store(&synced[fd], 0);
        atomic_store(&is_pack[fd], (flags & O_CREAT) != 0 && strncmp(name, "pack/", 5) == 0);
    }
    return fd;
}

int fdatasync(int fd)
{
    REAL(int (*)(int), "fdatasync");
    struct stat st;
    while (atomic_load(&is_off)) {
        pause();
    }
    int rc = real(fd);
    if (rc == 0 && fd >= 0 && fd < FDS_MAX && fstat(fd, &st) == 0) {
        atomic_store(&synced[fd], (long)st.st_size);
    }
    return rc;
}

static void cut(int number)
{
    (void)number;
    atomic_store(&is_off, true);
    for (int fd = 0; fd < FDS_MAX; fd++) {
        if (atomic_load(&is_pack[fd])) {
            int ignored = ftruncate(fd, atomic_load(&synced[fd]));
            (void)ignored;
        }
    }
    kill(getpid(), SIGKILL);
}

__attribute__((constructor)) static void prepare(void)
{
    signal(SIGUSR2, cut);
}
