/* What is made from option rows: the values as a document, help, JSON schema, reference pages. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/opt.h"

/* The name of a value; numbers may have named values besides. */
static const char *enum_name(const struct opt *row, int64_t value)
{
    for (const struct opt_name *name = row->names; name && name->name; name++) {
        if (name->value == value) {
            return name->name;
        }
    }
    return NULL;
}

/* 0.1f as 0.1 and not as 0.10000000149011612: the shortest decimal that gives the same float. */
static double decimal_of_float(float f)
{
    for (int digits = 6; digits < 9 && isfinite(f); digits++) {
        char text[40];
        double back = 0.0;
        (void)snprintf(text, sizeof(text), "%.*e", digits - 1, (double)f);
        if (doc_parse_float(text, &back) && (float)back == f) {
            return back;
        }
    }
    return (double)f;
}

static void write_list(const struct opt *row, const void *field, struct doc *value,
                       struct arena *arena)
{
    doc_set_list(value);
    if (row->type == OPT_INTS) {
        const struct opt_ints *ints = field;
        for (size_t i = 0; i < ints->n; i++) {
            doc_set_int(doc_push(value, arena), ints->v[i]);
        }
    } else if (row->type == OPT_FLOATS) {
        const struct opt_floats *floats = field;
        for (size_t i = 0; i < floats->n; i++) {
            doc_set_float(doc_push(value, arena), floats->v[i]);
        }
    } else if (row->type == OPT_STRS) {
        const struct opt_strs *strs = field;
        for (size_t i = 0; i < strs->n; i++) {
            doc_set_str(doc_push(value, arena), arena, strs->v[i]);
        }
    } else {
        const struct opt_groups *groups = field;
        for (size_t i = 0; i < groups->n; i++) {
            struct doc *item = doc_push(value, arena);
            doc_set_map(item);
            opt_write(row->group, (const char *)groups->v + i * row->group_size, true, item, arena);
        }
    }
}

/* An empty list that the row would not read back, an absent text or document: no pair at all. */
static bool is_absent(const struct opt *row, const void *field)
{
    switch (row->type) {
    case OPT_STR: return *(const char *const *)field == NULL;
    case OPT_DOC: return *(const struct doc *const *)field == NULL;
    case OPT_ENUM: return enum_name(row, *(const int *)field) == NULL;
    case OPT_BIN: return ((const struct opt_bin *)field)->data == NULL;
    case OPT_INTS: return ((const struct opt_ints *)field)->n == 0 && row->min_n > 0;
    case OPT_FLOATS: return ((const struct opt_floats *)field)->n == 0 && row->min_n > 0;
    case OPT_STRS: return ((const struct opt_strs *)field)->n == 0 && row->min_n > 0;
    case OPT_GROUPS: return ((const struct opt_groups *)field)->n == 0 && row->min_n > 0;
    case OPT_BOOL:
    case OPT_I64:
    case OPT_F64:
    case OPT_F32:
    case OPT_GROUP:
    case OPT_END: return false;
    }
    return false;
}

static void write_int(const struct opt *row, int64_t number, struct doc *value, struct arena *arena)
{
    const char *name = enum_name(row, number);
    if (name) {
        doc_set_str(value, arena, name);
    } else {
        doc_set_int(value, number);
    }
}

static void write_row(const struct opt *row, const void *field, bool with_secrets,
                      struct doc *value, struct arena *arena)
{
    switch (row->type) {
    case OPT_BOOL: doc_set_bool(value, *(const bool *)field); break;
    case OPT_I64: write_int(row, *(const int64_t *)field, value, arena); break;
    case OPT_F64: doc_set_float(value, *(const double *)field); break;
    case OPT_F32: doc_set_float(value, decimal_of_float(*(const float *)field)); break;
    case OPT_STR: doc_set_str(value, arena, *(const char *const *)field); break;
    case OPT_ENUM: doc_set_str(value, arena, enum_name(row, *(const int *)field)); break;
    case OPT_INTS:
    case OPT_FLOATS:
    case OPT_STRS:
    case OPT_GROUPS: write_list(row, field, value, arena); break;
    case OPT_GROUP:
        doc_set_map(value);
        opt_write(row->group, field, with_secrets, value, arena);
        break;
    case OPT_DOC: doc_copy(value, arena, *(const struct doc *const *)field); break;
    case OPT_BIN: {
        const struct opt_bin *bin = field;
        doc_set_bin(value, arena, bin->data, bin->n);
        break;
    }
    case OPT_END: break;
    }
}

