/* csv - tables as text: rows at random, columns typed.
 *
 * Owns:     a table owns its columns, its index and its buffers; a row's texts are good until the
 *           next row is read.
 * Threads:  one at a time.
 * Errors:   ERR_EMPTY, ERR_ENCODING, ERR_CORRUPT (quotes, a bare carriage return), ERR_TRUNCATED (a
 *           quote that is not closed), ERR_SCHEMA (columns), ERR_VALUE (a number that is none),
 *           ERR_LIMIT, each with the line in err->line.
 * Lifetime: csv_open .. csv_close.
 *
 * Source: RFC 4180, strictly: a quote stands only around a whole field, inside it is doubled. Lines
 * end with \n or \r\n, blank ones are skipped, a byte order mark too. UTF-8 without NUL. Opening
 * reads all of it once: the place of each row is noted, types are found (a whole number, else a
 * number, else a text) or checked. With takes_bad it goes on behind the line of a row that is
 * malformed, but where a quote is not closed, since what is one row then is not known.
 */
#ifndef FORMAT_CSV_H
#define FORMAT_CSV_H

#include <stdbool.h>

#include "base/buf.h"
#include "pipeline/format/input.h"
#include "pipeline/format/offsets.h"

enum {
    CSV_FIELD_MAX = 65536,
    CSV_COLUMNS_MAX = 4096,
    CSV_ROW_MAX = 1 << 24,
};
enum csv_type { CSV_AUTO, CSV_INT, CSV_FLOAT, CSV_FLOAT32, CSV_TEXT };

struct csv_column {
    const char *name; /* "0", "1", ... without a header */
    enum csv_type type;
    bool has_missing;
};
struct csv_options {
    char delimiter; /* 0: a comma */
    bool has_header;
    bool takes_bad;     /* a row that is malformed is an error of csv_row, not of csv_open */
    bool takes_missing; /* empty numbers, and those of `missing` */
    bool takes_all;     /* nan, inf */
    const char *const *missing; /* words that mean nothing, NULL at the end; or NULL */
    /* What the columns must be: by name with a header (in any order), else in order. NULL: found.
     */
    const struct csv_column *columns;
    size_t n_columns;
    /* What csv_save gave of this file opened so before, or NULL: then its rows are not read. */
    const void *known;
    size_t known_bytes;
};
struct csv_value {
    bool is_missing;
    int64_t i;        /* CSV_INT */
    double f;         /* CSV_FLOAT, CSV_FLOAT32 */
    const char *text; /* the field, quotes taken off; n bytes, not terminated */
    size_t n;
};

struct csv;
int csv_open(const struct input *in, const struct csv_options *options, struct csv **ret,
             struct err *err);
void csv_close(struct csv *csv); /* takes NULL */
/* Was `known` of use? It is not if it cannot be of this file. */
bool csv_was_known(const struct csv *csv);
void csv_save(const struct csv *csv, struct buf *out);
size_t csv_rows(const struct csv *csv);
int64_t csv_offset(const struct csv *csv, size_t row); /* in the file, unpacked */
const struct csv_column *csv_columns(const struct csv *csv, size_t *ret_n);
/* A value a column. */
int csv_row(struct csv *csv, size_t row, const struct csv_value **ret, struct err *err);

#endif
