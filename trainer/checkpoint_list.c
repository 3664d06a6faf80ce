#include "trainer/checkpoint_list.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

static const char prefix[] = "ckpt-", suffix[] = ".keras";
enum { DIGITS = 10 };

void checkpoint_list_name(int64_t global_step, char *buf, size_t size)
{
    snprintf(buf, size, "%s%0*" PRId64 "%s", prefix, DIGITS, global_step, suffix);
}

static bool step_of(const char *name, int64_t *ret)
{
    char digits[DIGITS + 1];
    size_t size = sizeof(prefix) - 1;
    if (strlen(name) != size + DIGITS + sizeof(suffix) - 1 || memcmp(name, prefix, size) != 0 ||
        strcmp(name + size + DIGITS, suffix) != 0) {
        return false;
    }
    memcpy(digits, name + size, DIGITS);
    digits[DIGITS] = '\0';
    const char *first = digits;
    while (*first == '0' && first[1] != '\0') {
        first++;
    }
    return doc_parse_int(first, ret) && *ret >= 0;
}

static int newest_first(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

int checkpoint_list_read(int dir_fd, int64_t *ret_steps)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        if (fd >= 0) {
            close(fd);
        }
        return 0;
    }
    int n = 0;
    const struct dirent *entry;
    while (n < CHECKPOINT_LIST_MAX && (entry = readdir(dir)) != NULL) {
        n += step_of(entry->d_name, &ret_steps[n]);
    }
    closedir(dir);
    qsort(ret_steps, (size_t)n, sizeof(*ret_steps), newest_first);
    return n;
}

void checkpoint_list_prune(int dir_fd, int64_t keep)
{
    int64_t steps[CHECKPOINT_LIST_MAX];
    int n = checkpoint_list_read(dir_fd, steps);
    for (int64_t i = keep; i < n; i++) {
        char name[64];
        checkpoint_list_name(steps[i], name, sizeof(name));
        unlinkat(dir_fd, name, 0);
    }
}

#ifdef MILLRACE_BREAK_CKPT_RENAME
/* Negative control: the file appears under its name while it is still being written. */
static int copy_in_place(int dir_fd, const char *from, const char *to, struct err *err)
{
    struct buf bytes = {0};
    int rc = file_read(dir_fd, from, (size_t)1 << 32, &bytes, err);
    int fd = openat(dir_fd, to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    for (size_t done = 0; rc == 0 && fd >= 0 && done < bytes.size;) {
        size_t part = bytes.size - done < 4096 ? bytes.size - done : 4096;
        rc = file_write_all(fd, bytes.data + done, part, err);
        rc = rc == 0 ? fdatasync(fd) : rc;
        done += part;
    }
    if (fd >= 0) {
        close(fd);
    }
    unlinkat(dir_fd, from, 0);
    buf_fini(&bytes);
    return rc;
}
#endif

int checkpoint_list_save(int dir_fd, const char *name, const struct doc *config,
                         const struct doc *state, const struct keras_tensor *tensors, int n_tensors,
                         struct err *err)
{
#ifdef MILLRACE_BREAK_CKPT_RENAME
    int rc = keras_file_save(dir_fd, ".broken", config, state, tensors, n_tensors, err);
    return rc < 0 ? rc : copy_in_place(dir_fd, ".broken", name, err);
#else
    return keras_file_save(dir_fd, name, config, state, tensors, n_tensors, err);
#endif
}
