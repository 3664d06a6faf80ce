#include "pipeline/format/input.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

int input_open(struct input *ret, int fd, const char *name, struct err *err)
{
    struct stat status;
    if (fstat(fd, &status) != 0) {
        return err_errno(err, errno, "look at '%s'", name);
    }
    *ret = (struct input){.fd = fd, .size = status.st_size, .name = name};
    return S_ISREG(status.st_mode) ? 0
                                   : input_fail(ret, -1, ERR_UNSAFE_TYPE, err, "is no plain file");
}

void input_memory(struct input *ret, const void *data, size_t size, const char *name)
{
    *ret = (struct input){.fd = -1, .data = data, .size = (int64_t)size, .name = name};
}

struct input input_part(const struct input *whole, int64_t offset, int64_t size)
{
    struct input part = *whole;
    BUG_ON(offset < 0 || size < 0 || offset > whole->size || size > whole->size - offset);
    part.begin += offset;
    part.size = size;
    return part;
}

int input_fail(const struct input *in, int64_t offset, int code, struct err *err,
               const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const char *name = in->name != NULL ? in->name : "";
    const char *colon = name[0] != '\0' ? ": " : "";
    return offset >= 0
               ? err_set(err, code, "%s%sbyte %lld: %s", name, colon, (long long)offset, text)
               : err_set(err, code, "%s%s%s", name, colon, text);
}

static int64_t read_some(const struct input *in, int64_t offset, void *to, size_t n,
                         struct err *err)
{
    if (in->fd < 0) {
        memcpy(to, in->data + in->begin + offset, n);
        return (int64_t)n;
    }
    return file_pread(in->fd, to, n, in->begin + offset, err);
}

int input_read(const struct input *in, int64_t offset, void *to, size_t n, struct err *err)
{
    if (offset < 0 || offset > in->size || n > (uint64_t)(in->size - offset)) {
        return input_fail(in, offset, ERR_TRUNCATED, err, "ends early: %zu bytes are needed here",
                          n);
    }
    const int64_t got = n == 0 ? 0 : read_some(in, offset, to, n, err);
    if (got < 0) {
        return (int)got;
    }
    return (size_t)got == n
               ? 0
               : input_fail(in, offset, ERR_TRUNCATED, err, "became shorter meanwhile");
}

const void *input_look(const struct input *in, int64_t offset, size_t n)
{
    const bool is_there = offset >= 0 && offset <= in->size && n <= (uint64_t)(in->size - offset);
    return in->fd < 0 && is_there ? in->data + in->begin + offset : NULL;
}

void input_window_fini(struct input_window *window)
{
    if (window != NULL) {
        free(window->buffer);
        *window = (struct input_window){.in = window->in};
    }
}

static int fill(struct input_window *w, int64_t offset, size_t n, struct err *err)
{
    const int64_t rest = w->in->size - offset;
    size_t wanted = n > INPUT_WINDOW ? n : INPUT_WINDOW;
    wanted = (uint64_t)rest < wanted ? (size_t)rest : wanted;
    if (wanted > w->capacity) {
        free(w->buffer);
        w->capacity = wanted + wanted / 4;
        w->size = 0;
        w->buffer = malloc(w->capacity);
        if (w->buffer == NULL) {
            w->capacity = 0;
            return err_set(err, ERR_NO_MEMORY, "no memory for %zu bytes", wanted);
        }
    }
    const int64_t got = read_some(w->in, offset, w->buffer, wanted, err);
    w->begin = offset;
    w->size = got < 0 ? 0 : (size_t)got;
    return got < 0 ? (int)got : 0;
}

int64_t input_window_peek(struct input_window *w, int64_t offset, size_t n,
                          const unsigned char **ret, struct err *err)
{
    const struct input *in = w->in;
    if (offset < 0 || offset >= in->size) {
        *ret = NULL;
        return 0;
    }
    const int64_t rest = in->size - offset;
    n = (uint64_t)rest < n ? (size_t)rest : n;
    if (in->fd < 0) {
        *ret = in->data + in->begin + offset;
        return (int64_t)n;
    }
    if (offset < w->begin || offset + (int64_t)n > w->begin + (int64_t)w->size) {
        int r = fill(w, offset, n, err);
        if (r < 0) {
            return r;
        }
        n = n < w->size ? n : w->size;
    }
    *ret = w->buffer + (offset - w->begin);
    return (int64_t)n;
}

int input_window_need(struct input_window *w, int64_t offset, size_t n, const unsigned char **ret,
                      struct err *err)
{
    const int64_t got = input_window_peek(w, offset, n, ret, err);
    if (got < 0) {
        return (int)got;
    }
    return (size_t)got == n ? 0
                            : input_fail(w->in, offset, ERR_TRUNCATED, err,
                                         "ends early: %zu bytes are needed here, %lld are left", n,
                                         (long long)got);
}
