#include "base/opt.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ROWS_MAX = 256, NAMES_TEXT = 400, VALUE_TEXT = 96 };

const struct opt *opt_find(const struct opt *table, const char *name)
{
    for (const struct opt *row = table; row->type != OPT_END; row++) {
        if (strcmp(row->name, name) == 0 || (row->alias && strcmp(row->alias, name) == 0)) {
            return row;
        }
    }
    return NULL;
}

const char *opt_nearest(const struct opt *table, const char *name)
{
    const char *names[ROWS_MAX];
    size_t n = 0;
    for (const struct opt *row = table; row->type != OPT_END; row++) {
        BUG_ON(n >= ROWS_MAX);
        names[n++] = row->name;
    }
    return err_nearest(name, names, n);
}

/* "a, b, c" of at most size bytes. */
static void join_name(char *buf, size_t size, const char *name)
{
    size_t used = strlen(buf);
    (void)snprintf(buf + used, size - used, "%s%s", used > 0 ? ", " : "", name);
}

static int unknown(const struct opt *table, const char *name, struct err *err)
{
    const char *nearest = opt_nearest(table, name);
    if (nearest) {
        return err_set_at(err, ERR_UNKNOWN, name, "there is no option '%.64s'; did you mean '%s'?",
                          name, nearest);
    }
    char names[NAMES_TEXT] = "";
    for (const struct opt *row = table; row->type != OPT_END; row++) {
        join_name(names, sizeof(names), row->name);
    }
    return err_set_at(err, ERR_UNKNOWN, name, "there is no option '%.64s'; there are: %s", name,
                      names[0] ? names : "none");
}

static int wrong_type(const struct opt *row, const struct doc *value, const char *wanted,
                      struct err *err)
{
    char shown[VALUE_TEXT];
    doc_describe(value, shown, sizeof(shown));
    return err_set_at(err, ERR_INVALID, row->name, "takes %s, not %s", wanted, shown);
}

static bool has_range(const struct opt *row)
{
    return row->min != 0.0 || row->max != 0.0;
}

static int out_of_range(const struct opt *row, const struct doc *value, struct err *err)
{
    char shown[VALUE_TEXT], min[40], max[40];
    doc_describe(value, shown, sizeof(shown));
    opt_number_text(row->min, min, sizeof(min));
    opt_number_text(row->max, max, sizeof(max));
    if (!has_range(row)) {
        return err_set_at(err, ERR_RANGE, row->name, "%s is not a finite number", shown);
    }
    return err_set_at(err, ERR_RANGE, row->name, "%s is outside %s..%s", shown, min, max);
}

static int take_float(const struct opt *row, const struct doc *value, double *ret, struct err *err)
{
    if (!doc_is_number(value)) {
        return wrong_type(row, value, "a number", err);
    }
    double number = doc_number(value);
    if (isnan(number) || (!has_range(row) && isinf(number)) ||
        (has_range(row) && !(number >= row->min && number <= row->max))) {
        return out_of_range(row, value, err);
    }
    *ret = number;
    return 0;
}

/* A bound as an integer; bounds beyond int64 do not bind. */
static int64_t bound(double limit)
{
    if (limit >= 9.2e18) {
        return INT64_MAX;
    }
    return limit <= -9.2e18 ? INT64_MIN : (int64_t)limit;
}

/* A number may have named values besides: AUTOTUNE. */
static bool take_named(const struct opt *row, const struct doc *value, int64_t *ret)
{
    for (const struct opt_name *name = row->names; name && name->name; name++) {
        if (value->type == DOC_STR && strcmp(name->name, value->str) == 0) {
            *ret = name->value;
            return true;
        }
    }
    return false;
}