void opt_write(const struct opt *table, const void *ctx, bool with_secrets, struct doc *map,
               struct arena *arena)
{
    if (map->type != DOC_MAP) {
        doc_set_map(map);
    }
    for (const struct opt *row = table; row->type != OPT_END; row++) {
        const void *field = (const char *)ctx + row->offset;
        if (is_absent(row, field)) {
            continue;
        }
        struct doc *value = doc_put(map, arena, row->name);
        if ((row->flags & OPT_SECRET) && !with_secrets) {
            doc_set_str(value, arena, "***");
        } else {
            write_row(row, field, with_secrets, value, arena);
        }
    }
}

void opt_default_text(const struct opt *row, char *buf, size_t size)
{
    const char *text = "";
    char number[40] = "";
    switch (row->type) {
    case OPT_BOOL: text = row->def != 0.0 ? "true" : "false"; break;
    case OPT_I64:
        opt_number_text(row->def, number, sizeof(number));
        text = enum_name(row, (int64_t)row->def);
        text = text ? text : number;
        break;
    case OPT_F64:
        opt_number_text(row->def, number, sizeof(number));
        text = number;
        break;
    case OPT_F32:
        opt_number_text(decimal_of_float((float)row->def), number, sizeof(number));
        text = number;
        break;
    case OPT_ENUM: text = enum_name(row, (int)row->def); break;
    case OPT_STR:
    case OPT_INTS:
    case OPT_FLOATS:
    case OPT_STRS:
    case OPT_DOC: text = row->def_str; break;
    case OPT_GROUP:
    case OPT_GROUPS:
    case OPT_BIN:
    case OPT_END: break;
    }
    (void)snprintf(buf, size, "%s", text ? text : "");
}

static void enum_names(const struct opt *row, const char *separator, struct buf *out)
{
    for (const struct opt_name *name = row->names; name->name; name++) {
        buf_printf(out, "%s%s", name == row->names ? "" : separator, name->name);
    }
}

/* "1..5", "valid, same", "2 values", or nothing. */
static void range_text(const struct opt *row, struct buf *out)
{
    char min[40], max[40];
    bool is_number = row->type == OPT_I64 || row->type == OPT_F64 || row->type == OPT_F32;
    bool is_list = row->type == OPT_INTS || row->type == OPT_FLOATS;
    if (row->type == OPT_ENUM) {
        enum_names(row, ", ", out);
        return;
    }
    if ((is_number || is_list) && (row->min != 0.0 || row->max != 0.0)) {
        bool is_bound =
            row->max < (row->type == OPT_I64 || row->type == OPT_INTS ? OPT_I64_MAX : 1e300);
        opt_number_text(row->min, min, sizeof(min));
        opt_number_text(row->max, max, sizeof(max));
        if (row->min > -OPT_I64_MAX || is_bound) {
            buf_printf(out, "%s..%s", row->min > -1e300 ? min : "", is_bound ? max : "");
        }
    }
    if (row->names) {
        buf_puts(out, out->size > 0 ? " or " : "");
        enum_names(row, ", ", out);
    }
    if ((is_list || row->type == OPT_STRS) && row->max_n > 0) {
        const char *comma = out->size > 0 ? ", " : "";
        if (row->min_n == row->max_n) {
            buf_printf(out, "%s%zu values", comma, row->min_n);
        } else {
            buf_printf(out, "%s%zu to %zu values", comma, row->min_n, row->max_n);
        }
    }
}

static const char *type_name(enum opt_type type)
{
    static const char *const names[] = {
        [OPT_END] = "",         [OPT_BOOL] = "bool", [OPT_I64] = "int",
        [OPT_F64] = "float",    [OPT_F32] = "float", [OPT_STR] = "text",
        [OPT_ENUM] = "name",    [OPT_INTS] = "ints", [OPT_FLOATS] = "floats",
        [OPT_STRS] = "texts",   [OPT_GROUP] = "map", [OPT_GROUPS] = "list of maps",
        [OPT_DOC] = "document", [OPT_BIN] = "bytes",
    };
    return names[type];
}

