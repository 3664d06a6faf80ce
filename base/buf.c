#include "base/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

void buf_init(struct buf *buf)
{
    *buf = (struct buf){0};
}

void buf_fini(struct buf *buf)
{
    if (buf) {
        free(buf->data);
        *buf = (struct buf){0};
    }
}

void buf_clear(struct buf *buf)
{
    buf->size = 0;
    if (buf->data) {
        buf->data[0] = '\0';
    }
}

void buf_reserve(struct buf *buf, size_t extra)
{
    if (extra > SIZE_MAX / 4 || buf->size > SIZE_MAX / 4) {
        BUG("a text of %zu and %zu bytes", buf->size, extra);
    }
    size_t need = buf->size + extra + 1;
    if (need <= buf->capacity) {
        return;
    }
    size_t capacity = buf->capacity < 64 ? 64 : buf->capacity;
    while (capacity < need) {
        capacity *= 2;
    }
    char *data = realloc(buf->data, capacity);
    if (!data) {
        BUG("no memory for %zu bytes", capacity);
    }
    data[buf->size] = '\0';
    buf->data = data;
    buf->capacity = capacity;
}

void buf_put(struct buf *buf, const void *data, size_t size)
{
    buf_reserve(buf, size);
    if (size > 0) {
        memcpy(buf->data + buf->size, data, size);
    }
    buf->size += size;
    buf->data[buf->size] = '\0';
}

void buf_puts(struct buf *buf, const char *text)
{
    buf_put(buf, text, strlen(text));
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    BUG_ON(size < 0);
    buf_reserve(buf, (size_t)size);
    va_start(args, format);
    (void)vsnprintf(buf->data + buf->size, (size_t)size + 1, format, args);
    va_end(args);
    buf->size += (size_t)size;
}

char *buf_take(struct buf *buf)
{
    buf_reserve(buf, 0);
    char *data = buf->data;
    *buf = (struct buf){0};
    return data;
}