static int take_int(const struct opt *row, const struct doc *value, int64_t *ret, struct err *err)
{
    if (take_named(row, value, ret)) {
        return 0;
    }
    if (!doc_is_number(value)) {
        char wanted[96];
        (void)snprintf(wanted, sizeof(wanted), "a whole number%s%s", row->names ? " or " : "",
                       row->names ? row->names->name : "");
        return wrong_type(row, value, wanted, err);
    }
    int64_t number = value->i;
    if (value->type == DOC_FLOAT) {
        if (!(fabs(value->f) <= OPT_I64_MAX) || floor(value->f) != value->f) {
            return wrong_type(row, value, "a whole number", err);
        }
        number = (int64_t)value->f;
    }
    if (has_range(row) && (number < bound(ceil(row->min)) || number > bound(floor(row->max)))) {
        return out_of_range(row, value, err);
    }
    *ret = number;
    return 0;
}

static int take_enum(const struct opt *row, const struct doc *value, int *ret, struct err *err)
{
    const char *names[ROWS_MAX];
    size_t n = 0;
    char list[NAMES_TEXT] = "";
    for (const struct opt_name *name = row->names; name->name; name++) {
        if (value->type == DOC_STR && strcmp(name->name, value->str) == 0) {
            *ret = name->value;
            return 0;
        }
        BUG_ON(n >= ROWS_MAX);
        names[n++] = name->name;
        join_name(list, sizeof(list), name->name);
    }
    char shown[VALUE_TEXT];
    doc_describe(value, shown, sizeof(shown));
    if (value->type != DOC_STR) {
        return err_set_at(err, ERR_INVALID, row->name, "takes one of %s, not %s", list, shown);
    }
    const char *nearest = err_nearest(value->str, names, n);
    return err_set_at(err, ERR_INVALID, row->name, "%s is not one of %s%s%s%s", shown, list,
                      nearest ? "; did you mean '" : "", nearest ? nearest : "",
                      nearest ? "'?" : "");
}

static int check_count(const struct opt *row, size_t n, const char *what, struct err *err)
{
    if (n >= row->min_n && (row->max_n == 0 || n <= row->max_n)) {
        return 0;
    }
    if (row->min_n == row->max_n) {
        return err_set_at(err, ERR_INVALID, row->name, "takes %zu %s, not %zu", row->min_n, what,
                          n);
    }
    if (row->max_n == 0) {
        return err_set_at(err, ERR_INVALID, row->name, "takes %zu or more %s, not %zu", row->min_n,
                          what, n);
    }
    return err_set_at(err, ERR_INVALID, row->name, "takes %zu to %zu %s, not %zu", row->min_n,
                      row->max_n, what, n);
}

/* A list, or one value that stands for min_n equal ones. */
static int list_begin(const struct opt *row, const struct doc *value, bool is_single,
                      const char *what, size_t *ret_n, struct err *err)
{
    if (is_single) {
        *ret_n = row->min_n > 0 ? row->min_n : 1;
        return 0;
    }
    if (value->type != DOC_LIST) {
        char wanted[64];
        (void)snprintf(wanted, sizeof(wanted), "a list of %s", what);
        return wrong_type(row, value, wanted, err);
    }
    *ret_n = value->n;
    return check_count(row, value->n, what, err);
}

static const struct doc *list_item(const struct doc *value, size_t i)
{
    return value->type == DOC_LIST ? &value->items[i] : value;
}

/* The item errors name the row; the place in the list goes behind it. */
static int item_failed(const struct opt *row, const struct doc *value, size_t i, struct err *err)
{
    if (err && value->type == DOC_LIST) {
        (void)snprintf(err->path, sizeof(err->path), "%s[%zu]", row->name, i);
    }
    return err ? err->code : ERR_INVALID;
}

static int set_ints(const struct opt *row, struct opt_ints *field, const struct doc *value,
                    struct arena *arena, struct err *err)
{
    size_t n;
    int r = list_begin(row, value, doc_is_number(value), "whole numbers", &n, err);
    if (r < 0) {
        return r;
    }
    int64_t *v = arena_array(arena, n, sizeof(*v));
    for (size_t i = 0; i < n; i++) {
        r = take_int(row, list_item(value, i), &v[i], err);
        if (r < 0) {
            item_failed(row, value, i, err);
            return r;
        }
    }
    *field = (struct opt_ints){.v = v, .n = n};
    return 0;
}

