/* apply_read - a file of a few samples to tensors. */
#include <stdio.h>
#include <string.h>

#include "pipeline/apply.h"
#include "pipeline/format/csv.h"
#include "pipeline/format/lines.h"
#include "pipeline/format/npy.h"
#include "pipeline/format/utf8.h"

static bool ends_with(const char *name, const char *end)
{
    const size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

enum apply_format apply_format_of(const char *name)
{
    static const struct {
        const char *end;
        enum apply_format format;
    } rows[] = {
        {".csv", APPLY_CSV}, {".tsv", APPLY_CSV}, {".npy", APPLY_NPY}, {".txt", APPLY_TEXT}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (ends_with(name, rows[i].end)) {
            return rows[i].format;
        }
    }
    return APPLY_JSON;
}

static void set_field(struct apply_rows *rows, int field, struct arena *arena)
{
    rows->fields[field] = arena_array(arena, (size_t)rows->n + 1, sizeof *rows->fields[field]);
    rows->n_fields = field + 1;
}

/* ---- JSON */

/* Which of whole numbers, numbers and texts the values are; of all samples, so that they are alike.
 */
struct kind {
    bool has_int, has_float, has_text;
};

static int find_kind(const struct doc *doc, struct kind *kind, struct err *err)
{
    char what[80];
    int r = 0;
    switch (doc->type) {
    case DOC_INT:
    case DOC_BOOL: kind->has_int = true; break;
    case DOC_FLOAT: kind->has_float = true; break;
    case DOC_STR: kind->has_text = true; break;
    case DOC_LIST:
        for (size_t i = 0; i < doc->n && r == 0; i++) {
            r = find_kind(&doc->items[i], kind, err);
        }
        return r;
    case DOC_NULL:
    case DOC_MAP:
    case DOC_BIN:
        doc_describe(doc, what, sizeof what);
        return err_set(err, ERR_SCHEMA, "has %s; samples are numbers, texts and lists of them",
                       what);
    }
    if (kind->has_text && (kind->has_int || kind->has_float)) {
        doc_describe(doc, what, sizeof what);
        return err_set(err, ERR_SCHEMA, "has %s, and there are %s before it", what,
                       doc->type == DOC_STR ? "numbers" : "texts");
    }
    return 0;
}

static int find_shape(const struct doc *doc, struct shape *shape, struct err *err)
{
    *shape = (struct shape){0};
    for (; doc->type == DOC_LIST; doc = &doc->items[0]) {
        if (shape->rank == SHAPE_RANK_MAX - 1) {
            return err_set(err, ERR_SHAPE, "has more than %d axes", SHAPE_RANK_MAX - 1);
        }
        shape->d[shape->rank++] = (int64_t)doc->n;
        if (doc->n == 0) {
            break;
        }
    }
    return 0;
}

static int store(const struct doc *doc, const struct tensor *t, int axis, int64_t *at,
                 struct err *err)
{
    if (axis < t->shape.rank) {
        if (doc->type != DOC_LIST || (int64_t)doc->n != t->shape.d[axis]) {
            return err_set(err, ERR_SHAPE, "is a list of lists that are not equally long");
        }
        int r = 0;
        for (size_t i = 0; i < doc->n && r == 0; i++) {
            r = store(&doc->items[i], t, axis + 1, at, err);
        }
        return r;
    }
    if (doc->type == DOC_LIST) {
        return err_set(err, ERR_SHAPE, "has a list beside single values");
    }
    if (t->dtype == DTYPE_STR) {
        ((struct tensor_text *)t->data)[(*at)++] =
            (struct tensor_text){.text = doc->str, .n = doc->n};
    } else if (t->dtype == DTYPE_I64) {
        ((int64_t *)t->data)[(*at)++] = doc->type == DOC_BOOL ? doc->b : doc->i;
    } else {
        ((float *)t->data)[(*at)++] =
            (float)(doc->type == DOC_BOOL ? (double)doc->b : doc_number(doc));
    }
    return 0;
}

static int row_failed(const char *name, int64_t row, int field, struct err *err)
{
    char text[512];
    if (err != NULL) {
        (void)snprintf(text, sizeof text, "%.500s", err->text);
        if (field >= 0) {
            (void)snprintf(err->text, sizeof err->text, "%s: row %lld, item %d %s", name,
                           (long long)row + 1, field + 1, text);
        } else {
            (void)snprintf(err->text, sizeof err->text, "%s: row %lld %s", name, (long long)row + 1,
                           text);
        }
        return err->code;
    }
    return ERR_SCHEMA;
}

/* The items at `field` of all samples, or (-1) the samples. */
static int read_field(const struct doc *list, int field, const char *name, struct arena *arena,
                      struct tensor *ret, struct err *err)
{
    struct kind kind = {0};
    for (size_t i = 0; i < list->n; i++) {
        const struct doc *doc =
            field < 0 ? &list->items[i] : doc_at(&list->items[i], (size_t)field);
        if (doc == NULL || find_kind(doc, &kind, err) < 0) {
            return doc == NULL ? err_set(err, ERR_SCHEMA, "%s: row %zu has no item %d", name, i + 1,
                                         field + 1)
                               : row_failed(name, (int64_t)i, field, err);
        }
    }
    const enum dtype dtype = kind.has_text ? DTYPE_STR : kind.has_float ? DTYPE_F32 : DTYPE_I64;
    for (size_t i = 0; i < list->n; i++) {
        const struct doc *doc =
            field < 0 ? &list->items[i] : doc_at(&list->items[i], (size_t)field);
        int64_t n = 0, at = 0;
        ret[i].dtype = dtype;
        int r = find_shape(doc, &ret[i].shape, err);
        if (r == 0 && shape_count(&ret[i].shape, &n) == 0) {
            ret[i].data = arena_array(arena, (size_t)n + 1, dtype_bytes(dtype));
            r = store(doc, &ret[i], 0, &at, err);
        }
        if (r < 0) {
            return row_failed(name, (int64_t)i, field, err);
        }
    }
    return 0;
}

/* One document that is a list, or a document a line. */
static int read_documents(const char *text, size_t size, const char *name, struct arena *arena,
                          struct doc **ret, struct err *err)
{
    struct doc *doc = NULL;
    struct err one = {0};
    if (doc_read_json(text, size, NULL, arena, &doc, &one) == 0) {
        if (doc->type != DOC_LIST) { /* one line */
            struct doc *list = doc_new(arena);
            doc_set_list(list);
            *doc_push(list, arena) = *doc;
            doc = list;
        }
        *ret = doc;
        return 0;
    }
    struct doc *list = doc_new(arena);
    int64_t number = 1;
    doc_set_list(list);
    for (size_t at = 0; at < size; number++) {
        const char *end = memchr(text + at, '\n', size - at);
        const size_t n = end != NULL ? (size_t)(end - text) - at : size - at;
        size_t blank = 0;
        while (blank < n && (text[at + blank] == ' ' || text[at + blank] == '\r')) {
            blank++;
        }
        int r = blank == n ? 0 : doc_read_json(text + at, n, NULL, arena, &doc, err);
        if (r < 0) {
            if (err != NULL) {
                *err = number == 1 ? one : *err;
                const int line = number == 1 ? one.line : (int)number;
                snprintf(one.text, sizeof one.text, "%.600s", err->text);
                return err_set(err, r, "%s: line %d: %s", name, line, one.text);
            }
            return r;
        }
        if (blank < n) {
            *doc_push(list, arena) = *doc;
        }
        at += n + 1;
    }
    *ret = list;
    return 0;
}

static int read_json(const char *text, size_t size, const char *name, bool is_split,
                     struct arena *arena, struct apply_rows *ret, struct err *err)
{
    struct doc *list = NULL;
    int r = read_documents(text, size, name, arena, &list, err);
    if (r < 0) {
        return r;
    }
    ret->n = (int64_t)list->n;
    const size_t fields =
        !is_split || list->n == 0 || list->items[0].type != DOC_LIST ? 1 : list->items[0].n;
    if (fields > ELEMENT_FIELDS_MAX || fields == 0) {
        return err_set(err, ERR_LIMIT, "%s: a sample of %zu fields, 1 to %d fit", name, fields,
                       ELEMENT_FIELDS_MAX);
    }
    for (size_t i = 0; i < fields && r == 0; i++) {
        set_field(ret, (int)i, arena);
        r = read_field(list, is_split ? (int)i : -1, name, arena, ret->fields[i], err);
    }
    return r;
}

/* ---- tables, texts, arrays */

static void take_value(const struct csv_value *value, struct tensor *t, int64_t at,
                       struct arena *arena)
{
    if (t->dtype == DTYPE_STR) {
        ((struct tensor_text *)t->data)[at] = (struct tensor_text){
            .text = arena_strndup(arena, value->text, value->n), .n = value->n};
    } else if (t->dtype == DTYPE_I64) {
        ((int64_t *)t->data)[at] = value->i;
    } else {
        ((float *)t->data)[at] = (float)value->f;
    }
}

/* One type for columns that stand together in a sample. */
static enum csv_type widest(const struct csv_column *columns, size_t n)
{
    enum csv_type type = CSV_INT;
    for (size_t i = 0; i < n; i++) {
        type = columns[i].type > type ? columns[i].type : type;
    }
    return type;
}

static enum dtype dtype_of(enum csv_type type)
{
    return type == CSV_TEXT ? DTYPE_STR : type == CSV_INT ? DTYPE_I64 : DTYPE_F32;
}

static int read_table_row(struct csv *csv, int64_t row, size_t columns, const enum dtype *dtypes,
                          bool is_split, struct arena *arena, struct apply_rows *ret,
                          struct err *err)
{
    const struct csv_value *values = NULL;
    int r = csv_row(csv, (size_t)row, &values, err);
    for (size_t c = 0; c < columns && r == 0; c++) {
        struct tensor *t = &ret->fields[is_split ? c : 0][row];
        if (c == 0 || is_split) {
            t->dtype = dtypes[c];
            t->shape = is_split || columns == 1
                           ? (struct shape){0}
                           : (struct shape){.rank = 1, .d = {(int64_t)columns}};
            t->data = arena_array(arena, columns, dtype_bytes(dtypes[c]));
        }
        if (values[c].is_missing && dtypes[c] != DTYPE_STR) {
            return err_set(err, ERR_VALUE, "%s: row %lld, column %zu: the number is missing",
                           ret->name, (long long)row + 1, c + 1);
        }
        take_value(&values[c], t, is_split ? 0 : (int64_t)c, arena);
    }
    return r;
}

static int read_csv(const void *data, size_t size, const char *name, bool is_split,
                    struct arena *arena, struct apply_rows *ret, struct err *err)
{
    struct csv_column as[ELEMENT_FIELDS_MAX * 256] = {{0}};
    enum dtype dtypes[ELEMENT_FIELDS_MAX * 256];
    struct csv_options how = {.delimiter = ends_with(name, ".tsv") ? '\t' : ',',
                              .takes_missing = true};
    struct csv *csv = NULL;
    struct input in;
    size_t n = 0;
    input_memory(&in, data, size, name);
    int r = csv_open(&in, &how, &csv, err);
    if (r < 0) {
        return r;
    }
    const struct csv_column *columns = csv_columns(csv, &n);
    if (n > sizeof as / sizeof as[0] || (is_split && n > ELEMENT_FIELDS_MAX)) {
        csv_close(csv);
        return err_set(err, ERR_LIMIT, "%s: %zu columns are too many", name, n);
    }
    const enum csv_type all = widest(columns, n);
    for (size_t i = 0; i < n; i++) {
        as[i] = (struct csv_column){.name = arena_strdup(arena, columns[i].name),
                                    .type = is_split ? columns[i].type : all};
        dtypes[i] = dtype_of(as[i].type);
    }
    csv_close(csv);
    csv = NULL;
    how.columns = as;
    how.n_columns = n;
    r = csv_open(&in, &how, &csv, err);
    ret->n = r == 0 ? (int64_t)csv_rows(csv) : 0;
    ret->is_table = true;
    for (size_t i = 0; r == 0 && i < (is_split ? n : 1); i++) {
        set_field(ret, (int)i, arena);
    }
    for (int64_t i = 0; i < ret->n && r == 0; i++) {
        r = read_table_row(csv, i, n, dtypes, is_split, arena, ret, err);
    }
    csv_close(csv);
    return r;
}

/* Where the text stops being one: its line and the byte of the line, from 1. */
static int not_text(const char *data, size_t size, const char *name, struct err *err)
{
    const size_t good = utf8_good(data, size);
    size_t line = 1, begin = 0;
    for (size_t i = 0; i < good; i++) {
        if (data[i] == '\n') {
            line++;
            begin = i + 1;
        }
    }
    return err_set(err, ERR_ENCODING, "%s: line %zu, byte %zu is not UTF-8", name, line,
                   good - begin + 1);
}

static int read_lines(const void *data, size_t size, const char *name, struct arena *arena,
                      struct apply_rows *ret, struct err *err)
{
    struct lines lines = {0};
    struct input in;
    input_memory(&in, data, size, name);
    int r = lines_open(&lines, &in, false, err);
    ret->n = r == 0 ? (int64_t)lines_n(&lines) : 0;
    set_field(ret, 0, arena);
    for (int64_t i = 0; i < ret->n && r == 0; i++) {
        struct tensor_text *text = ARENA_NEW(arena, struct tensor_text);
        const char *line = NULL;
        r = lines_read(&lines, (size_t)i, &line, &text->n, err);
        text->text = r == 0 ? arena_strndup(arena, line, text->n) : "";
        ret->fields[0][i] = (struct tensor){.dtype = DTYPE_STR, .data = text};
    }
    lines_close(&lines);
    return r == ERR_ENCODING ? not_text(data, size, name, err) : r;
}

static int read_npy(const void *data, size_t size, const char *name, struct arena *arena,
                    struct apply_rows *ret, struct err *err)
{
    struct npy npy;
    struct input in;
    input_memory(&in, data, size, name);
    int r = npy_open(&npy, &in, err);
    if (r < 0) {
        return r;
    }
    const size_t each = (size_t)npy.row * dtype_bytes(npy.dtype);
    unsigned char *numbers = arena_try(arena, (size_t)npy.n_rows * each + 1);
    if (numbers == NULL) {
        return err_set(err, ERR_NO_MEMORY, "no memory for the numbers of %s", name);
    }
    r = npy_read(&npy, 0, npy.n_rows, true, numbers, err);
    ret->n = npy.n_rows;
    set_field(ret, 0, arena);
    for (int64_t i = 0; i < ret->n && r == 0; i++) {
        ret->fields[0][i] = (struct tensor){.dtype = npy.dtype, .data = numbers + (size_t)i * each};
        if (npy.shape.rank > 0) {
            ret->fields[0][i].shape = shape_make(npy.shape.rank - 1, npy.shape.d + 1);
        }
    }
    return r;
}

int apply_read(const void *data, size_t size, const char *name, bool is_split, struct arena *arena,
               struct apply_rows *ret, struct err *err)
{
    int r = 0;
    *ret = (struct apply_rows){.name = name};
    switch (apply_format_of(name)) {
    case APPLY_JSON: r = read_json(data, size, name, is_split, arena, ret, err); break;
    case APPLY_CSV: r = read_csv(data, size, name, is_split, arena, ret, err); break;
    case APPLY_NPY: r = read_npy(data, size, name, arena, ret, err); break;
    case APPLY_TEXT: r = read_lines(data, size, name, arena, ret, err); break;
    }
    return r == 0 && ret->n == 0 ? err_set(err, ERR_EMPTY, "%s: there is nothing in it", name) : r;
}
