#include "pipeline/format/lines.h"

#include <string.h>

#include "pipeline/format/utf8.h"

static int fail(const struct lines *lines, int64_t number, int code, struct err *err,
                const char *what)
{
    (void)input_fail(&lines->in, -1, code, err, "%s", what);
    if (err != NULL) {
        err->line = number > INT32_MAX ? INT32_MAX : (int)number;
    }
    return code;
}

/* The line at `at`: its bytes with its end, 0 at the end of the file. */
static int find_end(struct lines *lines, int64_t at, int64_t number, const unsigned char **ret,
                    size_t *ret_n, struct err *err)
{
    for (size_t wanted = 4096;; wanted *= 4) {
        const int64_t got = input_window_peek(&lines->window, at, wanted, ret, err);
        *ret_n = 0;
        if (got <= 0) {
            return (int)got;
        }
        const unsigned char *end = memchr(*ret, '\n', (size_t)got);
        if (end != NULL || at + got == lines->in.size) {
            *ret_n = end != NULL ? (size_t)(end - *ret) + 1 : (size_t)got;
            return 0;
        }
        if (wanted >= LINES_BYTES_MAX) {
            return fail(lines, number, ERR_LIMIT, err, "a line of more than 16 MiB");
        }
    }
}

static bool is_blank(const unsigned char *p, size_t n)
{
    while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\t' || p[n - 1] == '\r' || p[n - 1] == '\n')) {
        n--;
    }
    return n == 0;
}

int lines_open(struct lines *lines, const struct input *in, bool skips_blank, struct err *err)
{
    const unsigned char *p = NULL;
    size_t n = 0;
    lines->in = *in;
    lines->window.in = &lines->in;
    lines->skips_blank = skips_blank;
    const int64_t got = input_window_peek(&lines->window, 0, 3, &p, err);
    int64_t at = got == 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    int r = got < 0 ? (int)got : 0;
    for (int64_t number = 1; r == 0; number++) {
        r = find_end(lines, at, number, &p, &n, err);
        if (r < 0 || n == 0) {
            break;
        }
        if (!skips_blank || !is_blank(p, n)) {
            r = offsets_add(&lines->begins, at, err);
            r = r < 0 || !skips_blank ? r : offsets_add(&lines->numbers, number, err);
        }
        at += (int64_t)n;
    }
    if (r < 0) {
        lines_close(lines);
    }
    return r;
}

void lines_close(struct lines *lines)
{
    if (lines != NULL) {
        input_window_fini(&lines->window);
        offsets_fini(&lines->begins);
        offsets_fini(&lines->numbers);
    }
}

void lines_save(const struct lines *lines, struct buf *out)
{
    buf_put(out, lines->begins.at, lines->begins.n * sizeof *lines->begins.at);
    buf_put(out, lines->numbers.at, lines->numbers.n * sizeof *lines->numbers.at);
}

bool lines_load(struct lines *lines, const struct input *in, bool skips_blank, const void *data,
                size_t size)
{
    const int64_t *at = data;
    const size_t lists = skips_blank ? 2 : 1, n = size / sizeof *at / lists;
    lines->in = *in;
    lines->window.in = &lines->in;
    lines->skips_blank = skips_blank;
    const bool is_sound =
        size == n * lists * sizeof *at && offsets_set(&lines->begins, at, n, 1, in->size) &&
        (!skips_blank || offsets_set(&lines->numbers, at + n, n, 1, in->size + 2));
    if (!is_sound) {
        lines_close(lines);
    }
    return is_sound;
}

int64_t lines_number(const struct lines *lines, size_t i)
{
    return lines->skips_blank ? lines->numbers.at[i] : (int64_t)i + 1;
}

int lines_read(struct lines *lines, size_t i, const char **ret, size_t *ret_n, struct err *err)
{
    const unsigned char *p = NULL;
    size_t n = 0;
    BUG_ON(i >= lines->begins.n);
    int r = find_end(lines, lines->begins.at[i], lines_number(lines, i), &p, &n, err);
    if (r < 0) {
        return r;
    }
    n -= n > 0 && p[n - 1] == '\n';
    n -= n > 0 && p[n - 1] == '\r';
    *ret = (const char *)p;
    *ret_n = n;
    return utf8_good(*ret, n) == n
               ? 0
               : fail(lines, lines_number(lines, i), ERR_ENCODING, err, "a line that is not UTF-8");
}