static int set_floats(const struct opt *row, struct opt_floats *field, const struct doc *value,
                      struct arena *arena, struct err *err)
{
    size_t n;
    int r = list_begin(row, value, doc_is_number(value), "numbers", &n, err);
    if (r < 0) {
        return r;
    }
    double *v = arena_array(arena, n, sizeof(*v));
    for (size_t i = 0; i < n; i++) {
        r = take_float(row, list_item(value, i), &v[i], err);
        if (r < 0) {
            item_failed(row, value, i, err);
            return r;
        }
    }
    *field = (struct opt_floats){.v = v, .n = n};
    return 0;
}

static int set_strs(const struct opt *row, struct opt_strs *field, const struct doc *value,
                    struct arena *arena, struct err *err)
{
    size_t n;
    int r = list_begin(row, value, value->type == DOC_STR, "texts", &n, err);
    if (r < 0) {
        return r;
    }
    const char **v = arena_array(arena, n, sizeof(*v));
    for (size_t i = 0; i < n; i++) {
        const struct doc *item = list_item(value, i);
        if (item->type != DOC_STR) {
            r = wrong_type(row, item, "a text", err);
            item_failed(row, value, i, err);
            return r;
        }
        v[i] = arena_strndup(arena, item->str, item->n);
    }
    *field = (struct opt_strs){.v = v, .n = n};
    return 0;
}

static int set_groups(const struct opt *row, struct opt_groups *field, const struct doc *value,
                      struct arena *arena, struct err *err)
{
    if (value->type != DOC_LIST) {
        return wrong_type(row, value, "a list of maps", err);
    }
    int r = check_count(row, value->n, "maps", err);
    if (r < 0) {
        return r;
    }
    char *v = arena_array(arena, value->n, row->group_size);
    for (size_t i = 0; i < value->n; i++) {
        r = opt_read(row->group, v + i * row->group_size, &value->items[i], arena, err);
        if (r < 0) {
            err_prefix(err, "%s[%zu]", row->name, i);
            return r;
        }
    }
    *field = (struct opt_groups){.v = v, .n = value->n};
    return 0;
}

static int set_group(const struct opt *row, void *field, const struct doc *value,
                     struct arena *arena, struct err *err)
{
    int r = opt_read(row->group, field, value, arena, err);
    if (r < 0) {
        err_prefix(err, "%s", row->name);
    }
    return r;
}

static int set_number(const struct opt *row, void *field, const struct doc *value, struct err *err)
{
    double number = 0.0;
    int r = take_float(row, value, &number, err);
    if (r < 0) {
        return r;
    }
    if (row->type == OPT_F64) {
        *(double *)field = number;
        return 0;
    }
    *(float *)field = (float)number;
    return isfinite(number) && isinf(*(float *)field) ? out_of_range(row, value, err) : 0;
}

static int set_copied(const struct opt *row, void *field, const struct doc *value,
                      struct arena *arena, struct err *err)
{
    switch ((int)row->type) {
    case OPT_BOOL:
        if (value->type != DOC_BOOL) {
            return wrong_type(row, value, "true or false", err);
        }
        *(bool *)field = value->b;
        return 0;
    case OPT_STR:
        if (value->type != DOC_STR) {
            return wrong_type(row, value, "a text", err);
        }
        *(const char **)field = arena_strndup(arena, value->str, value->n);
        return 0;
    case OPT_BIN:
        if (value->type != DOC_BIN) {
            return wrong_type(row, value, "bytes", err);
        }
        *(struct opt_bin *)field =
            (struct opt_bin){.data = arena_strndup(arena, value->str, value->n), .n = value->n};
        return 0;
    default: *(const struct doc **)field = value; return 0;
    }
}

static void set_default(const struct opt *row, void *ctx, struct arena *arena);

