/* csv_scan - one row of text into fields. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/format/csv_impl.h"
#include "pipeline/format/utf8.h"

enum scan_end { SCAN_ROW, SCAN_MORE /* the text ends inside the row */ };

struct scan {
    const char *p, *end;
    bool is_last; /* the text ends where the file does */
    int64_t line, quote_line;
    char *scratch;
    bool is_quote_open;
};

static int add_field(struct csv *csv, const char *text, size_t n, int64_t line, struct err *err)
{
    if (n > CSV_FIELD_MAX) {
        return csv_fail(csv, line, ERR_LIMIT, err, "a field of %zu bytes, more than %d", n,
                        CSV_FIELD_MAX);
    }
    if (csv->n_fields == CSV_COLUMNS_MAX) {
        return csv_fail(csv, line, ERR_LIMIT, err, "more than %d columns", CSV_COLUMNS_MAX);
    }
    csv->fields[csv->n_fields++] = (struct csv_field){text, n};
    return 0;
}

/* Behind the opening quote, up to and without the closing one. */
static int take_quoted(struct csv *csv, struct scan *s, struct err *err)
{
    const char *begin = s->p;
    char *copy = NULL; /* from the first doubled quote on */
    s->quote_line = s->line;
    for (;;) {
        const char *quote = memchr(s->p, '"', (size_t)(s->end - s->p));
        if (quote == NULL || (quote + 1 == s->end && !s->is_last)) {
            s->is_quote_open = true;
            return SCAN_MORE;
        }
        for (const char *c = s->p; c < quote; c++) {
            s->line += *c == '\n';
        }
        const size_t n = (size_t)(quote - s->p);
        const bool is_doubled = quote + 1 < s->end && quote[1] == '"';
        if (copy != NULL || is_doubled) {
            copy = copy == NULL ? s->scratch : copy;
            memcpy(s->scratch, s->p, n);
            s->scratch += n;
        }
        s->p = quote + 1;
        if (!is_doubled) {
            const char *text = copy != NULL ? copy : begin;
            const size_t all = copy != NULL ? (size_t)(s->scratch - copy) : (size_t)(quote - begin);
            int r = add_field(csv, text, all, s->quote_line, err);
            return r < 0 ? r : SCAN_ROW;
        }
        *s->scratch++ = '"';
        s->p++;
    }
}

static int take_plain(struct csv *csv, struct scan *s, struct err *err)
{
    const char *begin = s->p, delimiter = csv->options.delimiter;
    while (s->p < s->end && *s->p != delimiter && *s->p != '\n' && *s->p != '\r') {
        if (*s->p == '"') {
            return csv_fail(csv, s->line, ERR_CORRUPT, err,
                            "a quote inside a field without quotes");
        }
        s->p++;
    }
    if (s->p == s->end && !s->is_last) {
        return SCAN_MORE;
    }
    int r = add_field(csv, begin, (size_t)(s->p - begin), s->line, err);
    return r < 0 ? r : SCAN_ROW;
}

/* The fields of a row, and its line end. */
static int scan(struct csv *csv, struct scan *s, struct err *err)
{
    csv->n_fields = 0;
    for (;;) {
        const bool is_quoted = s->p < s->end && *s->p == '"';
        s->p += is_quoted;
        int r = is_quoted ? take_quoted(csv, s, err) : take_plain(csv, s, err);
        if (r != SCAN_ROW) {
            return r;
        }
        if (s->p == s->end) {
            return s->is_last ? SCAN_ROW : SCAN_MORE;
        }
        const char c = *s->p++;
        if (c == csv->options.delimiter) {
            continue;
        }
        if (c == '\r' && s->p == s->end && !s->is_last) {
            return SCAN_MORE;
        }
        if (c == '\r' && s->p < s->end && *s->p == '\n') {
            s->p++;
        } else if (c != '\n') {
            return csv_fail(csv, s->line, ERR_CORRUPT, err,
                            c == '\r' ? "a carriage return without a new line"
                                      : "text behind a closing quote");
        }
        s->line++;
        return SCAN_ROW;
    }
}

static int need_scratch(struct csv *csv, size_t n, struct err *err)
{
    if (n > csv->scratch_bytes) {
        free(csv->scratch);
        csv->scratch = malloc(n);
        csv->scratch_bytes = csv->scratch != NULL ? n : 0;
    }
    return csv->scratch != NULL ? 0 : err_set(err, ERR_NO_MEMORY, "no memory for a row");
}

static int check_text(const struct csv *csv, const char *text, size_t n, int64_t line,
                      struct err *err)
{
    const size_t good = utf8_good(text, n);
    if (good == n) {
        return 0;
    }
    for (size_t i = 0; i < good; i++) {
        line += text[i] == '\n';
    }
    return csv_fail(csv, line, ERR_ENCODING, err, "a byte %02x that is no UTF-8 text",
                    (unsigned char)text[good]);
}

int csv_scan_row(struct csv *csv, int64_t at, int64_t *line, int64_t *ret_next, struct err *err)
{
    for (size_t wanted = 4096;; wanted *= 4) {
        const unsigned char *data = NULL;
        const int64_t got = input_window_peek(&csv->window, at, wanted, &data, err);
        *ret_next = at;
        csv->n_fields = 0;
        if (got <= 0) {
            return (int)got;
        }
        int r = need_scratch(csv, (size_t)got, err);
        if (r < 0) {
            return r;
        }
        struct scan s = {.p = (const char *)data,
                         .end = (const char *)data + got,
                         .line = *line,
                         .is_last = at + got == csv->in.size,
                         .scratch = csv->scratch};
        r = scan(csv, &s, err);
        if (r == SCAN_MORE && !s.is_last && wanted < CSV_ROW_MAX) {
            continue;
        }
        if (r != SCAN_MORE || s.is_last) { /* a text that is none explains a quote that is odd */
            const size_t n = r == SCAN_MORE ? (size_t)got : (size_t)(s.p - (const char *)data);
            int bad = check_text(csv, (const char *)data, n, *line, err);
            r = bad < 0 ? bad : r;
        }
        if (r == SCAN_MORE) {
            r = s.is_last
                    ? csv_fail(csv, s.quote_line, ERR_TRUNCATED, err, "a quote that is not closed")
                    : csv_fail(csv, *line, ERR_LIMIT, err, "a row of more than %d bytes",
                               CSV_ROW_MAX);
        }
        *ret_next = at + (s.p - (const char *)data);
        *line = s.line;
        if (csv->n_fields == 1 && csv->fields[0].n == 0 && data[0] != '"') {
            csv->n_fields = 0; /* a blank line */
        }
        return r;
    }
}
