/* doc - a document: the tree that JSON, YAML and msgpack all become.
 *
 * Owns:     nothing; every node and text lives in the arena it was built in.
 * Threads:  a finished tree is read-only and may be shared.
 * Errors:   readers return ERR_SYNTAX or ERR_LIMIT with line; lookups return NULL.
 * Lifetime: the arena's.
 *
 * Map keys are unique and keep their order. Texts are NUL-terminated UTF-8 and may not hold NUL (DOC_BIN may).
 */
#ifndef BASE_DOC_H
#define BASE_DOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum doc_type { DOC_NULL, DOC_BOOL, DOC_INT, DOC_FLOAT, DOC_STR, DOC_BIN, DOC_LIST, DOC_MAP };

struct doc_pair;
struct doc {
    enum doc_type type;
    uint32_t line; /* 1-based line of the text it was read from, 0 if none */
    size_t n;      /* bytes of a text, items of a list, pairs of a map */
    size_t capacity;
    union {
        bool b;
        int64_t i;
        double f;
        const char *str; /* DOC_STR and DOC_BIN */
        struct doc *items;
        struct doc_pair *pairs;
    };
};
struct doc_pair {
    const char *key;
    struct doc value;
};

struct doc_limits {
    unsigned depth; /* 32 */
    size_t nodes;   /* 1,000,000 */
    size_t bytes;   /* of text read, 64 MiB */
};
extern const struct doc_limits doc_limits_default;

/* Lookups. `key` of a map, or NULL. Typed ones give `fallback` when absent or of another type. */
const struct doc *doc_get(const struct doc *map, const char *key);
const struct doc *doc_at(const struct doc *list, size_t index);
/* "a.b[2].c"; NULL if any part is absent. */
const struct doc *doc_find(const struct doc *root, const char *path);
const char *doc_str(const struct doc *map, const char *key, const char *fallback);
int64_t doc_int(const struct doc *map, const char *key, int64_t fallback);
double doc_float(const struct doc *map, const char *key, double fallback); /* takes ints too */
bool doc_bool(const struct doc *map, const char *key, bool fallback);
bool doc_is_number(const struct doc *doc);
double doc_number(const struct doc *doc); /* of DOC_INT or DOC_FLOAT */
/* A word for messages: "a list of 3", "'relu'", "12", "a map". */
void doc_describe(const struct doc *doc, char *buf, size_t size);
const char *doc_type_name(enum doc_type type);

/* Building. put/push return the new child, to be filled by one of the setters. */
struct doc *doc_new(struct arena *arena);
void doc_set_null(struct doc *doc);
void doc_set_bool(struct doc *doc, bool b);
void doc_set_int(struct doc *doc, int64_t i);
void doc_set_float(struct doc *doc, double f);
void doc_set_str(struct doc *doc, struct arena *arena, const char *text); /* NULL text -> DOC_NULL */
void doc_set_strn(struct doc *doc, struct arena *arena, const char *text, size_t n);
void doc_set_bin(struct doc *doc, struct arena *arena, const void *data, size_t n);
void doc_set_list(struct doc *doc);
void doc_set_map(struct doc *doc);
struct doc *doc_put(struct doc *map, struct arena *arena, const char *key); /* replaces an old value */
/* doc_put without the search, for readers that know the key is new or ask doc_duplicate when the map is complete. */
struct doc *doc_append(struct doc *map, struct arena *arena, const char *key);
struct doc *doc_push(struct doc *list, struct arena *arena);
void doc_put_str(struct doc *map, struct arena *arena, const char *key, const char *text);
void doc_put_int(struct doc *map, struct arena *arena, const char *key, int64_t i);
void doc_put_float(struct doc *map, struct arena *arena, const char *key, double f);
void doc_put_bool(struct doc *map, struct arena *arena, const char *key, bool b);
/* Deep copy into another arena. */
void doc_copy(struct doc *to, struct arena *arena, const struct doc *from);
bool doc_equal(const struct doc *a, const struct doc *b); /* maps are equal in any order */
/* A key that the map holds twice, or NULL. n log n. */
const char *doc_duplicate(const struct doc *map);
/* The pairs ordered by key, map->n of them; the caller frees the array, not what it points to. */
struct doc_pair *doc_sorted(const struct doc *map);

/* base/doc_json.c. Reading bounds depth, nodes and bytes; duplicate keys are errors; the line is in err->line.
 * Writing: floats in the shortest text that reads back, non-finite as the texts "NaN", "Infinity", "-Infinity";
 * indent 0 gives one line. Locale-free. */
int doc_read_json(const char *text, size_t size, const struct doc_limits *limits, struct arena *arena,
                  struct doc **ret, struct err *err);
void doc_write_json(const struct doc *doc, int indent, struct buf *out);
/* Canonical form: keys sorted, no blanks; what identities are hashed over. */
void doc_write_canonical(const struct doc *doc, struct buf *out);
/* Locale-free number reading of a whole text; false if anything is left over. */
bool doc_parse_int(const char *text, int64_t *ret);
bool doc_parse_float(const char *text, double *ret);
/* The shortest text that reads back as f, with a point or exponent ("1.0"); NaN, Infinity, -Infinity. Locale-free. */
void doc_format_float(double f, char *buf, size_t size);

#endif
