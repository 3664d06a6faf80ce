#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

enum { ALIGN = 64, FIRST_BYTES = 4096, GROWN_BYTES = 1 << 20 };

/* Bytes beyond `dirty` were never handed out and are still zero from calloc. */
struct arena_block {
    struct arena_block *next;
    size_t capacity;
    size_t used;
    size_t dirty;
    void *raw;
    char *data; /* aligned */
};

void arena_init(struct arena *arena)
{
    *arena = (struct arena){0};
}

void arena_fini(struct arena *arena)
{
    if (!arena) {
        return;
    }
    for (struct arena_block *block = arena->head; block;) {
        struct arena_block *next = block->next;
        free(block->raw);
        free(block);
        block = next;
    }
    *arena = (struct arena){0};
}

void arena_reset(struct arena *arena)
{
    for (struct arena_block *block = arena->head; block; block = block->next) {
        block->used = 0;
    }
    arena->current = arena->head;
    arena->used_bytes = 0;
}

static struct arena_block *block_create(size_t capacity)
{
    struct arena_block *block = calloc(1, sizeof(*block));
    void *raw = calloc(1, capacity + ALIGN);
    if (!block || !raw) {
        free(block);
        free(raw);
        return NULL;
    }
    block->raw = raw;
    block->capacity = capacity;
    block->data = (char *)raw + (ALIGN - (uintptr_t)raw % ALIGN) % ALIGN;
    return block;
}

static void *block_take(struct arena_block *block, size_t size, size_t align)
{
    size_t start = (block->used + align - 1) / align * align;
    if (start > block->capacity || size > block->capacity - start) {
        return NULL;
    }
    size_t end = start + size;
    if (start < block->dirty) {
        memset(block->data + start, 0, (end < block->dirty ? end : block->dirty) - start);
    }
    block->used = end;
    if (end > block->dirty) {
        block->dirty = end;
    }
    return block->data + start;
}

static void *take(struct arena *arena, size_t size, size_t align)
{
    if (size > SIZE_MAX / 4) {
        return NULL;
    }
    struct arena_block *last = NULL;
    for (struct arena_block *block = arena->current; block; block = block->next) {
        void *data = block_take(block, size, align);
        if (data) {
            arena->current = block;
            arena->used_bytes += size;
            return data;
        }
        last = block;
    }
    size_t capacity = last ? last->capacity * 2 : FIRST_BYTES;
    capacity = capacity > GROWN_BYTES ? GROWN_BYTES : capacity;
    capacity = capacity < size ? size : capacity;
    struct arena_block *block = block_create(capacity);
    if (!block) {
        return NULL;
    }
    if (last) {
        last->next = block;
    } else {
        arena->head = block;
    }
    arena->current = block;
    arena->used_bytes += size;
    return block_take(block, size, align);
}

void *arena_try(struct arena *arena, size_t size)
{
    return take(arena, size, ALIGN);
}

void *arena_alloc(struct arena *arena, size_t size)
{
    void *data = take(arena, size, ALIGN);
    if (!data) {
        BUG("no memory for %zu bytes", size);
    }
    return data;
}

void *arena_array(struct arena *arena, size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes)) {
        BUG("an array of %zu times %zu bytes", n, size);
    }
    return arena_alloc(arena, bytes);
}

char *arena_strndup(struct arena *arena, const char *text, size_t n)
{
    char *copy = take(arena, n + 1, 1);
    if (!copy) {
        BUG("no memory for a text of %zu bytes", n);
    }
    if (n > 0) {
        memcpy(copy, text, n);
    }
    return copy;
}

char *arena_strdup(struct arena *arena, const char *text)
{
    return text ? arena_strndup(arena, text, strlen(text)) : NULL;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    BUG_ON(size < 0);
    char *text = take(arena, (size_t)size + 1, 1);
    if (!text) {
        BUG("no memory for a text of %d bytes", size);
    }
    va_start(args, format);
    (void)vsnprintf(text, (size_t)size + 1, format, args);
    va_end(args);
    return text;
}
