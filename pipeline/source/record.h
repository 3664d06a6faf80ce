/* record - which of a record's named values become which fields of an element.
 *
 * Owns:     lists live in the arena given.
 * Threads:  const after reading.
 * Errors:   ERR_UNKNOWN (with the nearest name), ERR_INVALID, ERR_LIMIT; path from the stream's
 *           `source` on.
 * Lifetime: the arena's.
 */
#ifndef PIPELINE_SOURCE_RECORD_H
#define PIPELINE_SOURCE_RECORD_H

#include "pipeline/source.h"

enum { RECORD_KIND_AUTO = -1, RECORD_DTYPE_AUTO = -1 };

#define RECORD_FIELDS_ROW(S, names)                                                               \
    OPT_DOC_ROW(S, fields,                                                                        \
                "Which " names " become which fields, {x: NAME, y: NAME}; instead of a NAME "     \
                "{from: NAME, kind: image, dtype: float32, shape: [28, 28]}. Without it each is " \
                "a field of its own name.",                                                       \
                .flags = OPT_NULLABLE)

struct record_field {
    const char *name;
    struct opt_strs from; /* one or more */
    bool is_list;         /* given as a list: stands side by side */
    int kind;             /* enum element_kind, or RECORD_KIND_AUTO */
    int dtype;            /* enum dtype, or RECORD_DTYPE_AUTO */
    bool has_shape;
    struct shape shape;
};
struct record {
    int n;
    struct record_field fields[ELEMENT_FIELDS_MAX];
};
/* What there is to choose from. */
struct record_names {
    const char *kind; /* of the source: "csv" */
    const char *what; /* of one: "column" */
    const char *const *v;
    size_t n;
};
int record_read(struct record *ret, const struct doc *fields, const struct record_names *names,
                struct arena *arena, struct err *err);
/* Number of a name; -1 if there is none. */
int64_t record_find(const struct record_names *names, const char *name);
/* Sets a path to a field's part ("source.csv.fields.x.PART", PART may be NULL) and returns code. */
int record_fail(const struct record_names *names, const struct record_field *field,
                const char *part, int code, struct err *err, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

#endif
