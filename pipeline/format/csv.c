#include "pipeline/format/csv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/format/csv_impl.h"

int csv_fail(const struct csv *csv, int64_t line, int code, struct err *err, const char *format,
             ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)input_fail(&csv->in, -1, code, err, "%s", text);
    if (err != NULL) {
        err->line = line > INT32_MAX ? INT32_MAX : (int)line;
    }
    return code;
}

static int take_columns(struct csv *csv, size_t n, struct err *err)
{
    csv->n_columns = n;
    csv->columns = calloc(n, sizeof *csv->columns);
    csv->values = calloc(n, sizeof *csv->values);
    csv->first_missing = calloc(n, sizeof *csv->first_missing);
    return csv->columns != NULL && csv->values != NULL && csv->first_missing != NULL
               ? 0
               : err_set(err, ERR_NO_MEMORY, "no memory for %zu columns", n);
}

/* Names go into one run of bytes first: it may move while it grows. */
static void name_columns(struct csv *csv)
{
    for (size_t c = 0; c < csv->n_columns; c++) {
        if (csv->options.has_header) {
            buf_put(&csv->names, csv->fields[c].text, csv->fields[c].n);
        } else {
            buf_printf(&csv->names, "%zu", c);
        }
        buf_put(&csv->names, "", 1);
    }
    const char *name = csv->names.data;
    for (size_t c = 0; c < csv->n_columns; c++, name += strlen(name) + 1) {
        csv->columns[c].name = name;
    }
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int check_names(struct csv *csv, struct err *err)
{
    const char **sorted = calloc(csv->n_columns, sizeof *sorted);
    int r = sorted == NULL ? err_set(err, ERR_NO_MEMORY, "no memory for the columns' names") : 0;
    for (size_t c = 0; r == 0 && c < csv->n_columns; c++) {
        sorted[c] = csv->columns[c].name;
        if (sorted[c][0] == '\0') {
            r = csv_fail(csv, csv->line, ERR_SCHEMA, err, "column %zu has no name", c);
        }
    }
    if (r == 0) {
        qsort(sorted, csv->n_columns, sizeof *sorted, compare);
    }
    for (size_t c = 1; r == 0 && c < csv->n_columns; c++) {
        if (strcmp(sorted[c - 1], sorted[c]) == 0) {
            r = csv_fail(csv, csv->line, ERR_SCHEMA, err, "two columns are called '%.100s'",
                         sorted[c]);
        }
    }
    free(sorted);
    return r;
}

static const struct csv_column *find_given(const struct csv *csv, size_t column)
{
    const struct csv_options *o = &csv->options;
    for (size_t i = 0; i < o->n_columns; i++) {
        if (o->has_header ? strcmp(o->columns[i].name, csv->columns[column].name) == 0
                          : i == column) {
            return &o->columns[i];
        }
    }
    return NULL;
}

static int apply_given(struct csv *csv, struct err *err)
{
    const struct csv_options *o = &csv->options;
    if (o->columns == NULL) {
        return 0;
    }
    if (csv->n_columns != o->n_columns) {
        return csv_fail(csv, csv->line, ERR_SCHEMA, err, "%zu columns, the data set has %zu",
                        csv->n_columns, o->n_columns);
    }
    for (size_t c = 0; c < csv->n_columns; c++) {
        const struct csv_column *given = find_given(csv, c);
        if (given == NULL) {
            return csv_fail(csv, csv->line, ERR_SCHEMA, err,
                            "a column '%.100s' that the data set does not have",
                            csv->columns[c].name);
        }
        csv->columns[c].type = given->type;
    }
    return 0;
}

/* The first line that is not blank: how many columns, what they are called. */
static int read_header(struct csv *csv, struct err *err)
{
    const unsigned char *mark = NULL;
    int64_t next = 0, line = 1;
    const int64_t got = input_window_peek(&csv->window, 0, 3, &mark, err);
    csv->begin = got == 3 && memcmp(mark, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    csv->line = 1;
    for (;;) {
        int r = csv_scan_row(csv, csv->begin, &line, &next, err);
        if (r < 0) {
            return r;
        }
        if (csv->n_fields > 0) {
            break;
        }
        if (next == csv->begin) {
            return csv_fail(csv, line, ERR_EMPTY, err, "holds no row");
        }
        csv->begin = next;
        csv->line = line;
    }
    int r = take_columns(csv, csv->n_fields, err);
    if (r < 0) {
        return r;
    }
    name_columns(csv);
    r = csv->options.has_header ? check_names(csv, err) : 0;
    r = r < 0 ? r : apply_given(csv, err);
    if (csv->options.has_header) {
        csv->begin = next;
        csv->line = line;
    }
    return r;
}

static bool is_bad_row(int code)
{
    return code == ERR_CORRUPT || code == ERR_ENCODING || code == ERR_SCHEMA || code == ERR_VALUE;
}

/* Behind the end of the line. */
static int skip_line(struct csv *csv, int64_t at, int64_t *ret_next, struct err *err)
{
    for (int64_t from = at;;) {
        const unsigned char *data = NULL;
        const int64_t got = input_window_peek(&csv->window, from, 4096, &data, err);
        const unsigned char *end = got > 0 ? memchr(data, '\n', (size_t)got) : NULL;
        if (got < 0 || got == 0 || end != NULL) {
            *ret_next = from + (end != NULL ? end + 1 - data : 0);
            return got < 0 ? (int)got : 0;
        }
        from += got;
    }
}

/* All rows: their places, and what they hold. */
static int read_rows(struct csv *csv, bool is_given, struct err *err)
{
    int64_t at = csv->begin, line = csv->line, next = 0;
    for (;;) {
        const int64_t first = line;
        int r = csv_scan_row(csv, at, &line, &next, err);
        const bool is_scanned = r == 0;
        if (is_scanned && csv->n_fields > 0) {
            r = is_given ? csv_convert(csv, first, err) : csv_learn(csv, first, err);
        }
        const bool is_bad = csv->options.takes_bad && is_bad_row(r);
        if (is_bad) {
            r = is_scanned ? 0 : skip_line(csv, at, &next, err);
            line = is_scanned ? line : first + 1;
        }
        if (r == 0 && (is_bad || csv->n_fields > 0)) {
            r = offsets_add(&csv->rows, at, err);
        }
        if (r < 0 || next == at) {
            return r;
        }
        at = next;
    }
}

/* Types that were found: a column of nothing is text, and missing numbers are refused late. */
static int settle_types(struct csv *csv, struct err *err)
{
    for (size_t c = 0; c < csv->n_columns; c++) {
        struct csv_column *column = &csv->columns[c];
        column->type = column->type == CSV_AUTO ? CSV_TEXT : column->type;
        column->has_missing = csv->first_missing[c] > 0 && column->type != CSV_TEXT;
        if (column->has_missing && !csv->options.takes_missing) {
            return csv_fail(csv, csv->first_missing[c], ERR_VALUE, err,
                            "column '%.100s': the value is missing, which this data set does not "
                            "allow",
                            column->name);
        }
    }
    return 0;
}

/* A column's type and whether it has missing values, a number each; then the rows. */
void csv_save(const struct csv *csv, struct buf *out)
{
    for (size_t c = 0; c < csv->n_columns; c++) {
        const int64_t column[2] = {csv->columns[c].type, csv->columns[c].has_missing};
        buf_put(out, column, sizeof column);
    }
    buf_put(out, csv->rows.at, csv->rows.n * sizeof *csv->rows.at);
}

static bool take_known(struct csv *csv)
{
    const int64_t *known = csv->options.known;
    const size_t n = csv->options.known_bytes / sizeof *known, n_first = 2 * csv->n_columns;
    if (known == NULL || csv->options.known_bytes % sizeof *known != 0 || n < n_first) {
        return false;
    }
    for (size_t c = 0; c < csv->n_columns; c++) {
        const int64_t type = known[2 * c], has_missing = known[2 * c + 1];
        const bool is_given = csv->options.columns != NULL;
        if (type <= CSV_AUTO || type > CSV_TEXT || (has_missing != 0 && has_missing != 1) ||
            (has_missing == 1 && !csv->options.takes_missing) ||
            (is_given && (int64_t)csv->columns[c].type != type)) {
            return false;
        }
    }
    if ((n > n_first && known[n_first] < csv->begin) ||
        !offsets_set(&csv->rows, known + n_first, n - n_first, 1, csv->in.size)) {
        return false;
    }
    for (size_t c = 0; c < csv->n_columns; c++) {
        csv->columns[c].type = (enum csv_type)known[2 * c];
        csv->columns[c].has_missing = known[2 * c + 1] == 1;
    }
    return true;
}

bool csv_was_known(const struct csv *csv)
{
    return csv->was_known;
}

static int find_rows(struct csv *csv, struct err *err)
{
    const bool is_given = csv->options.columns != NULL;
    csv->was_known = take_known(csv);
    int r = csv->was_known ? 0 : read_rows(csv, is_given, err);
    return r < 0 || is_given || csv->was_known ? r : settle_types(csv, err);
}

int csv_open(const struct input *in, const struct csv_options *options, struct csv **ret,
             struct err *err)
{
    struct csv *csv = calloc(1, sizeof *csv);
    *ret = NULL;
    if (csv == NULL) {
        return err_set(err, ERR_NO_MEMORY, "no memory for a table");
    }
    csv->options = *options;
    csv->options.delimiter = options->delimiter != '\0' ? options->delimiter : ',';
    csv->in = *in;
    csv->window.in = &csv->in;
    csv->fields = calloc(CSV_COLUMNS_MAX + 1, sizeof *csv->fields);
    int r = csv->fields == NULL ? err_set(err, ERR_NO_MEMORY, "no memory for a row") : 0;
    r = r < 0 ? r : read_header(csv, err);
    r = r < 0 ? r : find_rows(csv, err);
    if (r < 0) {
        csv_close(csv);
        return r;
    }
    *ret = csv;
    return 0;
}

void csv_close(struct csv *csv)
{
    if (csv != NULL) {
        input_window_fini(&csv->window);
        offsets_fini(&csv->rows);
        buf_fini(&csv->names);
        free(csv->columns);
        free(csv->values);
        free(csv->first_missing);
        free(csv->fields);
        free(csv->scratch);
        free(csv);
    }
}

size_t csv_rows(const struct csv *csv)
{
    return csv->rows.n;
}

int64_t csv_offset(const struct csv *csv, size_t row)
{
    return csv->rows.at[row];
}

const struct csv_column *csv_columns(const struct csv *csv, size_t *ret_n)
{
    *ret_n = csv->n_columns;
    return csv->columns;
}

int csv_row(struct csv *csv, size_t row, const struct csv_value **ret, struct err *err)
{
    int64_t next = 0, line = 0;
    BUG_ON(row >= csv->rows.n);
    int r = csv_scan_row(csv, csv->rows.at[row], &line, &next, err);
    r = r < 0 ? r : csv_convert(csv, 0, err);
    *ret = csv->values;
    return r;
}
