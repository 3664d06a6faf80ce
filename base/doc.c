#include "base/doc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct doc_limits doc_limits_default = {
    .depth = 32,
    .nodes = 1000000,
    .bytes = (size_t)64 << 20,
};

const struct doc *doc_get(const struct doc *map, const char *key)
{
    if (!map || map->type != DOC_MAP) {
        return NULL;
    }
    for (size_t i = 0; i < map->n; i++) {
        if (strcmp(map->pairs[i].key, key) == 0) {
            return &map->pairs[i].value;
        }
    }
    return NULL;
}

const struct doc *doc_at(const struct doc *list, size_t index)
{
    if (!list || list->type != DOC_LIST || index >= list->n) {
        return NULL;
    }
    return &list->items[index];
}

/* One step of a path: "[3]" or a key up to '.', '[' or the end. Moves *path behind it. */
static const struct doc *find_step(const struct doc *at, const char **path)
{
    const char *p = *path;
    if (*p == '[') {
        size_t index = 0;
        for (p++; *p >= '0' && *p <= '9' && index < SIZE_MAX / 16; p++) {
            index = index * 10 + (size_t)(*p - '0');
        }
        if (*p != ']' || p[-1] == '[') {
            return NULL;
        }
        *path = p + 1;
        return doc_at(at, index);
    }
    char key[256];
    size_t n = strcspn(p, ".[");
    if (n == 0 || n >= sizeof(key)) {
        return NULL;
    }
    memcpy(key, p, n);
    key[n] = '\0';
    *path = p + n;
    return doc_get(at, key);
}

const struct doc *doc_find(const struct doc *root, const char *path)
{
    const struct doc *at = root;
    while (at && *path) {
        at = find_step(at, &path);
        if (*path == '.') {
            path++;
        }
    }
    return at;
}

const char *doc_str(const struct doc *map, const char *key, const char *fallback)
{
    const struct doc *value = doc_get(map, key);
    return value && value->type == DOC_STR ? value->str : fallback;
}

int64_t doc_int(const struct doc *map, const char *key, int64_t fallback)
{
    const struct doc *value = doc_get(map, key);
    return value && value->type == DOC_INT ? value->i : fallback;
}

double doc_float(const struct doc *map, const char *key, double fallback)
{
    const struct doc *value = doc_get(map, key);
    return value && doc_is_number(value) ? doc_number(value) : fallback;
}

bool doc_bool(const struct doc *map, const char *key, bool fallback)
{
    const struct doc *value = doc_get(map, key);
    return value && value->type == DOC_BOOL ? value->b : fallback;
}

bool doc_is_number(const struct doc *doc)
{
    return doc->type == DOC_INT || doc->type == DOC_FLOAT;
}

double doc_number(const struct doc *doc)
{
    return doc->type == DOC_INT ? (double)doc->i : doc->f;
}

const char *doc_type_name(enum doc_type type)
{
    switch (type) {
    case DOC_NULL: return "null";
    case DOC_BOOL: return "true or false";
    case DOC_INT: return "a whole number";
    case DOC_FLOAT: return "a number";
    case DOC_STR: return "a text";
    case DOC_BIN: return "bytes";
    case DOC_LIST: return "a list";
    case DOC_MAP: return "a map";
    }
    return "nothing";
}

static void describe_text(const struct doc *doc, char *buf, size_t size)
{
    char shown[64];
    size_t n = doc->n < sizeof(shown) - 4 ? doc->n : sizeof(shown) - 4;
    while (n > 0 && n < doc->n && ((unsigned char)doc->str[n] & 0xC0) == 0x80) {
        n--; /* do not cut inside a character */
    }
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)doc->str[i];
        shown[i] = c < 0x20 || c == 0x7F ? '?' : (char)c;
    }
    memcpy(shown + n, n < doc->n ? "..." : "", n < doc->n ? 4 : 1);
    (void)snprintf(buf, size, "'%s'", shown);
}

