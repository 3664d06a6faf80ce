#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/doc.h"

enum { TRIES_MAX = 1000 };

static int open_temporary(struct file_atomic *file)
{
    for (unsigned i = 0; i < TRIES_MAX; i++) {
        (void)snprintf(file->temporary, sizeof(file->temporary), ".%s.%ld.%u.tmp", file->name,
                       (long)getpid(), i);
        file->fd = openat(file->dir_fd, file->temporary,
                          O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (file->fd >= 0 || errno != EEXIST) {
            break;
        }
    }
    return file->fd < 0 ? errno : 0;
}

int file_atomic_open(struct file_atomic *file, int dir_fd, const char *name, int64_t reserve_bytes,
                     struct err *err)
{
    *file = (struct file_atomic){.dir_fd = dir_fd, .fd = -1};
    /* ".NAME.PID.N.tmp" must fit into a folder entry of 255 bytes. */
    if (strlen(name) > 200 || name[0] == '\0' || strchr(name, '/')) {
        return err_set(err, ERR_INVALID, "'%.64s' is not a name for a file", name);
    }
    (void)snprintf(file->name, sizeof(file->name), "%s", name);
    int why = open_temporary(file);
    if (why != 0) {
        return err_errno(err, why, "create '%s'", name);
    }
    if (reserve_bytes > 0) {
        int r;
        do {
            r = posix_fallocate(file->fd, 0, reserve_bytes);
        } while (r == EINTR);
        if (r != 0) {
            file_atomic_abort(file);
            return err_errno(err, r, "reserve %lld bytes for '%s'", (long long)reserve_bytes, name);
        }
    }
    return 0;
}

int file_atomic_commit(struct file_atomic *file, struct err *err)
{
    BUG_ON(file->fd < 0);
    if (fsync(file->fd) < 0) {
        int why = errno;
        file_atomic_abort(file);
        return err_errno(err, why, "sync '%s'", file->name);
    }
    int fd = file->fd;
    file->fd = -1;
    if (close(fd) < 0 && errno != EINTR) {
        int why = errno;
        (void)unlinkat(file->dir_fd, file->temporary, 0);
        return err_errno(err, why, "close '%s'", file->name);
    }
    if (renameat(file->dir_fd, file->temporary, file->dir_fd, file->name) < 0) {
        int why = errno;
        (void)unlinkat(file->dir_fd, file->temporary, 0);
        return err_errno(err, why, "rename '%s'", file->name);
    }
    if (fsync(file->dir_fd) < 0) {
        return err_errno(err, errno, "sync the folder of '%s'", file->name);
    }
    return 0;
}

void file_atomic_abort(struct file_atomic *file)
{
    if (!file || file->fd < 0) {
        return;
    }
    (void)unlinkat(file->dir_fd, file->temporary, 0);
    (void)close(file->fd);
    file->fd = -1;
}

int file_write_atomic(int dir_fd, const char *name, const void *data, size_t size, struct err *err)
{
    struct file_atomic file;
    int r = file_atomic_open(&file, dir_fd, name, 0, err);
    if (r < 0) {
        return r;
    }
    r = file_write_all(file.fd, data, size, err);
    if (r < 0) {
        file_atomic_abort(&file);
        return r;
    }
    return file_atomic_commit(&file, err);
}

int file_write_all(int fd, const void *data, size_t size, struct err *err)
{
    const char *p = data;
    while (size > 0) {
        ssize_t n = write(fd, p, size);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return err_errno(err, n < 0 ? errno : EIO, "write %zu bytes", size);
        }
        p += n;
        size -= (size_t)n;
    }
    return 0;
}

int file_pwrite_all(int fd, const void *data, size_t size, int64_t offset, struct err *err)
{
    const char *p = data;
    while (size > 0) {
        ssize_t n = pwrite(fd, p, size, offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return err_errno(err, n < 0 ? errno : EIO, "write %zu bytes at %lld", size,
                             (long long)offset);
        }
        p += n;
        size -= (size_t)n;
        offset += n;
    }
    return 0;
}