/* Words from `column` on, broken before WIDTH; the next lines begin under the first one. */
static void put_words(const char *text, int column, struct buf *out)
{
    enum { WIDTH = 100 };
    int at = column;
    while (*text != '\0') {
        int n = (int)strcspn(text, " ");
        if (at > column && at + 1 + n > WIDTH) {
            buf_printf(out, "\n%*s", column, "");
            at = column;
        }
        buf_printf(out, "%s%.*s", at > column ? " " : "", n, text);
        at += n + (at > column);
        text += n;
        text += strspn(text, " ");
    }
    buf_puts(out, "\n");
}

/* "--reserve-bytes=INT", "--json". */
static void option_head(const struct opt *row, char *buf, size_t size)
{
    bool is_switch = row->type == OPT_BOOL && row->def == 0.0;
    (void)snprintf(buf, size, "--%s%s%s", row->name, is_switch ? "" : "=",
                   is_switch ? "" : type_name(row->type));
    char *c = buf;
    for (; *c && *c != '='; c++) {
        *c = *c == '_' ? '-' : *c;
    }
    for (; *c; c++) {
        *c = *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c;
    }
}

void opt_help(const struct opt *table, struct buf *out)
{
    enum { COLUMN = 28 };
    for (const struct opt *row = table; row->type != OPT_END; row++) {
        char head[96], def[128];
        struct buf range = {0}, text = {0};
        option_head(row, head, sizeof(head));
        range_text(row, &range);
        opt_default_text(row, def, sizeof(def));
        bool has_default = def[0] && !(row->type == OPT_BOOL && row->def == 0.0);
        buf_puts(&text, row->help);
        if (range.size > 0 || has_default) {
            buf_printf(&text, " [%s%s%s%s]", range.size > 0 ? range.data : "",
                       range.size > 0 && has_default ? "; " : "", has_default ? "default " : "",
                       has_default ? def : "");
        }
        buf_puts(&text, (row->flags & OPT_REQUIRED) ? " (required)" : "");
        buf_printf(out, "  %-*s  ", COLUMN - 4, head);
        if (strlen(head) > COLUMN - 4) {
            buf_printf(out, "\n%*s", COLUMN, "");
        }
        put_words(text.data, COLUMN, out);
        buf_fini(&range);
        buf_fini(&text);
    }
}

static void write_cell(const char *text, struct buf *out)
{
    for (; *text; text++) {
        buf_printf(out, *text == '|' ? "\\|" : "%c", *text);
    }
}

void opt_reference(const struct opt *table, struct buf *out)
{
    buf_puts(out, "| name | type | default | allowed | what it is |\n|---|---|---|---|---|\n");
    for (const struct opt *row = table; row->type != OPT_END; row++) {
        char def[128];
        struct buf range = {0};
        range_text(row, &range);
        opt_default_text(row, def, sizeof(def));
        bool has_unit = row->unit && row->unit[0];
        buf_printf(out, "| `%s` | %s%s%s%s | %s%s%s | ", row->name, type_name(row->type),
                   has_unit ? " (" : "", has_unit ? row->unit : "", has_unit ? ")" : "",
                   def[0] ? "`" : "", (row->flags & OPT_REQUIRED) ? "required" : def,
                   def[0] ? "`" : "");
        write_cell(range.size > 0 ? range.data : "", out);
        buf_puts(out, " | ");
        write_cell(row->help, out);
        buf_puts(out, (row->flags & OPT_IGNORED) ? " Accepted, without effect. |\n" : " |\n");
        buf_fini(&range);
    }
}

static void schema_bounds(const struct opt *row, struct doc *map, struct arena *arena)
{
    if (row->min == 0.0 && row->max == 0.0) {
        return;
    }
    if (isfinite(row->min)) {
        doc_put_float(map, arena, "minimum", row->min);
    }
    if (isfinite(row->max)) {
        doc_put_float(map, arena, "maximum", row->max);
    }
}

static void schema_list(const struct opt *row, const char *type, struct doc *map,
                        struct arena *arena)
{
    doc_put_str(map, arena, "type", "array");
    struct doc *items = doc_put(map, arena, "items");
    doc_set_map(items);
    if (row->group) {
        opt_schema(row->group, items, arena);
    } else {
        doc_put_str(items, arena, "type", type);
        schema_bounds(row, items, arena);
    }
    if (row->min_n > 0) {
        doc_put_int(map, arena, "minItems", (int64_t)row->min_n);
    }
    if (row->max_n > 0) {
        doc_put_int(map, arena, "maxItems", (int64_t)row->max_n);
    }
}

