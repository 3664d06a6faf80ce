/* apply - operations on what a person gives: a few lines of JSON, a table, an array, some text.
 *
 * Owns:     everything lives in the arena.
 * Threads:  one.
 * Errors:   of the operations (path below the layer); of the data with its row and, in tables, its
 *           column: ERR_SYNTAX, ERR_SCHEMA, ERR_RANGE, ERR_VALUE, ERR_EMPTY, ERR_LIMIT.
 * Lifetime: the arena's.
 *
 * A file is samples: the items of one JSON list, or a line each (JSON, text, a table's row), or the
 * rows of a .npy array. A table of one column is single values. An operation of several fields
 * takes samples that are lists, a field an item.
 */
#ifndef PIPELINE_APPLY_H
#define PIPELINE_APPLY_H

#include "base/buf.h"
#include "pipeline/op.h"

enum apply_format { APPLY_JSON, APPLY_CSV, APPLY_NPY, APPLY_TEXT };
enum { APPLY_OPS_MAX = 32 };

struct apply_rows {
    int64_t n;
    int n_fields;
    struct tensor *fields[ELEMENT_FIELDS_MAX]; /* of n samples each */
    const char *name;
    bool is_table;
};
/* The format by the ending of a name: .csv and .tsv, .npy, .txt; else JSON. */
enum apply_format apply_format_of(const char *name);
/* is_split: items of a sample are fields of their own. */
int apply_read(const void *data, size_t size, const char *name, bool is_split, struct arena *arena,
               struct apply_rows *ret, struct err *err);

/* What the layers are: an op or a list of them as in a pipeline; `options`: texts for the one op,
 * by name, or NULL. */
struct apply {
    int n;
    struct op ops[APPLY_OPS_MAX];
    const struct doc *learned[APPLY_OPS_MAX]; /* options that apply_learn found, or NULL */
};
int apply_compile(const struct doc *layers, const struct doc *options, struct arena *arena,
                  struct apply *ret, struct err *err);
bool apply_is_split(const struct apply *apply);
/* Lets each op that has something to learn learn it from the rows, behind the ops before it. */
int apply_learn(struct apply *apply, const struct apply_rows *rows, struct arena *arena,
                struct err *err);
int apply_run(struct apply *apply, const struct apply_rows *rows, struct arena *arena,
              struct apply_rows *ret, struct err *err);
/* A sample as one line of JSON. */
void apply_write(const struct tensor *sample, struct buf *out);

#endif
