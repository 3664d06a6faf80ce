/* arena - memory that is given back all at once.
 *
 * Owns:     every block it hands out; a block is never freed alone.
 * Threads:  one at a time.
 * Errors:   arena_alloc never returns NULL: sizes from outside are checked by the caller before; a machine without
 *           memory is BUG() and the supervisor restarts. arena_try gives NULL instead, for sizes that users choose.
 * Lifetime: init .. fini; reset keeps the memory for reuse. Four lifetimes exist: process, job, epoch, step.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

struct arena_block;
struct arena {
    struct arena_block *head;
    struct arena_block *current; /* the one that the next block is cut from */
    size_t used_bytes;
};

void arena_init(struct arena *arena);
void arena_fini(struct arena *arena); /* takes NULL and zeroed */
void arena_reset(struct arena *arena);
void *arena_alloc(struct arena *arena, size_t size); /* zeroed, aligned to 64 */
void *arena_try(struct arena *arena, size_t size);   /* the same, NULL without memory */
/* n * size with overflow check (BUG on overflow). */
void *arena_array(struct arena *arena, size_t n, size_t size);
char *arena_strdup(struct arena *arena, const char *text);
char *arena_strndup(struct arena *arena, const char *text, size_t n);
char *arena_printf(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define ARENA_NEW(arena, type) ((type *)arena_alloc((arena), sizeof(type)))

#endif
