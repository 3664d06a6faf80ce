/* derive_pads - what fields are filled up to, and with what: the options of padded_batch and those
 * like it. */
#include "pipeline/derive_batch.h"

static int read_shape(const struct doc *doc, const struct element_field *field, struct shape *ret,
                      struct err *err)
{
    if (doc->type != DOC_LIST || (int)doc->n != ret->rank) {
        return err_set_at(err, ERR_SHAPE, field->name, "takes a list of %d sizes", ret->rank);
    }
    for (int d = 0; d < ret->rank; d++) {
        const struct doc *size = &doc->items[d];
        const int64_t had = field->is_varying ? -1 : field->spec.shape.d[d];
        if (size->type != DOC_NULL &&
            (size->type != DOC_INT || size->i < -1 || size->i > INT32_MAX)) {
            return err_set_at(err, ERR_INVALID, field->name,
                              "a size is a whole number, -1 = the longest");
        }
        ret->d[d] = size->type == DOC_INT ? size->i : -1;
        if (ret->d[d] >= 0 && had > ret->d[d]) {
            return err_set_at(err, ERR_SHAPE, field->name, "%lld is less than the %lld that it has",
                              (long long)ret->d[d], (long long)had);
        }
    }
    return 0;
}

static int read_shapes(const struct doc *doc, const struct element_spec *spec,
                       struct derive_pads *ret, struct err *err)
{
    if (doc != NULL && doc->type != DOC_MAP && doc->type != DOC_NULL) {
        return err_set(err, ERR_INVALID, "takes {field: [sizes]}");
    }
    for (size_t i = 0; doc != NULL && doc->type == DOC_MAP && i < doc->n; i++) {
        const int f = element_find(spec, doc->pairs[i].key);
        int r = f < 0 ? derive_unknown_field(spec, doc->pairs[i].key, err)
                      : read_shape(&doc->pairs[i].value, &spec->fields[f], &ret->shape[f], err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static bool is_number(const struct doc *doc)
{
    return doc->type == DOC_INT || doc->type == DOC_FLOAT;
}

static double number(const struct doc *doc)
{
    return doc->type == DOC_INT ? (double)doc->i : doc->f;
}

/* Whole and inside of the element type, where that holds whole numbers. */
static int check_value(const struct element_field *field, double value, struct err *err)
{
    static const struct {
        enum dtype dtype;
        double low, high;
    } ranges[] = {{DTYPE_BOOL, 0, 1},
                  {DTYPE_U8, 0, UINT8_MAX},
                  {DTYPE_I8, INT8_MIN, INT8_MAX},
                  {DTYPE_U16, 0, UINT16_MAX},
                  {DTYPE_I16, INT16_MIN, INT16_MAX},
                  {DTYPE_I32, INT32_MIN, INT32_MAX},
                  {DTYPE_I64, -0x1p53, 0x1p53}};
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        const bool is_inside = value >= ranges[i].low && value <= ranges[i].high;
        if (field->spec.dtype == ranges[i].dtype &&
            (!is_inside || (double)(int64_t)value < value || (double)(int64_t)value > value)) {
            return err_set_at(err, ERR_RANGE, field->name, "%g is no %s", value,
                              dtype_name(field->spec.dtype));
        }
    }
    return 0;
}

static int read_values(const struct doc *doc, const struct element_spec *spec,
                       struct derive_pads *ret, struct err *err)
{
    if (doc == NULL || doc->type == DOC_NULL) {
        return 0;
    }
    for (int f = 0; f < spec->n && is_number(doc); f++) {
        ret->value[f] = number(doc);
        int r = check_value(&spec->fields[f], number(doc), err);
        if (r < 0) {
            return r;
        }
    }
    if (!is_number(doc) && doc->type != DOC_MAP) {
        return err_set(err, ERR_INVALID, "takes a number, or {field: number}");
    }
    for (size_t i = 0; doc->type == DOC_MAP && i < doc->n; i++) {
        const int f = element_find(spec, doc->pairs[i].key);
        if (f < 0) {
            return derive_unknown_field(spec, doc->pairs[i].key, err);
        }
        if (!is_number(&doc->pairs[i].value)) {
            return err_set_at(err, ERR_INVALID, doc->pairs[i].key, "takes a number");
        }
        ret->value[f] = number(&doc->pairs[i].value);
        int r = check_value(&spec->fields[f], ret->value[f], err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

int derive_pads_read(const struct derive_pad_options *options, const struct element_spec *spec,
                     struct arena *arena, struct derive_pads **ret, struct err *err)
{
    struct derive_pads *pads = ARENA_NEW(arena, struct derive_pads);
    *ret = pads;
    for (int f = 0; f < spec->n; f++) {
        pads->shape[f].rank = spec->fields[f].spec.shape.rank;
        for (int d = 0; d < pads->shape[f].rank; d++) {
            pads->shape[f].d[d] = -1;
        }
    }
    int r = read_shapes(options->padded_shapes, spec, pads, err);
    if (r < 0) {
        err_prefix(err, "padded_shapes");
        return r;
    }
    r = read_values(options->padding_values, spec, pads, err);
    if (r < 0) {
        err_prefix(err, "padding_values");
    }
    return r;
}