static int set_row(const struct opt *row, void *ctx, const struct doc *value, struct arena *arena,
                   struct err *err)
{
    void *field = (char *)ctx + row->offset;
    if (value->type == DOC_NULL && (row->flags & OPT_NULLABLE)) {
        set_default(row, ctx, arena);
        return 0;
    }
    switch (row->type) {
    case OPT_I64: return take_int(row, value, field, err);
    case OPT_F64:
    case OPT_F32: return set_number(row, field, value, err);
    case OPT_ENUM: return take_enum(row, value, field, err);
    case OPT_INTS: return set_ints(row, field, value, arena, err);
    case OPT_FLOATS: return set_floats(row, field, value, arena, err);
    case OPT_STRS: return set_strs(row, field, value, arena, err);
    case OPT_GROUP: return set_group(row, field, value, arena, err);
    case OPT_GROUPS: return set_groups(row, field, value, arena, err);
    case OPT_BOOL:
    case OPT_STR:
    case OPT_BIN:
    case OPT_DOC: return set_copied(row, field, value, arena, err);
    case OPT_END: break;
    }
    BUG("row '%s' has no type", row->name);
}

/* The default of a list is JSON in the row; a wrong one is a defect of the table. */
static void set_default_list(const struct opt *row, void *ctx, struct arena *arena)
{
    struct err err;
    struct doc *value = NULL;
    struct opt rest = *row;
    rest.flags &= ~(unsigned)OPT_NULLABLE;
    if (doc_read_json(row->def_str, strlen(row->def_str), NULL, arena, &value, &err) < 0 ||
        set_row(&rest, ctx, value, arena, &err) < 0) {
        BUG("the default of row '%s' is wrong: %s", row->name, err.text);
    }
}

static void set_default(const struct opt *row, void *ctx, struct arena *arena)
{
    void *field = (char *)ctx + row->offset;
    switch (row->type) {
    case OPT_BOOL: *(bool *)field = row->def != 0.0; return;
    case OPT_I64: *(int64_t *)field = (int64_t)row->def; return;
    case OPT_F64: *(double *)field = row->def; return;
    case OPT_F32: *(float *)field = (float)row->def; return;
    case OPT_ENUM: *(int *)field = (int)row->def; return;
    case OPT_STR: *(const char **)field = row->def_str; return;
    case OPT_INTS: *(struct opt_ints *)field = (struct opt_ints){0}; break;
    case OPT_FLOATS: *(struct opt_floats *)field = (struct opt_floats){0}; break;
    case OPT_STRS: *(struct opt_strs *)field = (struct opt_strs){0}; break;
    case OPT_GROUP: opt_defaults(row->group, field, arena); return;
    case OPT_GROUPS: *(struct opt_groups *)field = (struct opt_groups){0}; return;
    case OPT_DOC: *(const struct doc **)field = NULL; break;
    case OPT_BIN: *(struct opt_bin *)field = (struct opt_bin){0}; return;
    case OPT_END: return;
    }
    if (row->def_str) {
        set_default_list(row, ctx, arena);
    }
}

void opt_defaults(const struct opt *table, void *ctx, struct arena *arena)
{
    for (const struct opt *row = table; row->type != OPT_END; row++) {
        set_default(row, ctx, arena);
    }
}

static int check_required(const struct opt *table, const bool *seen, struct err *err)
{
    for (const struct opt *row = table; row->type != OPT_END; row++) {
        if ((row->flags & OPT_REQUIRED) && !seen[row - table]) {
            return err_set_at(err, ERR_MISSING, row->name, "'%s' is required and not given: %s",
                              row->name, row->help);
        }
    }
    return 0;
}

