/* table_read - the fields of a row. */
#include <math.h>
#include <string.h>

#include "pipeline/source/table.h"

static double number_of(const struct table_value *value, int64_t i)
{
    if (value->i != NULL && value->type == TABLE_INT) {
        return (double)value->i[i];
    }
    if (value->f != NULL) {
        return value->f[i];
    }
    switch ((int)value->dtype) {
    case DTYPE_BOOL:
    case DTYPE_U8: return ((const uint8_t *)value->data)[i];
    case DTYPE_I8: return ((const int8_t *)value->data)[i];
    case DTYPE_U16: return ((const uint16_t *)value->data)[i];
    case DTYPE_I16: return ((const int16_t *)value->data)[i];
    case DTYPE_I32: return ((const int32_t *)value->data)[i];
    case DTYPE_F32: return (double)((const float *)value->data)[i];
    default: BUG("no numbers as they came");
    }
}

static int put_number(const struct table_value *value, int64_t i, enum dtype dtype, void *out,
                      int64_t at)
{
    const bool is_int = value->type == TABLE_INT;
    const double f = number_of(value, i);
    switch ((int)dtype) {
    case DTYPE_U8:
        if (!(f >= 0 && f <= 255) || rint(f) != f) {
            return ERR_VALUE;
        }
        ((uint8_t *)out)[at] = (uint8_t)f;
        return 0;
    case DTYPE_I64:
        if (!is_int && (!(fabs(f) < 0x1p53) || rint(f) != f)) {
            return ERR_VALUE;
        }
        ((int64_t *)out)[at] = is_int ? value->i[i] : (int64_t)f;
        return 0;
    default: ((float *)out)[at] = (float)f; return isfinite((float)f) ? 0 : ERR_NOT_FINITE;
    }
}

static int put_column(struct table *k, const struct table_field *field, size_t c, int64_t wanted,
                      enum dtype dtype, void *out, int64_t *at, struct err *err)
{
    const struct table_value *value = &k->values[field->columns[c]];
    const char *name = field->record->from.v[c];
    const struct doc *fill = k->options->missing_value;
    double number = fill != NULL ? doc_number(fill) : 0;
    const struct table_value filled = {.type = TABLE_FLOAT, .n = 1, .f = &number};
    if (value->type == TABLE_NONE) {
        if (fill == NULL) {
            return err_set(err, ERR_VALUE, "%s '%s' has no value", k->what, name);
        }
        value = &filled;
    }
    if (value->type == TABLE_TEXT) {
        return err_set(err, ERR_SCHEMA, "%s '%s' is text, the first has numbers", k->what, name);
    }
    for (int64_t i = 0; i < value->n; i++, (*at)++) {
        if (*at == wanted) {
            return err_set(err, ERR_SCHEMA, "field '%s' has more numbers than the %lld it takes",
                           field->record->name, (long long)wanted);
        }
        int r = put_number(value, i, dtype, out, *at);
        if (r < 0) {
            return err_set(err, r, "%s '%s': %g is not what %s takes", k->what, name,
                           number_of(value, i), dtype_name(dtype));
        }
    }
    return 0;
}

/* A field that is one column as it came needs no look at each number. */
static bool take_whole(const struct table *k, struct table_field *field, int64_t wanted,
                       struct tensor *ret)
{
    const struct table_value *value = &k->values[field->columns[0]];
    if (field->record->from.n != 1 || value->type == TABLE_NONE || value->data == NULL ||
        value->n != wanted) {
        return false;
    }
    if (value->dtype == ret->dtype) {
        ret->data = (void *)(uintptr_t)value->data;
        return true;
    }
    /* Others round on their way through float64. */
    if (ret->dtype != DTYPE_F32 || value->dtype == DTYPE_I64 || value->dtype == DTYPE_F64) {
        return false;
    }
    const struct tensor in = {.dtype = value->dtype, .data = (void *)(uintptr_t)value->data};
    ret->data = op_scratch_need(&field->data, (size_t)wanted * sizeof(float) + 1);
    op_to_floats(&in, wanted, ret->data);
    return true;
}

static int read_numbers(struct table *k, struct table_field *field, const struct op_spec *spec,
                        struct tensor *ret, struct err *err)
{
    int64_t wanted = 0, at = 0;
    *ret = (struct tensor){.dtype = spec->dtype, .shape = spec->shape};
    if (shape_count(&spec->shape, &wanted) < 0) { /* ragged */
        ret->shape = k->values[field->columns[0]].shape;
        wanted = k->values[field->columns[0]].n;
    }
    if (take_whole(k, field, wanted, ret)) {
        return 0;
    }
    ret->data = op_scratch_need(&field->data, (size_t)wanted * sizeof(int64_t) + 1);
    int r = 0;
    for (size_t c = 0; c < field->record->from.n && r == 0; c++) {
        r = put_column(k, field, c, wanted, spec->dtype, ret->data, &at, err);
    }
    if (r == 0 && at < wanted) {
        r = err_set(err, ERR_SCHEMA, "field '%s' has %lld numbers of %lld", field->record->name,
                    (long long)at, (long long)wanted);
    }
    return r;
}

