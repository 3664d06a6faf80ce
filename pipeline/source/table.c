#include "pipeline/source/table.h"
#include "pipeline/format/utf8.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LOOKED_AT = 64 }; /* rows, for types and shapes */

static struct record_names names_of(const struct table *k)
{
    return (struct record_names){.kind = k->kind, .what = k->what, .v = k->names, .n = k->n_names};
}

/* ---- what a field is ---- */

/* Of a field's columns in the rows looked at. */
struct look {
    enum table_type type;
    struct shape shape;
    int64_t n;
    bool is_ragged, has_shape, is_mixed;
    size_t n_bytes;                  /* of the first text */
    const struct tensor_text *bytes; /* of the first picture */
};

/* The bytes of the first picture, kept for when its field is made. */
static void keep_bytes(struct table_field *field, const struct table_value *value,
                       struct look *look)
{
    const int kind = field->record->kind;
    if (look->bytes == NULL && value->type == TABLE_TEXT && value->n > 0 &&
        (kind == ELEMENT_IMAGE || kind == ELEMENT_MASK)) {
        void *copy = op_scratch_need(&field->data, value->t->n + 1);
        memcpy(copy, value->t->text, value->t->n);
        field->text = (struct tensor_text){.text = copy, .n = value->t->n};
        look->bytes = &field->text;
    }
}

static void look_at(const struct table *k, struct table_field *field, struct look *look)
{
    int64_t n = 0;
    const struct table_value *value = NULL;
    for (size_t c = 0; c < field->record->from.n; c++) {
        value = &k->values[field->columns[c]];
        const bool is_text = value->type == TABLE_TEXT;
        if (value->type == TABLE_NONE) {
            continue;
        }
        look->is_mixed =
            look->is_mixed || (look->type != TABLE_NONE && is_text != (look->type == TABLE_TEXT));
        look->type = value->type > look->type ? value->type : look->type;
        keep_bytes(field, value, look);
        look->n_bytes = look->n_bytes == 0 && is_text && value->n > 0 ? value->t->n : look->n_bytes;
        n += value->n;
    }
    const struct shape shape =
        field->record->is_list ? (struct shape){.rank = 1, .d = {n}} : value->shape;
    if (!field->record->is_list && value->type == TABLE_NONE) {
        return;
    }
    look->is_ragged = look->is_ragged || (look->has_shape && !shape_equal(&shape, &look->shape));
    look->shape = look->has_shape ? look->shape : shape;
    look->has_shape = true;
    look->n = n;
}

static int take_shape(const struct table *k, const struct record_field *field,
                      const struct look *look, struct op_spec *ret, struct err *err)
{
    const struct record_names names = names_of(k);
    int64_t n = 0;
    char text[96];
    ret->shape = look->shape;
    if (field->has_shape) {
        ret->shape = field->shape;
        if (!look->is_ragged && (shape_count(&field->shape, &n) < 0 || n != look->n)) {
            shape_format(&field->shape, text, sizeof text);
            return record_fail(&names, field, "shape", ERR_SHAPE, err,
                               "%s is not the shape of %lld values", text, (long long)look->n);
        }
    } else if (look->is_ragged) {
        for (int i = 0; i < ret->shape.rank; i++) {
            ret->shape.d[i] = -1;
        }
        ret->shape.rank = ret->shape.rank > 0 ? ret->shape.rank : 1;
        ret->shape.d[0] = -1;
    }
    return 0;
}

static int take_dtype(const struct table *k, const struct record_field *field,
                      const struct look *look, struct op_spec *ret, struct err *err)
{
    const struct record_names names = names_of(k);
    const int dtype = field->dtype;
    if (dtype == RECORD_DTYPE_AUTO) {
        ret->dtype = look->type == TABLE_INT && !field->is_list ? DTYPE_I64 : DTYPE_F32;
        return 0;
    }
    ret->dtype = (enum dtype)dtype;
    return dtype == DTYPE_U8 || dtype == DTYPE_I64 || dtype == DTYPE_F32
               ? 0
               : record_fail(&names, field, "dtype", ERR_UNSUPPORTED, err,
                             "numbers are given as uint8, int64 or float32, not as %s",
                             dtype_name(ret->dtype));
}