void doc_describe(const struct doc *doc, char *buf, size_t size)
{
    switch (doc ? doc->type : DOC_NULL) {
    case DOC_NULL: (void)snprintf(buf, size, "null"); break;
    case DOC_BOOL: (void)snprintf(buf, size, "%s", doc->b ? "true" : "false"); break;
    case DOC_STR: describe_text(doc, buf, size); break;
    case DOC_BIN: (void)snprintf(buf, size, "%zu bytes", doc->n); break;
    case DOC_LIST:
        (void)snprintf(buf, size, doc->n == 0 ? "an empty list" : "a list of %zu", doc->n);
        break;
    case DOC_MAP: (void)snprintf(buf, size, doc->n == 0 ? "an empty map" : "a map"); break;
    case DOC_INT: (void)snprintf(buf, size, "%lld", (long long)doc->i); break;
    case DOC_FLOAT: doc_format_float(doc->f, buf, size); break;
    }
}

struct doc *doc_new(struct arena *arena)
{
    return ARENA_NEW(arena, struct doc);
}

/* Setting keeps the line, which belongs to the place and not to the value. */
static void set(struct doc *doc, struct doc value)
{
    value.line = doc->line;
    *doc = value;
}

void doc_set_null(struct doc *doc)
{
    set(doc, (struct doc){.type = DOC_NULL});
}

void doc_set_bool(struct doc *doc, bool b)
{
    set(doc, (struct doc){.type = DOC_BOOL, .b = b});
}

void doc_set_int(struct doc *doc, int64_t i)
{
    set(doc, (struct doc){.type = DOC_INT, .i = i});
}

void doc_set_float(struct doc *doc, double f)
{
    set(doc, (struct doc){.type = DOC_FLOAT, .f = f});
}

void doc_set_str(struct doc *doc, struct arena *arena, const char *text)
{
    if (!text) {
        doc_set_null(doc);
        return;
    }
    doc_set_strn(doc, arena, text, strlen(text));
}

void doc_set_strn(struct doc *doc, struct arena *arena, const char *text, size_t n)
{
    set(doc, (struct doc){.type = DOC_STR, .n = n, .str = arena_strndup(arena, text, n)});
}

void doc_set_bin(struct doc *doc, struct arena *arena, const void *data, size_t n)
{
    set(doc, (struct doc){.type = DOC_BIN, .n = n, .str = arena_strndup(arena, data, n)});
}

void doc_set_list(struct doc *doc)
{
    set(doc, (struct doc){.type = DOC_LIST});
}

void doc_set_map(struct doc *doc)
{
    set(doc, (struct doc){.type = DOC_MAP});
}

static void *grow(struct arena *arena, void *old, size_t n, size_t *capacity, size_t size)
{
    if (n < *capacity) {
        return old;
    }
    size_t wanted = *capacity == 0 ? 4 : *capacity * 2;
    void *items = arena_array(arena, wanted, size);
    if (n > 0) {
        memcpy(items, old, n * size);
    }
    *capacity = wanted;
    return items;
}

struct doc *doc_append(struct doc *map, struct arena *arena, const char *key)
{
    BUG_ON(map->type != DOC_MAP);
    map->pairs = grow(arena, map->pairs, map->n, &map->capacity, sizeof(*map->pairs));
    struct doc_pair *pair = &map->pairs[map->n++];
    *pair = (struct doc_pair){.key = arena_strdup(arena, key)};
    return &pair->value;
}

struct doc *doc_put(struct doc *map, struct arena *arena, const char *key)
{
    BUG_ON(map->type != DOC_MAP);
    for (size_t i = 0; i < map->n; i++) {
        if (strcmp(map->pairs[i].key, key) == 0) {
            map->pairs[i].value = (struct doc){.type = DOC_NULL};
            return &map->pairs[i].value;
        }
    }
    return doc_append(map, arena, key);
}

struct doc *doc_push(struct doc *list, struct arena *arena)
{
    BUG_ON(list->type != DOC_LIST);
    list->items = grow(arena, list->items, list->n, &list->capacity, sizeof(*list->items));
    struct doc *item = &list->items[list->n++];
    *item = (struct doc){.type = DOC_NULL};
    return item;
}

