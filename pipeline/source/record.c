#include "pipeline/source/record.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct given {
    struct opt_strs from;
    int kind;
    const char *dtype;
    struct opt_ints shape;
};
static const struct opt_name kinds[] = {
    {"auto", RECORD_KIND_AUTO},
#define KIND_ROW(symbol, name) {(name), ELEMENT_##symbol},
#include "proto/element_kinds.h"
#undef KIND_ROW
    {NULL, 0},
};
static const struct opt options[] = {
    OPT_STRS_ROW(given, from, "What it is made of.", .flags = OPT_REQUIRED, .min_n = 1),
    OPT_ENUM_ROW(given, kind, RECORD_KIND_AUTO, kinds, "What it is."),
    OPT_STR_ROW(given, dtype, NULL, "Element type of its numbers.", .flags = OPT_NULLABLE),
    OPT_INTS_ROW(given, shape, NULL, 0, SHAPE_RANK_MAX, 0, 1 << 30, "Shape of its numbers.",
                 .flags = OPT_NULLABLE),
    OPT_END_ROW,
};

int record_fail(const struct record_names *names, const struct record_field *field,
                const char *part, int code, struct err *err, const char *format, ...)
{
    char text[512], path[192];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)snprintf(path, sizeof path, "source.%s.fields.%.64s%s%s", names->kind, field->name,
                   part != NULL ? "." : "", part != NULL ? part : "");
    return err_set_at(err, code, path, "%s", text);
}

int64_t record_find(const struct record_names *names, const char *name)
{
    for (size_t i = 0; i < names->n; i++) {
        if (strcmp(names->v[i], name) == 0) {
            return (int64_t)i;
        }
    }
    return -1;
}

static int check_from(const struct record_field *field, const struct record_names *names,
                      struct err *err)
{
    for (size_t i = 0; i < field->from.n; i++) {
        const char *from = field->from.v[i];
        if (record_find(names, from) >= 0) {
            continue;
        }
        char list[256] = "";
        const char *nearest = err_nearest(from, names->v, names->n);
        for (size_t k = 0; k < names->n && nearest == NULL; k++) {
            const size_t used = strlen(list);
            (void)snprintf(list + used, sizeof list - used, "%s%s", k > 0 ? ", " : "", names->v[k]);
        }
        return nearest != NULL
                   ? record_fail(names, field, NULL, ERR_UNKNOWN, err,
                                 "there is no %s '%.64s'; did you mean '%.64s'?", names->what, from,
                                 nearest)
                   : record_fail(names, field, NULL, ERR_UNKNOWN, err,
                                 "there is no %s '%.64s'; there are: %s", names->what, from, list);
    }
    return 0;
}

static int take_given(struct record_field *field, const struct given *given,
                      const struct record_names *names, struct err *err)
{
    field->from = given->from;
    field->kind = given->kind;
    if (given->dtype != NULL) {
        field->dtype = dtype_find(given->dtype);
        if (field->dtype < 0 || field->dtype == DTYPE_STR) {
            return record_fail(names, field, "dtype", ERR_INVALID, err,
                               "'%.64s' is no element type of numbers", given->dtype);
        }
    }
    if (given->shape.v != NULL) {
        field->has_shape = true;
        field->shape = shape_make((int)given->shape.n, given->shape.v);
    }
    return 0;
}

static int read_field(struct record_field *field, const char *name, const struct doc *value,
                      const struct record_names *names, struct arena *arena, struct err *err)
{
    struct given given = {.kind = RECORD_KIND_AUTO};
    struct doc *map = doc_new(arena);
    const struct doc *from = value->type == DOC_MAP ? doc_get(value, "from") : value;
    *field = (struct record_field){.name = arena_strdup(arena, name),
                                   .is_list = from != NULL && from->type == DOC_LIST,
                                   .kind = RECORD_KIND_AUTO,
                                   .dtype = RECORD_DTYPE_AUTO};
    doc_set_map(map);
    if (value->type != DOC_MAP) {
        *doc_put(map, arena, "from") = *value;
        value = map;
    }
    int r = opt_read(options, &given, value, arena, err);
    if (r < 0) {
        err_prefix(err, "source.%s.fields.%.64s", names->kind, name);
        return r;
    }
    if (name[0] == '\0' || name[0] == '_') {
        return record_fail(names, field, NULL, ERR_INVALID, err,
                           "a field's name is not empty and begins with no '_'");
    }
    r = take_given(field, &given, names, err);
    return r < 0 ? r : check_from(field, names, err);
}

static int too_many(const struct record_names *names, size_t n, struct err *err)
{
    char path[64];
    (void)snprintf(path, sizeof path, "source.%s.fields", names->kind);
    return err_set_at(err, ERR_LIMIT, path,
                      "%zu %ss make %zu fields, an element has %d at most; choose, {x: [A, B], y: "
                      "C}",
                      n, names->what, n, ELEMENT_FIELDS_MAX);
}

int record_read(struct record *ret, const struct doc *fields, const struct record_names *names,
                struct arena *arena, struct err *err)
{
    *ret = (struct record){.n = 0};
    if (fields != NULL && fields->type != DOC_MAP) {
        char path[64];
        (void)snprintf(path, sizeof path, "source.%s.fields", names->kind);
        return err_set_at(err, ERR_INVALID, path, "takes a map of fields, {x: NAME, y: NAME}");
    }
    const size_t n = fields != NULL ? fields->n : names->n;
    if (n > ELEMENT_FIELDS_MAX || n == 0) {
        return too_many(names, n, err);
    }
    for (size_t i = 0; i < n; i++) {
        struct doc name = {.type = DOC_STR};
        if (fields == NULL) {
            name.str = names->v[i];
            name.n = strlen(name.str);
        }
        int r = read_field(&ret->fields[ret->n], fields != NULL ? fields->pairs[i].key : name.str,
                           fields != NULL ? &fields->pairs[i].value : &name, names, arena, err);
        if (r < 0) {
            return r;
        }
        ret->n++;
    }
    return 0;
}