static int make_picture(struct table *k, struct table_field *field, const struct look *look,
                        struct element_spec *spec, struct err *err)
{
    const struct record_names names = names_of(k);
    struct picture_image first;
    int r = picture_init(&field->picture, k->pictures, k->kind, err);
    field->is_picture = r == 0;
    if (r < 0) {
        return r;
    }
    r = look->bytes == NULL
            ? ERR_EMPTY
            : picture_header(&field->picture, look->bytes->text, look->bytes->n, &first, err);
    if (r < 0) {
        char text[400];
        (void)snprintf(text, sizeof text, "%.390s", err != NULL ? err->text : "");
        return record_fail(&names, field->record, NULL, ERR_DATA, err,
                           "the first '%s' is no picture: %s", field->record->from.v[0], text);
    }
    picture_declare(&field->picture, &first, field->record->name, spec);
    return 0;
}

static int make_text(struct table *k, struct table_field *field, struct element_field *ret,
                     struct arena *arena, struct err *err)
{
    const struct record_names names = names_of(k);
    const bool is_y = strcmp(field->record->name, "y") == 0;
    const int kind = field->record->kind;
    if (field->record->from.n != 1) {
        return record_fail(&names, field->record, "from", ERR_INVALID, err,
                           "texts do not stand side by side; take one %s", k->what);
    }
    ret->spec.shape.rank = 0;
    field->is_word =
        kind == ELEMENT_CATEGORICAL || kind == ELEMENT_LABEL || (kind == RECORD_KIND_AUTO && is_y);
    ret->spec.dtype = field->is_word ? DTYPE_I64 : DTYPE_STR;
    ret->kind = !field->is_word ? ELEMENT_TEXT : is_y ? ELEMENT_LABEL : ELEMENT_CATEGORICAL;
    if (is_y && field->is_word && k->options->class_names.n > 0) {
        int r = vocabulary_set(&field->words, k->options->class_names.v, k->options->class_names.n,
                               arena, err);
        if (r < 0) {
            err_prefix(err, "source.%s.class_names", k->kind);
        }
        return r;
    }
    k->has_words = k->has_words || field->is_word;
    return 0;
}

static int make_numbers(const struct table *k, const struct table_field *field,
                        const struct look *look, struct element_field *ret, struct err *err)
{
    const struct record_field *record = field->record;
    const bool is_y = strcmp(record->name, "y") == 0;
    size_t bytes;
    ret->kind = record->kind != RECORD_KIND_AUTO ? (enum element_kind)record->kind
                : is_y                           ? ELEMENT_LABEL
                                                 : ELEMENT_NUMERIC;
    int r = take_shape(k, record, look, &ret->spec, err);
    r = r < 0 ? r : take_dtype(k, record, look, &ret->spec, err);
    if (r == 0 && !look->is_ragged &&
        (shape_bytes(&ret->spec.shape, ret->spec.dtype, &bytes) < 0 || bytes > (size_t)1 << 30)) {
        r = err_set(err, ERR_LIMIT, "field '%s' is too large", record->name);
    }
    return r;
}

/* Bytes that are numbers, as tf.io.decode_raw reads them. */
static int make_raw(struct table *k, struct table_field *field, const struct look *look,
                    struct element_field *ret, struct err *err)
{
    const struct record_names names = names_of(k);
    const size_t each = dtype_bytes((enum dtype)field->record->dtype);
    field->is_raw = true;
    ret->kind = field->record->kind != RECORD_KIND_AUTO ? (enum element_kind)field->record->kind
                                                        : ELEMENT_NUMERIC;
    ret->spec.dtype = (enum dtype)field->record->dtype;
    ret->spec.shape = (struct shape){.rank = 1, .d = {(int64_t)(look->n_bytes / each)}};
    if (field->record->from.n != 1) {
        return record_fail(&names, field->record, "from", ERR_INVALID, err,
                           "bytes do not stand side by side; take one %s", k->what);
    }
    if (field->record->has_shape) {
        size_t bytes = 0;
        ret->spec.shape = field->record->shape;
        if (shape_bytes(&ret->spec.shape, ret->spec.dtype, &bytes) < 0 || bytes != look->n_bytes) {
            return record_fail(&names, field->record, "shape", ERR_SHAPE, err,
                               "takes %zu bytes of %s, the first '%s' has %zu", bytes,
                               dtype_name(ret->spec.dtype), field->record->from.v[0],
                               look->n_bytes);
        }
    }
    return 0;
}

