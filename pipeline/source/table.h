/* table - rows of named values to elements: what sources of records (csv, jsonl, tfrecord,
 * webdataset) share.
 *
 * Owns:     buffers and decoders of its fields, given back by table_fini.
 * Threads:  one at a time.
 * Errors:   of table_open: ERR_UNKNOWN, ERR_INVALID, ERR_SCHEMA with paths of options. Of
 *           table_read: what the row is to blame for.
 * Lifetime: table_open .. table_fini.
 */
#ifndef PIPELINE_SOURCE_TABLE_H
#define PIPELINE_SOURCE_TABLE_H

#include "pipeline/source/picture.h"
#include "pipeline/source/record.h"
#include "pipeline/source/vocabulary.h"

enum { TABLE_COLUMNS_MAX = 4096 };
enum table_type { TABLE_NONE, TABLE_INT, TABLE_FLOAT, TABLE_TEXT };

/* What a row has in a column: numbers, or texts (bytes of pictures too). */
struct table_value {
    enum table_type type; /* TABLE_NONE: it is missing */
    struct shape shape;
    int64_t n;
    const int64_t *i;
    const double *f;
    const struct tensor_text *t;
    /* Numbers as they came, all finite; then i and f may be missing. NULL: there are only those. */
    const void *data;
    enum dtype dtype;
};

#define TABLE_FIELDS                 \
    const struct doc *fields;        \
    const struct doc *missing_value; \
    struct opt_strs class_names;
#define TABLE_ROWS(S, names)                                                               \
    RECORD_FIELDS_ROW(S, names),                                                           \
        OPT_DOC_ROW(S, missing_value,                                                      \
                    "The number that stands for missing ones; without it a sample with a " \
                    "missing one is a bad sample.",                                        \
                    .flags = OPT_NULLABLE),                                                \
        OPT_STRS_ROW(S, class_names, "Texts of the classes of y in the order of their numbers.")

struct table_options {
    TABLE_FIELDS
};
struct table_field {
    struct record_field *record;
    const size_t *columns; /* record->from.n of them */
    bool is_picture, is_word, is_raw;
    struct vocabulary words;
    struct picture picture;
    struct op_scratch data;
    struct tensor_text text;
};
struct table {
    const char *kind, *what; /* "csv", "column" */
    const struct table_options *options;
    const struct picture_options *pictures; /* or NULL: none are decoded */
    bool has_words;                         /* without names given: opening looks for them */
    bool is_scanned;                        /* opening looks at every row for words and classes */
    const struct source_store *store;       /* where what was found so is kept */
    const char *const *names;
    size_t n_names;
    /* The values of a row, one a column, borrowed until the next call. */
    int (*row)(struct source *source, int64_t sample, struct table_value *values, struct err *err);
    /* Filled by table_open. */
    struct table_value *values;
    const bool *is_used; /* columns that are fields; NULL before that is known: all */
    struct record record;
    struct table_field fields[ELEMENT_FIELDS_MAX];
};
/* What opening found in all rows, besides words: y's greatest number, and where. */
struct table_scan {
    int64_t most, at;
};
/* table_scan.c: the same of an opening before this one, words included; false: it is not kept. */
bool table_scan_load(struct table *table, int64_t rows, struct table_scan *ret,
                     struct arena *arena);
void table_scan_save(const struct table *table, const struct table_scan *scan);

/* source->samples rows are there. */
int table_open(struct table *table, struct source *source, struct arena *arena, struct err *err);
void table_fini(struct table *table); /* takes a zeroed one */
/* A picture from elsewhere as the first field of pictures. */
int table_picture(struct table *table, const struct source *source, const void *data, size_t size,
                  struct tensor *ret, struct err *err);
int table_read(struct table *table, struct source *source, int64_t sample,
               const struct look_asker *asker, struct element *ret, struct err *err);

#endif
