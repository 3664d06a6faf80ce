/* err - error codes and the text that goes to a person.
 *
 * Owns:     struct err is the caller's (usually on the stack); no heap.
 * Threads:  none shared.
 * Errors:   every fallible function returns 0 (or a count) or a negative code from base/errors.h and
 *           fills `struct err *err`, its last argument, which may be NULL.
 * Lifetime: the caller's.
 *
 * `path` points into the document that was wrong ("pipeline[1].map[0].Rescaling.scale"); `text` is one
 * sentence with the value, what is allowed and the nearest name. Code and path are data: a client maps
 * the path to a line of the file it read.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

enum err_code {
#define ERR_ROW(symbol, number, name, exit_status, blame, sentence) ERR_##symbol = (number),
#include "base/errors.h"
#undef ERR_ROW
};

enum err_blame { ERR_BLAME_USER, ERR_BLAME_US, ERR_BLAME_MACHINE };

struct err {
    int code; /* 0 or a negative enum err_code */
    int line; /* of the document, 0 if unknown */
    char path[256];
    char text[768];
};

struct err_desc {
    int code;
    const char *name; /* stable word for programs: "not_found" */
    int exit_status;  /* of the command line */
    enum err_blame blame;
    const char *sentence;
};

/* Sets code and text (path is left empty) and returns code. err may be NULL. */
int err_set(struct err *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same with a path into the document. */
int err_set_at(struct err *err, int code, const char *path, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Puts `prefix` before err->path ("model[2]" + "units" -> "model[2].units"; "[1]" needs no dot). */
void err_prefix(struct err *err, const char *prefix, ...) __attribute__((format(printf, 2, 3)));
/* Sets a code with strerror(errno_value): "open 'x': No space left on device". ENOSPC, EDQUOT -> ERR_NO_SPACE,
 * ENOENT -> ERR_NOT_FOUND, EACCES/EPERM -> ERR_DENIED, ENOMEM -> ERR_NO_MEMORY, else ERR_IO. Returns the code. */
int err_errno(struct err *err, int errno_value, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The row of a code; never NULL (unknown codes give the row of ERR_INTERNAL). */
const struct err_desc *err_find(int code);
/* The row of a stable word, or NULL. */
const struct err_desc *err_find_name(const char *name);
/* Is it the data's fault: a sample, record or file whose bytes are bad? The machine's faults are nobody's data. */
bool err_is_data(int code);
/* "path: text (nearest ...)" on one line into buf. */
void err_format(const struct err *err, char *buf, size_t size);

/* The name in `names` (n of them) nearest to `name` by edit distance, or NULL if none is near. */
const char *err_nearest(const char *name, const char *const *names, size_t n);

/* A broken invariant of ours: prints file, line, text to standard error and aborts; the supervisor restarts. */
#define BUG(...) err_bug(__FILE__, __LINE__, __VA_ARGS__)
#define BUG_ON(condition) \
    do { \
        if (__builtin_expect(!!(condition), 0)) { \
            BUG("%s", #condition); \
        } \
    } while (0)
_Noreturn void err_bug(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