static int make_field(struct table *k, struct table_field *field, const struct look *look,
                      struct source *source, struct arena *arena, struct err *err)
{
    const struct record_names names = names_of(k);
    struct element_field made = {.name = field->record->name};
    const int kind = field->record->kind;
    if (look->type == TABLE_NONE) {
        return record_fail(&names, field->record, NULL, ERR_SCHEMA, err,
                           "'%s' is empty in the first %d samples", field->record->from.v[0],
                           LOOKED_AT);
    }
    if (look->is_mixed) {
        return record_fail(&names, field->record, NULL, ERR_SCHEMA, err,
                           "holds both numbers and texts");
    }
    const bool may_be_picture = look->type == TABLE_TEXT && k->pictures != NULL;
    if (may_be_picture && (kind == ELEMENT_IMAGE || kind == ELEMENT_MASK)) {
        return make_picture(k, field, look, &source->spec, err);
    }
    const bool is_raw = look->type == TABLE_TEXT && field->record->dtype != RECORD_DTYPE_AUTO;
    int r = is_raw                     ? make_raw(k, field, look, &made, err)
            : look->type == TABLE_TEXT ? make_text(k, field, &made, arena, err)
                                       : make_numbers(k, field, look, &made, err);
    if (r == 0) {
        element_add(&source->spec, &made);
    }
    return r;
}

/* ---- opening ---- */

/* Which columns a row has to give. */
static void use_columns(struct table *k, struct arena *arena)
{
    bool *used = arena_array(arena, k->n_names + 1, sizeof *used);
    for (int f = 0; f < k->record.n; f++) {
        for (size_t c = 0; c < k->fields[f].record->from.n; c++) {
            used[k->fields[f].columns[c]] = true;
        }
    }
    k->is_used = used;
}

static int look_over(struct table *k, struct source *source, struct look *looks, struct err *err)
{
    int64_t seen = 0;
    int r = 0;
    for (int64_t i = 0; i < source->samples && i < LOOKED_AT; i++) {
        r = k->row(source, i, k->values, err);
        if (r < 0 && !err_is_data(r)) {
            return r;
        }
        seen += r == 0;
        for (int f = 0; f < k->record.n && r == 0; f++) {
            look_at(k, &k->fields[f], &looks[f]);
        }
    }
    return seen > 0 ? 0 : r;
}

/* Words, and the greatest number of y. */
static int scan_row(struct table *k, int64_t row, int y, struct table_scan *found,
                    struct arena *arena, struct err *err)
{
    for (int f = 0; f < k->record.n; f++) {
        struct table_field *field = &k->fields[f];
        const struct table_value *value = &k->values[field->columns[0]];
        if (field->is_word && field->words.order == NULL && value->type == TABLE_TEXT &&
            value->n == 1) {
            const bool is_text = utf8_good(value->t->text, value->t->n) == value->t->n;
            int r = !is_text
                        ? err_set(err, ERR_ENCODING, "holds bytes that are no text")
                        : vocabulary_add(&field->words, value->t->text, value->t->n, arena, err);
            if (r < 0) {
                const struct record_names names = names_of(k);
                return record_fail(&names, field->record, NULL, r, err, "'%s' %.300s",
                                   field->record->from.v[0], err != NULL ? err->text : "");
            }
        } else if (f == y && value->type == TABLE_INT && value->n == 1 &&
                   value->i[0] > found->most) {
            found->most = value->i[0];
            found->at = row;
        } else if (f == y && value->type == TABLE_INT && value->n == 1 && value->i[0] < 0) {
            found->most = INT64_MAX; /* no classes */
        }
    }
    return 0;
}