int opt_read(const struct opt *table, void *ctx, const struct doc *map, struct arena *arena,
             struct err *err)
{
    bool seen[ROWS_MAX] = {false};
    opt_defaults(table, ctx, arena);
    if (!map || map->type == DOC_NULL) {
        return check_required(table, seen, err);
    }
    if (map->type != DOC_MAP) {
        char shown[VALUE_TEXT];
        doc_describe(map, shown, sizeof(shown));
        return err_set(err, ERR_INVALID, "takes a map of options, not %s", shown);
    }
    for (size_t i = 0; i < map->n; i++) {
        const struct doc_pair *pair = &map->pairs[i];
        const struct opt *row = opt_find(table, pair->key);
        int r = row ? set_row(row, ctx, &pair->value, arena, err) : unknown(table, pair->key, err);
        if (row && r == 0 && seen[row - table]) {
            r = err_set_at(err, ERR_INVALID, pair->key, "'%s' is given twice", row->name);
        }
        if (r < 0) {
            if (err && err->line == 0) {
                err->line = (int)pair->value.line;
            }
            return r;
        }
        seen[row - table] = true;
    }
    return check_required(table, seen, err);
}

int opt_set(const struct opt *table, void *ctx, const char *name, const struct doc *value,
            struct arena *arena, struct err *err)
{
    const char *dot = strchr(name, '.');
    if (!dot) {
        const struct opt *row = opt_find(table, name);
        return row ? set_row(row, ctx, value, arena, err) : unknown(table, name, err);
    }
    char head[128];
    (void)snprintf(head, sizeof(head), "%.*s", (int)(dot - name), name);
    const struct opt *row = opt_find(table, head);
    if (!row) {
        return unknown(table, head, err);
    }
    if (row->type != OPT_GROUP) {
        return err_set_at(err, ERR_UNKNOWN, name, "'%s' has no options of its own", head);
    }
    int r = opt_set(row->group, (char *)ctx + row->offset, dot + 1, value, arena, err);
    if (r < 0) {
        err_prefix(err, "%s", row->name);
    }
    return r;
}

static bool is_options(const struct doc *doc)
{
    return !doc || doc->type == DOC_NULL || doc->type == DOC_MAP;
}

/* {class_name: Adam, config: {...}}; a function is {class_name: function, config: relu}. */
static int named_keras(const struct doc *doc, const char **ret_name, const struct doc **ret_options,
                       struct err *err)
{
    const struct doc *config = doc_get(doc, "config");
    const char *name = doc_str(doc, "class_name", NULL);
    if (!name) {
        return err_set_at(err, ERR_INVALID, "class_name", "takes a text");
    }
    if (config && config->type == DOC_STR && strcmp(name, "function") == 0) {
        *ret_name = config->str;
        *ret_options = NULL;
        return 0;
    }
    if (!is_options(config)) {
        return err_set_at(err, ERR_INVALID, "config", "takes a map of the options of '%.64s'",
                          name);
    }
    *ret_name = name;
    *ret_options = config && config->type == DOC_MAP ? config : NULL;
    return 0;
}

int opt_named(const struct doc *doc, const char **ret_name, const struct doc **ret_options,
              struct err *err)
{
    if (doc && doc->type == DOC_STR) {
        *ret_name = doc->str;
        *ret_options = NULL;
        return 0;
    }
    if (doc_get(doc, "class_name")) {
        return named_keras(doc, ret_name, ret_options, err);
    }
    if (!doc || doc->type != DOC_MAP || doc->n != 1) {
        char shown[VALUE_TEXT];
        doc_describe(doc, shown, sizeof(shown));
        return err_set(err, ERR_INVALID, "takes a name or one 'Name: {options}', not %s%s", shown,
                       doc && doc->type == DOC_MAP ? " of several names" : "");
    }
    const struct doc *options = &doc->pairs[0].value;
    if (!is_options(options)) {
        char shown[VALUE_TEXT];
        doc_describe(options, shown, sizeof(shown));
        return err_set_at(err, ERR_INVALID, doc->pairs[0].key, "takes a map of options, not %s",
                          shown);
    }
    *ret_name = doc->pairs[0].key;
    *ret_options = options->type == DOC_MAP ? options : NULL;
    return 0;
}