int64_t file_pread(int fd, void *data, size_t size, int64_t offset, struct err *err)
{
    char *p = data;
    size_t done = 0;
    while (done < size) {
        ssize_t n = pread(fd, p + done, size - done, offset + (int64_t)done);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return err_errno(err, errno, "read %zu bytes at %lld", size, (long long)offset);
        }
        if (n == 0) {
            break;
        }
        done += (size_t)n;
    }
    return (int64_t)done;
}

int file_read_fd(int fd, size_t max_bytes, struct buf *out, struct err *err)
{
    size_t start = out->size;
    for (;;) {
        size_t left = max_bytes - (out->size - start);
        size_t step = left < 65536
                          ? left + 1
                          : 65536; /* one more than allowed shows a file that is too large */
        buf_reserve(out, step);
        ssize_t n = read(fd, out->data + out->size, step);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return err_errno(err, errno, "read");
        }
        if (n == 0) {
            out->data[out->size] = '\0';
            return 0;
        }
        if ((size_t)n > left) {
            return err_set(err, ERR_LIMIT, "more than %zu bytes", max_bytes);
        }
        out->size += (size_t)n;
        out->data[out->size] = '\0';
    }
}

int file_read(int dir_fd, const char *name, size_t max_bytes, struct buf *out, struct err *err)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return err_errno(err, errno, "open '%s'", name);
    }
    struct stat st;
    int r = 0;
    if (fstat(fd, &st) < 0) {
        r = err_errno(err, errno, "look at '%s'", name);
    } else if (S_ISDIR(st.st_mode)) {
        r = err_errno(err, EISDIR, "read '%s'", name);
    } else {
        r = file_read_fd(fd, max_bytes, out, err);
        if (r < 0 && err) {
            char text[sizeof(err->text)];
            memcpy(text, err->text, sizeof(text));
            (void)snprintf(err->text, sizeof(err->text), "'%.200s': %.500s", name, text);
        }
    }
    (void)close(fd);
    return r;
}

int file_make_dirs(const char *path, struct err *err)
{
    char *copy = strdup(path);
    if (!copy) {
        return err_errno(err, ENOMEM, "make '%s'", path);
    }
    int why = 0;
    for (char *p = copy + 1; why == 0 && p[-1] != '\0'; p++) {
        char c = *p;
        if (c != '/' && c != '\0') {
            continue;
        }
        *p = '\0';
        if (mkdir(copy, 0700) < 0 && errno != EEXIST) {
            why = errno;
        }
        *p = c;
    }
    struct stat st;
    if (why == 0 && (stat(copy, &st) < 0 || !S_ISDIR(st.st_mode))) {
        why = ENOTDIR;
    }
    free(copy);
    return why == 0 ? 0 : err_errno(err, why, "make the folder '%s'", path);
}

/* The process of ".NAME.PID.N.tmp", or 0 for any other name. */
static pid_t owner_of(const char *name)
{
    size_t n = strlen(name);
    if (name[0] != '.' || n < 8 || strcmp(name + n - 4, ".tmp") != 0) {
        return 0;
    }
    char copy[256];
    if (n - 4 >= sizeof(copy)) {
        return 0;
    }
    memcpy(copy, name, n - 4);
    copy[n - 4] = '\0';
    char *number = strrchr(copy, '.');
    int64_t value = 0, pid = 0;
    if (!number || number == copy || !doc_parse_int(number + 1, &value)) {
        return 0;
    }
    *number = '\0';
    char *process = strrchr(copy, '.');
    if (!process || process == copy || !doc_parse_int(process + 1, &pid) || pid <= 0 ||
        pid > INT32_MAX) {
        return 0;
    }
    return (pid_t)pid;
}

int file_sweep(int dir_fd, struct err *err)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        int why = errno;
        if (fd >= 0) {
            (void)close(fd);
        }
        return err_errno(err, why, "list a folder");
    }
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        pid_t pid = owner_of(entry->d_name);
        if (pid > 0 && kill(pid, 0) < 0 && errno == ESRCH) {
            (void)unlinkat(dir_fd, entry->d_name, 0);
        }
    }
    (void)closedir(dir);
    return 0;
}
