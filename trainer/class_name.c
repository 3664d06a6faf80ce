#include "trainer/class_name.h"

#include <string.h>

enum { FAMILY_MAX = 256 };

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

void class_name_snake(const char *name, char *buf, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; name[i] && n + 2 < size; i++) {
        bool word = i > 0 && is_upper(name[i]) && (is_lower(name[i - 1]) || is_lower(name[i + 1]));
        if (word) {
            buf[n++] = '_';
        }
        buf[n++] = is_upper(name[i]) ? (char)(name[i] - 'A' + 'a') : name[i];
    }
    buf[n] = '\0';
}

bool class_name_is(const char *name, const char *aliases, const char *text)
{
    char snake[CLASS_NAME_MAX];
    class_name_snake(name, snake, sizeof(snake));
    if (strcmp(name, text) == 0 || strcmp(snake, text) == 0) {
        return true;
    }
    size_t n = strlen(text);
    for (const char *word = aliases; word && *word;) {
        size_t length = strcspn(word, " ");
        if (length == n && memcmp(word, text, n) == 0) {
            return true;
        }
        word += length;
        word += strspn(word, " ");
    }
    return false;
}

int class_name_find(const struct class_name_family *family, const char *text, struct err *err)
{
    const char *names[FAMILY_MAX];
    const char *aliases;
    int n = 0;
    for (; n < FAMILY_MAX && (names[n] = family->at((size_t)n, &aliases)) != NULL; n++) {
        if (class_name_is(names[n], aliases, text)) {
            return n;
        }
    }
    const char *nearest = err_nearest(text, names, (size_t)n);
    if (!nearest) {
        return err_set(err, ERR_UNKNOWN, "there is no %s '%.64s'", family->what, text);
    }
    return err_set(err, ERR_UNKNOWN, "there is no %s '%.64s'; did you mean '%s'?", family->what,
                   text, nearest);
}

int class_name_read(const struct class_name_family *family, const struct doc *doc,
                    const struct doc **ret_options, struct err *err)
{
    const char *name;
    int r = opt_named(doc, &name, ret_options, err);
    return r < 0 ? r : class_name_find(family, name, err);
}

static struct doc *put(struct doc *map, struct arena *arena, const char *module, const char *name,
                       const char *registered)
{
    doc_set_map(map);
    doc_put_str(map, arena, "module", module);
    doc_put_str(map, arena, "class_name", name);
    if (registered) {
        doc_put_str(map, arena, "registered_name", registered);
    } else {
        doc_set_null(doc_put(map, arena, "registered_name"));
    }
    /* Last: a further key could move it. */
    struct doc *config = doc_put(map, arena, "config");
    doc_set_map(config);
    return config;
}

struct doc *class_name_put(struct doc *map, struct arena *arena, const char *module,
                           const char *name)
{
    return put(map, arena, module, name, NULL);
}

struct doc *class_name_put_ours(struct doc *map, struct arena *arena, const char *name)
{
    return put(map, arena, "millrace_keras", name, arena_printf(arena, "millrace>%s", name));
}

const struct doc *class_name_known(const struct opt *table, const struct doc *options,
                                   struct arena *arena)
{
    if (!options || options->type != DOC_MAP) {
        return options;
    }
    struct doc *known = doc_new(arena);
    doc_set_map(known);
    for (size_t i = 0; i < options->n; i++) {
        const struct doc *value = &options->pairs[i].value;
        bool says_nothing = value->type == DOC_NULL || (value->type == DOC_BOOL && !value->b);
        if (!says_nothing || opt_find(table, options->pairs[i].key)) {
            *doc_append(known, arena, options->pairs[i].key) = *value;
        }
    }
    return known;
}

static bool is_none(const struct opt *row, const void *ctx)
{
    const void *field = (const char *)ctx + row->offset;
    if (row->type == OPT_F64) {
        double value;
        memcpy(&value, field, sizeof(value));
        return value == row->def;
    }
    if (row->type == OPT_I64) {
        int64_t value;
        memcpy(&value, field, sizeof(value));
        return (double)value == row->def;
    }
    if (row->type == OPT_INTS) {
        struct opt_ints list;
        memcpy(&list, field, sizeof(list));
        return list.n == 0;
    }
    return false;
}

void class_name_write(const struct opt *table, const void *ctx, struct doc *map,
                      struct arena *arena)
{
    struct doc *all = doc_new(arena);
    doc_set_map(all);
    opt_write(table, ctx, true, all, arena);
    for (const struct opt *row = table; row->type != OPT_END; row++) {
        const struct doc *value = doc_get(all, row->name);
        bool none = !value || ((row->flags & OPT_NULLABLE) && is_none(row, ctx));
        /* What is left out takes the constructor's default. */
        if (!none && !(row->flags & OPT_IGNORED)) {
            doc_copy(doc_put(map, arena, row->name), arena, value);
        }
    }
}