void doc_put_str(struct doc *map, struct arena *arena, const char *key, const char *text)
{
    doc_set_str(doc_put(map, arena, key), arena, text);
}

void doc_put_int(struct doc *map, struct arena *arena, const char *key, int64_t i)
{
    doc_set_int(doc_put(map, arena, key), i);
}

void doc_put_float(struct doc *map, struct arena *arena, const char *key, double f)
{
    doc_set_float(doc_put(map, arena, key), f);
}

void doc_put_bool(struct doc *map, struct arena *arena, const char *key, bool b)
{
    doc_set_bool(doc_put(map, arena, key), b);
}

void doc_copy(struct doc *to, struct arena *arena, const struct doc *from)
{
    struct doc copy = *from;
    copy.capacity = from->n;
    switch (from->type) {
    case DOC_STR:
    case DOC_BIN: copy.str = arena_strndup(arena, from->str, from->n); break;
    case DOC_LIST:
        copy.items = arena_array(arena, from->n, sizeof(*copy.items));
        for (size_t i = 0; i < from->n; i++) {
            doc_copy(&copy.items[i], arena, &from->items[i]);
        }
        break;
    case DOC_MAP:
        copy.pairs = arena_array(arena, from->n, sizeof(*copy.pairs));
        for (size_t i = 0; i < from->n; i++) {
            copy.pairs[i].key = arena_strdup(arena, from->pairs[i].key);
            doc_copy(&copy.pairs[i].value, arena, &from->pairs[i].value);
        }
        break;
    case DOC_NULL:
    case DOC_BOOL:
    case DOC_INT:
    case DOC_FLOAT: break;
    }
    *to = copy;
}

static bool equal_maps(const struct doc *a, const struct doc *b)
{
    for (size_t i = 0; i < a->n; i++) {
        /* Two maps mostly have one order: look at the same place first. */
        const struct doc *other = strcmp(b->pairs[i].key, a->pairs[i].key) == 0
                                      ? &b->pairs[i].value
                                      : doc_get(b, a->pairs[i].key);
        if (!other || !doc_equal(&a->pairs[i].value, other)) {
            return false;
        }
    }
    return true;
}

bool doc_equal(const struct doc *a, const struct doc *b)
{
    if (a->type != b->type || a->n != b->n) {
        return false;
    }
    switch (a->type) {
    case DOC_NULL: return true;
    case DOC_BOOL: return a->b == b->b;
    case DOC_INT: return a->i == b->i;
    case DOC_FLOAT: return memcmp(&a->f, &b->f, sizeof(a->f)) == 0;
    case DOC_STR:
    case DOC_BIN: return a->n == 0 || memcmp(a->str, b->str, a->n) == 0;
    case DOC_LIST:
        for (size_t i = 0; i < a->n; i++) {
            if (!doc_equal(&a->items[i], &b->items[i])) {
                return false;
            }
        }
        return true;
    case DOC_MAP: return equal_maps(a, b);
    }
    return false;
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(((const struct doc_pair *)a)->key, ((const struct doc_pair *)b)->key);
}

struct doc_pair *doc_sorted(const struct doc *map)
{
    struct doc_pair *pairs = calloc(map->n + 1, sizeof(*pairs));
    if (!pairs) {
        BUG("no memory for %zu keys", map->n);
    }
    if (map->n > 0) {
        memcpy(pairs, map->pairs, map->n * sizeof(*pairs));
        qsort(pairs, map->n, sizeof(*pairs), compare_keys);
    }
    return pairs;
}

const char *doc_duplicate(const struct doc *map)
{
    if (map->type != DOC_MAP || map->n < 2) {
        return NULL;
    }
    struct doc_pair *pairs = doc_sorted(map);
    const char *found = NULL;
    for (size_t i = 1; i < map->n && !found; i++) {
        found = strcmp(pairs[i - 1].key, pairs[i].key) == 0 ? pairs[i].key : NULL;
    }
    free(pairs);
    return found;
}
