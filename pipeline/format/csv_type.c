/* csv_type - fields into numbers, and what type a column has. */
#include <string.h>

#include "pipeline/format/csv_impl.h"
#include "pipeline/format/number.h"

static bool is_missing(const struct csv *csv, const struct csv_field *field)
{
    const char *const *word = csv->options.missing;
    if (field->n == 0) {
        return true;
    }
    for (; word != NULL && *word != NULL; word++) {
        if (strlen(*word) == field->n && memcmp(*word, field->text, field->n) == 0) {
            return true;
        }
    }
    return false;
}

static bool read_float(const struct csv *csv, const struct csv_field *field, bool is_single,
                       double *ret)
{
    float single = 0;
    if (csv->options.takes_all && number_special(field->text, field->n, ret)) {
        return true;
    }
    if (!is_single) {
        return number_f64(field->text, field->n, ret);
    }
    const bool is_good = number_f32(field->text, field->n, &single);
    *ret = (double)single;
    return is_good;
}

static int check_count(const struct csv *csv, int64_t line, struct err *err)
{
    return csv->n_fields == csv->n_columns
               ? 0
               : csv_fail(csv, line, ERR_SCHEMA, err, "%zu fields, there are %zu columns",
                          csv->n_fields, csv->n_columns);
}

static int refuse(const struct csv *csv, size_t c, int64_t line, struct err *err)
{
    static const char *const what[] = {[CSV_AUTO] = "value",
                                       [CSV_INT] = "whole number of 64 bits",
                                       [CSV_FLOAT] = "finite number",
                                       [CSV_FLOAT32] = "finite number of 32 bits",
                                       [CSV_TEXT] = "text"};
    const struct csv_field *field = &csv->fields[c];
    return csv_fail(csv, line, ERR_VALUE, err, "column '%.100s': '%.*s' is no %s",
                    csv->columns[c].name, field->n > 60 ? 60 : (int)field->n, field->text,
                    what[csv->columns[c].type]);
}

static int refuse_missing(const struct csv *csv, size_t c, int64_t line, struct err *err)
{
    return csv_fail(csv, line, ERR_VALUE, err,
                    "column '%.100s': the value is missing, which this data set does not allow",
                    csv->columns[c].name);
}

int csv_convert(struct csv *csv, int64_t line, struct err *err)
{
    int r = check_count(csv, line, err);
    for (size_t c = 0; r == 0 && c < csv->n_columns; c++) {
        const struct csv_field *field = &csv->fields[c];
        const enum csv_type type = csv->columns[c].type;
        struct csv_value *value = &csv->values[c];
        *value = (struct csv_value){.text = field->text, .n = field->n};
        if (type == CSV_TEXT) {
            continue;
        }
        if (is_missing(csv, field)) {
            value->is_missing = true;
            csv->columns[c].has_missing = true;
            r = csv->options.takes_missing ? 0 : refuse_missing(csv, c, line, err);
        } else if (type == CSV_INT ? !number_i64(field->text, field->n, &value->i)
                                   : !read_float(csv, field, type == CSV_FLOAT32, &value->f)) {
            r = refuse(csv, c, line, err);
        }
    }
    return r;
}

int csv_learn(struct csv *csv, int64_t line, struct err *err)
{
    if (csv->options.takes_bad && csv->n_fields != csv->n_columns) {
        return check_count(csv, line, err); /* what stands in such a row teaches nothing */
    }
    for (size_t c = 0; c < csv->n_columns && c < csv->n_fields; c++) {
        struct csv_column *column = &csv->columns[c];
        const struct csv_field *field = &csv->fields[c];
        int64_t i;
        double f;
        if (is_missing(csv, field)) {
            csv->first_missing[c] = csv->first_missing[c] == 0 ? line : csv->first_missing[c];
            continue;
        }
        if ((column->type == CSV_AUTO || column->type == CSV_INT) &&
            number_i64(field->text, field->n, &i)) {
            column->type = CSV_INT;
        } else if (column->type != CSV_TEXT) {
            column->type = read_float(csv, field, false, &f) ? CSV_FLOAT : CSV_TEXT;
        }
    }
    return check_count(csv, line, err);
}
