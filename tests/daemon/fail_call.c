/* Loaded before libc into the daemon: the FAIL_AT-th call of FAIL_CALL ("sync", "rename", "write",
 * "unlink", "read") fails with FAIL_ERRNO, and all after it too when FAIL_EVER is set; FAIL_ERRNO 0
 * kills the daemon instead. With FAIL_WHEN calls count while that file is there, and not in
 * the daemon's children. */
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int fsync(int fd);
int fdatasync(int fd);
int syncfs(int fd);
int renameat(int old_dir, const char *old_name, int new_dir, const char *new_name);
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset);
ssize_t pread64(int fd, void *data, size_t size, off64_t offset);
int unlinkat(int dir, const char *name, int flags);

static int should_fail(const char *name)
{
    static atomic_int n_calls;
    const char *call = getenv("FAIL_CALL");
    const char *at = getenv("FAIL_AT");
    const char *when = getenv("FAIL_WHEN");
    if (call == NULL || at == NULL || strcmp(call, name) != 0 ||
        (when != NULL &&
         (access(when, F_OK) != 0 || strcmp(program_invocation_short_name, "millraced") != 0))) {
        return 0;
    }
    int n = atomic_fetch_add(&n_calls, 1) + 1;
    int first = (int)strtol(at, NULL, 10);
    if (n < first || (n > first && getenv("FAIL_EVER") == NULL)) {
        return 0;
    }
    const char *number = getenv("FAIL_ERRNO");
    int why = number != NULL ? (int)strtol(number, NULL, 10) : EIO;
    if (why == 0) {
        kill(getpid(), SIGKILL);
    }
    errno = why;
    return 1;
}

/* dlsym gives a data pointer; ISO C has no cast from it to a function. */
#define REAL(type, name)                   \
    __typeof__(type) real = NULL;          \
    void *symbol = dlsym(RTLD_NEXT, name); \
    memcpy(&real, &symbol, sizeof(real))

int fsync(int fd)
{
    REAL(int (*)(int), "fsync");
    return should_fail("sync") ? -1 : real(fd);
}

int fdatasync(int fd)
{
    REAL(int (*)(int), "fdatasync");
    return should_fail("sync") ? -1 : real(fd);
}

int syncfs(int fd)
{
    REAL(int (*)(int), "syncfs");
    return should_fail("sync") ? -1 : real(fd);
}

int renameat(int old_dir, const char *old_name, int new_dir, const char *new_name)
{
    REAL(int (*)(int, const char *, int, const char *), "renameat");
    return should_fail("rename") ? -1 : real(old_dir, old_name, new_dir, new_name);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset)
{
    REAL(ssize_t(*)(int, const void *, size_t, off64_t), "pwrite64");
    return should_fail("write") ? -1 : real(fd, data, size, offset);
}

ssize_t pread64(int fd, void *data, size_t size, off64_t offset)
{
    REAL(ssize_t(*)(int, void *, size_t, off64_t), "pread64");
    return should_fail("read") ? -1 : real(fd, data, size, offset);
}

int unlinkat(int dir, const char *name, int flags)
{
    REAL(int (*)(int, const char *, int), "unlinkat");
    return should_fail("unlink") ? -1 : real(dir, name, flags);
}
