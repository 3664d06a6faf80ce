/* opt - typed options of a context struct, declared as one table.
 *
 * Owns:     nothing; texts and lists that it stores live in the arena given.
 * Threads:  tables are const; a context belongs to its caller.
 * Errors:   ERR_UNKNOWN (with the nearest name), ERR_INVALID, ERR_RANGE, ERR_MISSING; path in err->path. On error the
 *           context is unspecified and must not be used.
 * Lifetime: the arena's.
 *
 * The same rows serve daemon settings, command-line flags, ops, stages, layers, losses, optimizers and message bodies.
 * From them are made: validation, messages, --help, docs/reference, JSON schema, shell completion.
 */
#ifndef BASE_OPT_H
#define BASE_OPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/doc.h"
#include "base/err.h"

enum opt_type {
    OPT_END,
    OPT_BOOL,   /* bool */
    OPT_I64,    /* int64_t */
    OPT_F64,    /* double */
    OPT_F32,    /* float */
    OPT_STR,    /* const char *, NULL if not given and no default */
    OPT_ENUM,   /* int, one of .names */
    OPT_INTS,   /* struct opt_ints: a list, or one number standing for min_n equal ones */
    OPT_FLOATS, /* struct opt_floats, likewise */
    OPT_STRS,   /* struct opt_strs: a list of texts, or one text */
    OPT_GROUP,  /* a nested struct with its own table .group */
    OPT_GROUPS, /* struct opt_groups: a list of such structs, each .group_size bytes */
    OPT_DOC,    /* const struct doc *: taken as it is; its family's code reads it (initializers, ops, layers) */
    OPT_BIN,    /* struct opt_bin: bytes (messages only) */
};

enum opt_flag {
    OPT_REQUIRED = 1 << 0,
    OPT_NULLABLE = 1 << 1,   /* null is taken and leaves the default (OPT_STR, OPT_DOC, OPT_INTS...: NULL/empty) */
    OPT_START_ONLY = 1 << 2, /* a setting read at start only */
    OPT_RELOADABLE = 1 << 3, /* a setting that SIGHUP may change */
    OPT_SECRET = 1 << 4,     /* never printed */
    OPT_DEPRECATED = 1 << 5,
    OPT_IGNORED = 1 << 6,    /* accepted for compatibility with Keras, without effect */
    OPT_REST = 1 << 7,       /* stands for all options of a command line that have no row */
};

struct opt_ints {
    const int64_t *v;
    size_t n;
};
struct opt_floats {
    const double *v;
    size_t n;
};
struct opt_strs {
    const char *const *v;
    size_t n;
};
struct opt_groups {
    void *v;
    size_t n;
};
struct opt_bin {
    const void *data;
    size_t n;
};
struct opt_name {
    const char *name;
    int value;
};

struct opt {
    const char *name;
    const char *help; /* one sentence */
    enum opt_type type;
    unsigned flags;
    size_t offset;
    double def, min, max;         /* numbers; def of BOOL is 0/1, of ENUM the value */
    const char *def_str;          /* OPT_STR; for lists the text of the default in JSON, e.g. "[2,2]" */
    size_t min_n, max_n;          /* lists: allowed counts; max_n 0 = any. One number stands for min_n (>= 1) equal ones */
    const struct opt_name *names; /* OPT_ENUM; OPT_I64: texts taken besides; ends with a NULL name */
    const struct opt *group;      /* OPT_GROUP(S) */
    size_t group_size;            /* OPT_GROUPS */
    const char *unit;             /* "bytes", "us", "" ... for the reference */
    const char *alias;            /* another accepted name, or NULL */
};

/* offsetof that refuses to compile when the field's type is not T */
#define OPT_FIELD(S, f, T) \
    (offsetof(struct S, f) + 0 * sizeof(char[_Generic(((struct S *)0)->f, T: 1, default: -1)]))