/* A list of numbers or texts may also be one of them. */
static void schema_list_or_one(const struct opt *row, const char *type, struct doc *map,
                               struct arena *arena)
{
    struct doc *any = doc_put(map, arena, "anyOf");
    doc_set_list(any);
    struct doc *one = doc_push(any, arena);
    doc_set_map(one);
    doc_put_str(one, arena, "type", type);
    schema_bounds(row, one, arena);
    struct doc *list = doc_push(any, arena);
    doc_set_map(list);
    schema_list(row, type, list, arena);
}

static void schema_enum(const struct opt *row, struct doc *map, struct arena *arena)
{
    struct doc *names = doc_put(map, arena, "enum");
    doc_set_list(names);
    for (const struct opt_name *name = row->names; name->name; name++) {
        doc_set_str(doc_push(names, arena), arena, name->name);
    }
    if (row->flags & OPT_NULLABLE) {
        doc_set_null(doc_push(names, arena));
    }
}

static void schema_scalar(const struct opt *row, const char *type, struct doc *map,
                          struct arena *arena)
{
    struct doc *kind = doc_put(map, arena, "type");
    if (row->flags & OPT_NULLABLE) {
        doc_set_list(kind);
        doc_set_str(doc_push(kind, arena), arena, type);
        doc_set_str(doc_push(kind, arena), arena, "null");
    } else {
        doc_set_str(kind, arena, type);
    }
    if (row->type != OPT_BOOL && row->type != OPT_STR && row->type != OPT_BIN) {
        schema_bounds(row, map, arena);
    }
}

static void schema_named_number(const struct opt *row, struct doc *map, struct arena *arena)
{
    struct doc *any = doc_put(map, arena, "anyOf");
    doc_set_list(any);
    struct doc *number = doc_push(any, arena);
    doc_set_map(number);
    schema_scalar(row, "integer", number, arena);
    struct doc *name = doc_push(any, arena);
    doc_set_map(name);
    schema_enum(row, name, arena);
}

static void schema_row(const struct opt *row, struct doc *map, struct arena *arena)
{
    doc_set_map(map);
    doc_put_str(map, arena, "description", row->help);
    switch (row->type) {
    case OPT_BOOL: schema_scalar(row, "boolean", map, arena); break;
    case OPT_I64:
        if (row->names) {
            schema_named_number(row, map, arena);
        } else {
            schema_scalar(row, "integer", map, arena);
        }
        break;
    case OPT_F64:
    case OPT_F32: schema_scalar(row, "number", map, arena); break;
    case OPT_STR:
    case OPT_BIN: schema_scalar(row, "string", map, arena); break;
    case OPT_ENUM: schema_enum(row, map, arena); break;
    case OPT_INTS: schema_list_or_one(row, "integer", map, arena); break;
    case OPT_FLOATS: schema_list_or_one(row, "number", map, arena); break;
    case OPT_STRS: schema_list_or_one(row, "string", map, arena); break;
    case OPT_GROUP: opt_schema(row->group, map, arena); break;
    case OPT_GROUPS: schema_list(row, NULL, map, arena); break;
    case OPT_DOC:
    case OPT_END: break;
    }
    if (row->flags & OPT_DEPRECATED) {
        doc_put_bool(map, arena, "deprecated", true);
    }
}

void opt_schema(const struct opt *table, struct doc *map, struct arena *arena)
{
    if (map->type != DOC_MAP) {
        doc_set_map(map);
    }
    doc_put_str(map, arena, "type", "object");
    doc_put_bool(map, arena, "additionalProperties", false);
    struct doc *properties = doc_put(map, arena, "properties");
    doc_set_map(properties);
    struct doc required = {.type = DOC_LIST};
    for (const struct opt *row = table; row->type != OPT_END; row++) {
        schema_row(row, doc_put(properties, arena, row->name), arena);
        if (row->flags & OPT_REQUIRED) {
            doc_set_str(doc_push(&required, arena), arena, row->name);
        }
    }
    if (required.n > 0) {
        *doc_put(map, arena, "required") = required;
    }
}
