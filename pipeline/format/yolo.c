#include "pipeline/format/yolo.h"

#include <stdio.h>
#include <string.h>

#include "pipeline/format/number.h"
#include "pipeline/format/utf8.h"

enum { COLUMNS = 5 };

struct read {
    const char *name;
    int line;
    struct err *err;
};

__attribute__((format(printf, 3, 4))) static int fail(const struct read *r, int code,
                                                      const char *format, ...)
{
    char text[300];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)err_set(r->err, code, "%s: %s", r->name, text);
    if (r->err != NULL) {
        r->err->line = r->line;
    }
    return code;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Words of a line; more than COLUMNS are counted and not kept. */
static int split(const char *p, const char *end, const char *words[COLUMNS], size_t n[COLUMNS])
{
    int count = 0;
    while (p < end) {
        while (p < end && is_blank(*p)) {
            p++;
        }
        const char *begin = p;
        while (p < end && !is_blank(*p)) {
            p++;
        }
        if (p > begin && count++ < COLUMNS) {
            words[count - 1] = begin;
            n[count - 1] = (size_t)(p - begin);
        }
    }
    return count;
}

static int take_line(const struct read *r, const char *p, const char *end, int64_t width,
                     int64_t height, struct annotation_box *box, int *ret_n)
{
    const char *words[COLUMNS];
    size_t n[COLUMNS];
    double v[COLUMNS];
    int64_t class = 0;
    *ret_n = split(p, end, words, n);
    if (*ret_n == 0) {
        return 0;
    }
    if (*ret_n != COLUMNS) {
        return fail(r, ERR_SCHEMA, "%d numbers; a box is a class and four", *ret_n);
    }
    if (!number_i64(words[0], n[0], &class) || class < 0 || class >= YOLO_CLASSES_MAX) {
        return fail(r, ERR_VALUE, "'%.*s' is no class", n[0] > 40 ? 40 : (int)n[0], words[0]);
    }
    for (int i = 1; i < COLUMNS; i++) {
        if (!number_f64(words[i], n[i], &v[i]) || v[i] < 0 || v[i] > 1) {
            return fail(r, ERR_VALUE, "'%.*s' is no number from 0 to 1", n[i] > 40 ? 40 : (int)n[i],
                        words[i]);
        }
    }
    const double w = (double)width, h = (double)height;
    *box = (struct annotation_box){.class = (int32_t) class,
                                   .x1 = (float)((v[1] - v[3] / 2) * w),
                                   .y1 = (float)((v[2] - v[4] / 2) * h),
                                   .x2 = (float)((v[1] + v[3] / 2) * w),
                                   .y2 = (float)((v[2] + v[4] / 2) * h)};
    return 0;
}

int yolo_read(const char *text, size_t size, const char *name, int64_t width, int64_t height,
              struct arena *arena, struct annotation *ret, struct err *err)
{
    struct read r = {.name = name, .err = err};
    size_t n_lines = 1;
    for (size_t i = 0; i < size; i++) {
        n_lines += text[i] == '\n';
    }
    *ret = (struct annotation){.id = -1, .width = width, .height = height};
    if (n_lines > ANNOTATION_BOXES_MAX) {
        return fail(&r, ERR_LIMIT, "more than %d lines", ANNOTATION_BOXES_MAX);
    }
    if (utf8_good(text, size) != size) {
        return fail(&r, ERR_ENCODING, "is no text");
    }
    ret->boxes = arena_array(arena, n_lines, sizeof *ret->boxes);
    for (const char *p = text, *all = text + size; p < all;) {
        const char *end = memchr(p, '\n', (size_t)(all - p));
        int n = 0;
        end = end != NULL ? end : all;
        r.line++;
        int code = take_line(&r, p, end, width, height, &ret->boxes[ret->n], &n);
        if (code < 0) {
            return code;
        }
        ret->n += n > 0;
        p = end + 1;
    }
    return 0;
}