/* The last argument of each row may be followed by further designated initialisers: .flags = OPT_NULLABLE, .unit = ... */
#define OPT_BOOL_ROW(S, f, d, h, ...) \
    { .name = #f, .help = (h), .type = OPT_BOOL, .offset = OPT_FIELD(S, f, bool), .def = (d), ##__VA_ARGS__ }
#define OPT_I64_ROW(S, f, d, lo, hi, h, ...) \
    { .name = #f, .help = (h), .type = OPT_I64, .offset = OPT_FIELD(S, f, int64_t), .def = (double)(d), \
      .min = (double)(lo), .max = (double)(hi), ##__VA_ARGS__ }
#define OPT_F64_ROW(S, f, d, lo, hi, h, ...) \
    { .name = #f, .help = (h), .type = OPT_F64, .offset = OPT_FIELD(S, f, double), .def = (d), .min = (lo), \
      .max = (hi), ##__VA_ARGS__ }
#define OPT_F32_ROW(S, f, d, lo, hi, h, ...) \
    { .name = #f, .help = (h), .type = OPT_F32, .offset = OPT_FIELD(S, f, float), .def = (d), .min = (lo), \
      .max = (hi), ##__VA_ARGS__ }
#define OPT_STR_ROW(S, f, d, h, ...) \
    { .name = #f, .help = (h), .type = OPT_STR, .offset = OPT_FIELD(S, f, const char *), .def_str = (d), ##__VA_ARGS__ }
#define OPT_ENUM_ROW(S, f, d, table, h, ...) \
    { .name = #f, .help = (h), .type = OPT_ENUM, .offset = OPT_FIELD(S, f, int), .def = (d), .names = (table), \
      ##__VA_ARGS__ }
#define OPT_INTS_ROW(S, f, d, lo_n, hi_n, lo, hi, h, ...) \
    { .name = #f, .help = (h), .type = OPT_INTS, .offset = OPT_FIELD(S, f, struct opt_ints), .def_str = (d), \
      .min_n = (lo_n), .max_n = (hi_n), .min = (double)(lo), .max = (double)(hi), ##__VA_ARGS__ }
#define OPT_FLOATS_ROW(S, f, d, lo_n, hi_n, lo, hi, h, ...) \
    { .name = #f, .help = (h), .type = OPT_FLOATS, .offset = OPT_FIELD(S, f, struct opt_floats), .def_str = (d), \
      .min_n = (lo_n), .max_n = (hi_n), .min = (lo), .max = (hi), ##__VA_ARGS__ }
#define OPT_STRS_ROW(S, f, h, ...) \
    { .name = #f, .help = (h), .type = OPT_STRS, .offset = OPT_FIELD(S, f, struct opt_strs), ##__VA_ARGS__ }
#define OPT_GROUP_ROW(S, f, table, h, ...) \
    { .name = #f, .help = (h), .type = OPT_GROUP, .offset = offsetof(struct S, f), .group = (table), ##__VA_ARGS__ }
#define OPT_GROUPS_ROW(S, f, T, table, h, ...) \
    { .name = #f, .help = (h), .type = OPT_GROUPS, .offset = OPT_FIELD(S, f, struct opt_groups), .group = (table), \
      .group_size = sizeof(struct T), ##__VA_ARGS__ }
#define OPT_DOC_ROW(S, f, h, ...) \
    { .name = #f, .help = (h), .type = OPT_DOC, .offset = OPT_FIELD(S, f, const struct doc *), ##__VA_ARGS__ }
#define OPT_BIN_ROW(S, f, h, ...) \
    { .name = #f, .help = (h), .type = OPT_BIN, .offset = OPT_FIELD(S, f, struct opt_bin), ##__VA_ARGS__ }
#define OPT_END_ROW { .type = OPT_END }

#define OPT_I64_MAX 9007199254740992.0 /* 2^53: the bound of a row without a smaller one */

/* Fills ctx with the defaults of every row (groups too). */
void opt_defaults(const struct opt *table, void *ctx, struct arena *arena);
/* Defaults, then every pair of `map` (NULL or DOC_NULL = empty map). Unknown keys, wrong types, numbers out of range, NaN,
 * and missing required rows are errors with the path below `map` in err->path. All of ctx is written. */
int opt_read(const struct opt *table, void *ctx, const struct doc *map, struct arena *arena, struct err *err);
/* One value given as a text (command line, environment, key = value file): "3", "true", "[1,2]", "relu". */
int opt_set_text(const struct opt *table, void *ctx, const char *name, const char *text, struct arena *arena,
                 struct err *err);
/* One value given as a document node. `name` may be dotted into groups. */
int opt_set(const struct opt *table, void *ctx, const char *name, const struct doc *value, struct arena *arena,
            struct err *err);
/* The context as a map, every row in table order (rows of OPT_SECRET as "***" unless with_secrets). NULL texts and
 * documents are left out. */
void opt_write(const struct opt *table, const void *ctx, bool with_secrets, struct doc *map, struct arena *arena);
const struct opt *opt_find(const struct opt *table, const char *name);
/* The nearest row name, or NULL. */
const char *opt_nearest(const struct opt *table, const char *name);
/* "--name=VALUE  help [range, default]" lines. */
void opt_help(const struct opt *table, struct buf *out);
/* JSON schema of the table as a map. */
void opt_schema(const struct opt *table, struct doc *map, struct arena *arena);
/* A Markdown table: name, type, default, range, sentence. */
void opt_reference(const struct opt *table, struct buf *out);
/* The default of a row as a text, for help and tests. */
void opt_default_text(const struct opt *row, char *buf, size_t size);
/* A number for messages: "3" rather than "3.0". */
void opt_number_text(double number, char *buf, size_t size);

/* A family's row that is named in a document: `Adam`, {Adam: {learning_rate: 0.1}} or Keras's
 * {class_name: Adam, config: {...}, ...}. Gives the name and its options (NULL if none). ERR_INVALID otherwise. */
int opt_named(const struct doc *doc, const char **ret_name, const struct doc **ret_options, struct err *err);

#endif