static int read_raw(struct table *k, struct table_field *field, const struct op_spec *spec,
                    struct tensor *ret, struct err *err)
{
    const struct table_value *value = &k->values[field->columns[0]];
    size_t bytes = 0;
    (void)shape_bytes(&spec->shape, spec->dtype, &bytes);
    if (value->type != TABLE_TEXT || value->n != 1 || value->t->n != bytes) {
        return err_set(err, ERR_SCHEMA, "%s '%s' has %zu bytes, not %zu", k->what,
                       field->record->from.v[0],
                       value->type == TABLE_TEXT && value->n == 1 ? value->t->n : 0, bytes);
    }
    void *data = (void *)(uintptr_t)value->t->text;
    if ((uintptr_t)data % dtype_bytes(spec->dtype) != 0) {
        data = op_scratch_need(&field->data, bytes + 1);
        memcpy(data, value->t->text, bytes);
    }
    *ret = (struct tensor){.dtype = spec->dtype, .shape = spec->shape, .data = data};
    return 0;
}

static int one_text(const struct table *k, const struct table_field *field,
                    const struct table_value **ret, struct err *err)
{
    const struct table_value *value = &k->values[field->columns[0]];
    *ret = value;
    if (value->type != TABLE_TEXT || value->n != 1) {
        return err_set(err, value->type == TABLE_NONE ? ERR_VALUE : ERR_SCHEMA,
                       "%s '%s' is not one text", k->what, field->record->from.v[0]);
    }
    return 0;
}

static int read_picture(struct table *k, int f, const struct look_asker *asker, struct element *ret,
                        struct err *err)
{
    const struct table_value *value;
    int r = one_text(k, &k->fields[f], &value, err);
    return r < 0 ? r
                 : picture_look(&k->fields[f].picture, value->t->text, value->t->n, asker, f, ret,
                                err);
}

static int read_text(struct table *k, struct table_field *field, struct tensor *ret,
                     struct err *err)
{
    const struct table_value *value;
    const char *name = field->record->from.v[0];
    int r = one_text(k, field, &value, err);
    if (r < 0) {
        return r;
    }
    *ret = (struct tensor){.dtype = field->is_word ? DTYPE_I64 : DTYPE_STR, .data = &field->text};
    field->text = *value->t;
    if (field->is_word) {
        int64_t *number = op_scratch_need(&field->data, sizeof *number);
        *number = vocabulary_find(&field->words, value->t->text, value->t->n);
        ret->data = number;
        return *number >= 0
                   ? 0
                   : err_set(err, ERR_VALUE, "%s '%s': '%.*s' is none of the classes", k->what,
                             name, value->t->n < 64 ? (int)value->t->n : 64, value->t->text);
    }
    return 0;
}

int table_picture(struct table *k, const struct source *source, const void *data, size_t size,
                  struct tensor *ret, struct err *err)
{
    const int x = element_input(&source->spec);
    if (!k->fields[x].is_picture) {
        return err_set(err, ERR_UNSUPPORTED, "the job was not trained on pictures");
    }
    picture_name(&k->fields[x].picture, NULL);
    return picture_read(&k->fields[x].picture, data, size, ret, err);
}

static int read_field(struct table *k, struct table_field *field, const struct op_spec *spec,
                      struct tensor *ret, struct err *err)
{
    if (field->is_raw) {
        return read_raw(k, field, spec, ret, err);
    }
    return field->is_word || spec->dtype == DTYPE_STR ? read_text(k, field, ret, err)
                                                      : read_numbers(k, field, spec, ret, err);
}

int table_read(struct table *k, struct source *source, int64_t sample,
               const struct look_asker *asker, struct element *ret, struct err *err)
{
    int r = k->row(source, sample, k->values, err);
    ret->sample = sample;
    for (int f = 0; f < k->record.n && r == 0; f++) {
        r = k->fields[f].is_picture && !k->fields[f].is_raw
                ? read_picture(k, f, asker, ret, err)
                : read_field(k, &k->fields[f], &source->spec.fields[f].spec, &ret->fields[f], err);
    }
    return r;
}
