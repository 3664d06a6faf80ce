/* input - the bytes of one file, from a descriptor or from memory, for the readers of formats.
 *
 * Owns:     nothing: descriptor, memory and name are borrowed. A window owns its buffer.
 * Threads:  an input is read-only and may be shared; a window belongs to one thread.
 * Errors:   ERR_TRUNCATED behind the end, ERR_LIMIT, ERR_IO; texts are "NAME: byte N: what is
 * wrong". Lifetime: input: the caller's. Window: {.in = input} .. input_window_fini.
 *
 * Reading by position (pread), so that a reader over the same input may be in many processes. The
 * file must not change meanwhile: blobs do not.
 */
#ifndef FORMAT_INPUT_H
#define FORMAT_INPUT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { INPUT_WINDOW = 1 << 16 };

struct input {
    int fd;                    /* -1: memory */
    const unsigned char *data; /* memory */
    int64_t begin;             /* of a part, in the descriptor or the memory */
    int64_t size;
    const char *name; /* for messages */
};

int input_open(struct input *ret, int fd, const char *name, struct err *err);
void input_memory(struct input *ret, const void *data, size_t size, const char *name);
/* `size` bytes at `offset` of another input, which must have them. */
struct input input_part(const struct input *whole, int64_t offset, int64_t size);
/* All n bytes, or ERR_TRUNCATED. */
int input_read(const struct input *in, int64_t offset, void *to, size_t n, struct err *err);
/* Where n bytes lie in memory; NULL if they have to be read, or are not there. */
const void *input_look(const struct input *in, int64_t offset, size_t n);
/* Sets "NAME: byte OFFSET: ..." (offset < 0: without it) and returns code. */
int input_fail(const struct input *in, int64_t offset, int code, struct err *err,
               const char *format, ...) __attribute__((format(printf, 5, 6)));

/* A stretch of the input in memory, for reading forward. Of memory it is the memory itself. */
struct input_window {
    const struct input *in;
    unsigned char *buffer;
    size_t capacity;
    int64_t begin; /* of what the buffer holds */
    size_t size;
};
void input_window_fini(struct input_window *window);
/* Up to n bytes at offset: how many, fewer only at the end; negative on an error of reading. They
 * are good until the next call. */
int64_t input_window_peek(struct input_window *window, int64_t offset, size_t n,
                          const unsigned char **ret, struct err *err);
/* Exactly n bytes, or ERR_TRUNCATED. */
int input_window_need(struct input_window *window, int64_t offset, size_t n,
                      const unsigned char **ret, struct err *err);

#endif
