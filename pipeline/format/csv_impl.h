/* csv_impl - what the files of csv share. */
#ifndef FORMAT_CSV_IMPL_H
#define FORMAT_CSV_IMPL_H

#include "pipeline/format/csv.h"

struct csv_field { /* quotes taken off */
    const char *text;
    size_t n;
};
struct csv {
    struct csv_options options;
    struct input in;
    struct input_window window;
    struct csv_column *columns;
    struct csv_value *values;
    int64_t *first_missing; /* line of each column's first missing value, 0: none */
    size_t n_columns;
    struct csv_field *fields; /* CSV_COLUMNS_MAX + 1 */
    size_t n_fields;
    struct buf names;
    char *scratch; /* of fields with doubled quotes */
    size_t scratch_bytes;
    struct offsets rows;
    int64_t begin, line; /* where to read on */
    bool was_known;
};

int csv_fail(const struct csv *csv, int64_t line, int code, struct err *err, const char *format,
             ...) __attribute__((format(printf, 5, 6)));
/* The row at `at` into fields; 0 fields: a blank line, or the end when *ret_next == at. Lines are
 * added to *line. */
int csv_scan_row(struct csv *csv, int64_t at, int64_t *line, int64_t *ret_next, struct err *err);
/* Fields to values by the columns' types. */
int csv_convert(struct csv *csv, int64_t line, struct err *err);
/* What the columns' types can be, after one more row. */
int csv_learn(struct csv *csv, int64_t line, struct err *err);

#endif