static void declare_classes(struct table *k, struct source *source, int y, int64_t most, int64_t at,
                            struct arena *arena)
{
    const struct opt_strs *given = &k->options->class_names;
    if (k->fields[y].is_word) {
        source->classes = k->fields[y].words.v;
        source->n_classes = (int64_t)k->fields[y].words.n;
    } else if (given->n > 0) {
        source->classes = given->v;
        source->n_classes = (int64_t)given->n;
    } else if (most < SOURCE_CLASSES_MAX) {
        source_name_numbers(source, most + 1, arena);
        source->top_class = arena_printf(arena, "sample %lld of '%s' has label %lld", (long long)at,
                                         source->desc->path(source, at), (long long)most);
    }
}

/* Of the columns only those of words and classes are read. */
static int scan_rows(struct table *k, struct source *source, int y, struct table_scan *found,
                     struct arena *arena, struct err *err)
{
    const bool *all = k->is_used;
    bool *used = arena_array(arena, k->n_names + 1, sizeof *used);
    int r = 0;
    for (int f = 0; f < k->record.n; f++) {
        used[k->fields[f].columns[0]] |= k->fields[f].is_word || f == y;
    }
    k->is_used = used;
    for (int64_t i = 0; i < source->samples && r == 0; i++) {
        r = k->row(source, i, k->values, err);
        r = r == 0 ? scan_row(k, i, y, found, arena, err) : err_is_data(r) ? 0 : r;
    }
    k->is_used = all;
    return r;
}

static int scan(struct table *k, struct source *source, struct arena *arena, struct err *err)
{
    const int y = element_find(&source->spec, "y");
    struct table_scan found = {.most = -1};
    bool is_wanted = y >= 0 && source->spec.fields[y].spec.dtype == DTYPE_I64 &&
                     source->spec.fields[y].spec.shape.rank == 0;
    const bool has_classes = is_wanted;
    for (int f = 0; f < k->record.n; f++) {
        is_wanted = is_wanted || k->fields[f].is_word;
    }
    is_wanted = is_wanted && (k->is_scanned || k->has_words) &&
                !table_scan_load(k, source->samples, &found, arena);
    int r = is_wanted ? scan_rows(k, source, y, &found, arena, err) : 0;
    if (r < 0) {
        return r;
    }
    if (is_wanted) {
        table_scan_save(k, &found);
    }
    if (has_classes) {
        declare_classes(k, source, y, found.most, found.at, arena);
    }
    return 0;
}

static int check_fill(const struct table *k, struct err *err)
{
    const struct doc *fill = k->options->missing_value;
    if (fill != NULL && (!doc_is_number(fill) || !isfinite(doc_number(fill)))) {
        char path[64];
        (void)snprintf(path, sizeof path, "source.%s.missing_value", k->kind);
        return err_set_at(err, ERR_INVALID, path, "takes a number");
    }
    return 0;
}

int table_open(struct table *k, struct source *source, struct arena *arena, struct err *err)
{
    const struct record_names names = names_of(k);
    struct look looks[ELEMENT_FIELDS_MAX] = {{0}};
    k->values = arena_array(arena, k->n_names + 1, sizeof *k->values);
    int r = check_fill(k, err);
    r = r < 0 ? r : record_read(&k->record, k->options->fields, &names, arena, err);
    for (int f = 0; f < k->record.n && r == 0; f++) {
        struct record_field *record = &k->record.fields[f];
        size_t *columns = arena_array(arena, record->from.n, sizeof *columns);
        for (size_t c = 0; c < record->from.n; c++) {
            columns[c] = (size_t)record_find(&names, record->from.v[c]);
        }
        k->fields[f] = (struct table_field){.record = record, .columns = columns};
    }
    use_columns(k, arena);
    r = r < 0 ? r : look_over(k, source, looks, err);
    for (int f = 0; f < k->record.n && r == 0; f++) {
        r = make_field(k, &k->fields[f], &looks[f], source, arena, err);
    }
    return r < 0 ? r : scan(k, source, arena, err);
}

void table_fini(struct table *k)
{
    for (int f = 0; f < k->record.n; f++) {
        if (k->fields[f].is_picture) {
            picture_fini(&k->fields[f].picture);
        }
        op_scratch_fini(&k->fields[f].data);
    }
    k->record.n = 0;
}
