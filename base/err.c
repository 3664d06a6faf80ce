#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct err_desc err_descs[] = {
#define ERR_ROW(symbol, number, name, exit_status, blame, sentence) \
    {(number), (name), (exit_status), (blame), (sentence)},
#include "base/errors.h"
#undef ERR_ROW
};
enum { N_ERR_DESCS = sizeof(err_descs) / sizeof(err_descs[0]) };

int err_set(struct err *err, int code, const char *format, ...)
{
    if (!err) {
        return code;
    }
    va_list args;
    err->code = code;
    err->line = 0;
    err->path[0] = '\0';
    va_start(args, format);
    (void)vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    return code;
}

int err_set_at(struct err *err, int code, const char *path, const char *format, ...)
{
    if (!err) {
        return code;
    }
    va_list args;
    err->code = code;
    err->line = 0;
    (void)snprintf(err->path, sizeof(err->path), "%s", path ? path : "");
    va_start(args, format);
    (void)vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    return code;
}

void err_prefix(struct err *err, const char *prefix, ...)
{
    if (!err) {
        return;
    }
    char head[sizeof(err->path)];
    char whole[2 * sizeof(err->path) + 2];
    va_list args;
    va_start(args, prefix);
    (void)vsnprintf(head, sizeof(head), prefix, args);
    va_end(args);
    const char *dot = (head[0] == '\0' || err->path[0] == '\0' || err->path[0] == '[') ? "" : ".";
    (void)snprintf(whole, sizeof(whole), "%s%s%s", head, dot, err->path);
    memcpy(err->path, whole, sizeof(err->path));
    err->path[sizeof(err->path) - 1] = '\0';
}

static int err_code_of_errno(int errno_value)
{
    switch (errno_value) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return ERR_NO_SPACE;
    case ENOENT: return ERR_NOT_FOUND;
    case EACCES:
    case EPERM: return ERR_DENIED;
    case ENOMEM: return ERR_NO_MEMORY;
    default: return ERR_IO;
    }
}

int err_errno(struct err *err, int errno_value, const char *format, ...)
{
    int code = err_code_of_errno(errno_value);
    if (!err) {
        return code;
    }
    char what[512];
    char reason[128];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    return err_set(err, code, "%s: %s", what, strerror_r(errno_value, reason, sizeof(reason)));
}

const struct err_desc *err_find(int code)
{
    for (int i = 0; i < N_ERR_DESCS; i++) {
        if (err_descs[i].code == code) {
            return &err_descs[i];
        }
    }
    return &err_descs[0]; /* ERR_INTERNAL is the first row */
}

const struct err_desc *err_find_name(const char *name)
{
    for (int i = 0; i < N_ERR_DESCS; i++) {
        if (strcmp(err_descs[i].name, name) == 0) {
            return &err_descs[i];
        }
    }
    return NULL;
}

bool err_is_data(int code)
{
    static const int codes[] = {ERR_DATA,       ERR_CORRUPT,     ERR_LIMIT,       ERR_SHAPE,
                                ERR_NOT_FINITE, ERR_UNSUPPORTED, ERR_TRUNCATED,   ERR_BAD_MAGIC,
                                ERR_EMPTY,      ERR_UNSAFE_PATH, ERR_UNSAFE_TYPE, ERR_SCHEMA,
                                ERR_ENCODING,   ERR_VALUE};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (codes[i] == code) {
            return true;
        }
    }
    return false;
}

void err_format(const struct err *err, char *buf, size_t size)
{
    char line[32] = "";
    if (err->line > 0) {
        (void)snprintf(line, sizeof(line), "line %d: ", err->line);
    }
    (void)snprintf(buf, size, "%s%s%s%s", line, err->path, err->path[0] ? ": " : "", err->text);
    for (char *c = buf; size > 0 && *c; c++) {
        if (*c == '\n' || *c == '\r') {
            *c = ' ';
        }
    }
}

enum { NAME_MAX_LEN = 64 };

static char lower(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return (char)(c - 'A' + 'a');
    }
    return c == '-' ? '_' : c;
}

/* Edit distance with transposition (optimal string alignment), blind to case; names are short. */
static int distance(const char *a, int n_a, const char *b, int n_b)
{
    int d[3][NAME_MAX_LEN + 1];
    for (int j = 0; j <= n_b; j++) {
        d[1][j] = j;
    }
    memset(d[0], 0, sizeof(d[0]));
    for (int i = 1; i <= n_a; i++) {
        int *now = d[2];
        now[0] = i;
        for (int j = 1; j <= n_b; j++) {
            int same = lower(a[i - 1]) == lower(b[j - 1]);
            int best = d[1][j - 1] + (same ? 0 : 1);
            best = d[1][j] + 1 < best ? d[1][j] + 1 : best;
            best = now[j - 1] + 1 < best ? now[j - 1] + 1 : best;
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
                lower(a[i - 2]) == lower(b[j - 1]) && d[0][j - 2] + 1 < best) {
                best = d[0][j - 2] + 1;
            }
            now[j] = best;
        }
        memcpy(d[0], d[1], sizeof(d[0]));
        memcpy(d[1], d[2], sizeof(d[1]));
    }
    return d[1][n_b];
}

const char *err_nearest(const char *name, const char *const *names, size_t n)
{
    size_t size = strnlen(name, NAME_MAX_LEN + 1);
    if (size == 0 || size > NAME_MAX_LEN) {
        return NULL;
    }
    const char *nearest = NULL;
    int best = (int)size / 3 + 2; /* farther than this is another word */
    for (size_t i = 0; i < n; i++) {
        size_t other = strnlen(names[i], NAME_MAX_LEN + 1);
        if (other == 0 || other > NAME_MAX_LEN) {
            continue;
        }
        int found = distance(name, (int)size, names[i], (int)other);
        if (found < best && found < (int)(size > other ? size : other)) {
            best = found;
            nearest = names[i];
        }
    }
    return nearest;
}

void err_bug(const char *file, int line, const char *format, ...)
{
    char text[1024];
    int at = snprintf(text, sizeof(text), "BUG %s:%d: ", file, line);
    va_list args;
    va_start(args, format);
    int more = vsnprintf(text + at, sizeof(text) - (size_t)at - 1, format, args);
    va_end(args);
    size_t size = strnlen(text, sizeof(text) - 2);
    (void)more;
    text[size] = '\n';
    if (write(STDERR_FILENO, text, size + 1) < 0) {
        abort();
    }
    abort();
}
