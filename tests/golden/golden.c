#include "tests/golden/golden.h"

#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"

enum { NPY_MAX_BYTES = 256 << 20, NUMBERS_MAX = 1 << 26 };

enum golden_verdict golden_fail(struct golden_case *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(c->message, sizeof c->message, format, args);
    va_end(args);
    return GOLDEN_FAILED;
}

enum golden_verdict golden_skip(struct golden_case *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(c->message, sizeof c->message, format, args);
    va_end(args);
    return GOLDEN_SKIPPED;
}

enum golden_verdict golden_refused(struct golden_case *c, const struct err *err)
{
    err_format(err, c->message, sizeof c->message);
    return c->expected_error ? GOLDEN_PASSED : GOLDEN_FAILED;
}

static int read_shape(const struct doc *doc, struct shape *ret, struct err *err)
{
    const struct doc *shape = doc_get(doc, "shape");
    if (shape == NULL || shape->type != DOC_LIST || shape->n > SHAPE_RANK_MAX) {
        return err_set(err, ERR_UNSUPPORTED, "an array without a plain shape");
    }
    *ret = (struct shape){.rank = (int)shape->n};
    int64_t count = 1;
    for (size_t i = 0; i < shape->n; i++) {
        int64_t size = shape->items[i].type == DOC_INT ? shape->items[i].i : -1;
        if (size < 0 || size > NUMBERS_MAX || count * size > NUMBERS_MAX) {
            return err_set(err, ERR_CORRUPT, "an array with an axis that is no size, or too large");
        }
        ret->d[i] = size;
        count *= size > 0 ? size : 1;
    }
    return 0;
}

static double number_of(const struct doc *doc)
{
    if (doc->type == DOC_STR) {
        double infinity = doc->str[0] == '-' ? -HUGE_VAL : HUGE_VAL;
        return strcmp(doc->str, "NaN") == 0 ? (double)NAN : infinity;
    }
    return doc->type == DOC_BOOL ? (double)doc->b : doc_number(doc);
}

static void store(const struct tensor *t, int64_t i, const struct doc *value)
{
    switch (t->dtype) {
    case DTYPE_BOOL:
    case DTYPE_U8: ((uint8_t *)t->data)[i] = (uint8_t)number_of(value); break;
    case DTYPE_I8: ((int8_t *)t->data)[i] = (int8_t)number_of(value); break;
    case DTYPE_U16: ((uint16_t *)t->data)[i] = (uint16_t)number_of(value); break;
    case DTYPE_I16: ((int16_t *)t->data)[i] = (int16_t)number_of(value); break;
    case DTYPE_I32: ((int32_t *)t->data)[i] = (int32_t)number_of(value); break;
    case DTYPE_I64:
        ((int64_t *)t->data)[i] = value->type == DOC_INT ? value->i : (int64_t)number_of(value);
        break;
    case DTYPE_F32: ((float *)t->data)[i] = (float)number_of(value); break;
    case DTYPE_F64: ((double *)t->data)[i] = number_of(value); break;
    case DTYPE_STR:
    case DTYPE_MAX_: break;
    }
}

static double load(const struct tensor *t, int64_t i)
{
    switch (t->dtype) {
    case DTYPE_BOOL:
    case DTYPE_U8: return ((const uint8_t *)t->data)[i];
    case DTYPE_I8: return ((const int8_t *)t->data)[i];
    case DTYPE_U16: return ((const uint16_t *)t->data)[i];
    case DTYPE_I16: return ((const int16_t *)t->data)[i];
    case DTYPE_I32: return ((const int32_t *)t->data)[i];
    case DTYPE_I64: return (double)((const int64_t *)t->data)[i];
    case DTYPE_F32: return (double)((const float *)t->data)[i];
    case DTYPE_F64: return ((const double *)t->data)[i];
    case DTYPE_STR:
    case DTYPE_MAX_: break;
    }
    return (double)NAN;
}

/* .npy version 1, C order; dtype and shape are those of the case. */
static int read_npy(struct golden_case *c, const char *name, void *data, size_t bytes,
                    struct err *err)
{
    struct buf file = {0};
    const char *path = arena_printf(c->arena, "%s/%s", c->folder, name);
    int r = file_read(AT_FDCWD, path, NPY_MAX_BYTES, &file, err);
    if (r < 0) {
        return r;
    }
    const unsigned char *p = (const unsigned char *)file.data;
    size_t header = file.size >= 10 ? 10 + (size_t)p[8] + ((size_t)p[9] << 8) : 0;
    if (file.size < 10 || memcmp(p, "\x93NUMPY\x01", 7) != 0 || header + bytes != file.size) {
        r = err_set(err, ERR_CORRUPT, "%s: not the .npy that the case says", name);
    } else {
        memcpy(data, p + header, bytes);
    }
    buf_fini(&file);
    return r;
}

int golden_array(struct golden_case *c, const struct doc *doc, struct tensor *ret, struct err *err)
{
    const char *dtype = doc_str(doc, "dtype", "");
    int code = dtype_find(dtype);
    size_t bytes = 0;
    int64_t n = 0;
    if (code < 0 || doc_get(doc, "ragged") != NULL) {
        return err_set(err, ERR_UNSUPPORTED, "an array of '%s'", dtype);
    }
    ret->dtype = (enum dtype)code;
    int r = read_shape(doc, &ret->shape, err);
    r = r < 0 ? r : shape_bytes(&ret->shape, ret->dtype, &bytes);
    r = r < 0 ? r : shape_count(&ret->shape, &n);
    if (r < 0) {
        return r;
    }
    ret->data = arena_alloc(c->arena, bytes + 1);
    const char *file = doc_str(doc, "file", NULL);
    if (file != NULL) {
        return read_npy(c, file, ret->data, bytes, err);
    }
    const struct doc *data = doc_get(doc, "data");
    if (data == NULL || data->type != DOC_LIST || (int64_t)data->n != n) {
        return err_set(err, ERR_CORRUPT, "an array whose data does not fit its shape");
    }
    for (int64_t i = 0; i < n; i++) {
        if (data->items[i].type == DOC_LIST || data->items[i].type == DOC_MAP ||
            data->items[i].type == DOC_NULL) {
            return err_set(err, ERR_CORRUPT, "an array with a value that is no number");
        }
        store(ret, i, &data->items[i]);
    }
    return 0;
}

int golden_floats(struct golden_case *c, const struct doc *doc, struct tensor *ret, struct err *err)
{
    struct tensor from;
    int64_t n = 0;
    int r = golden_array(c, doc, &from, err);
    if (r < 0 || from.dtype == DTYPE_F32) {
        *ret = from;
        return r;
    }
    r = shape_count(&from.shape, &n);
    *ret = (struct tensor){.dtype = DTYPE_F32,
                           .shape = from.shape,
                           .data = arena_array(c->arena, (size_t)n + 1, sizeof(float))};
    for (int64_t i = 0; r == 0 && i < n; i++) {
        ((float *)ret->data)[i] = (float)load(&from, i);
    }
    return r;
}

/* The index of the element that is farthest outside its tolerance, or -1. */
static int64_t farthest(const struct tensor *got, const struct tensor *want, int64_t n, double rtol,
                        double atol, double *ret_difference)
{
    bool exact = want->dtype != DTYPE_F32 && want->dtype != DTYPE_F64 && want->dtype != DTYPE_U8;
    double worst = -1;
    int64_t at = -1;
    for (int64_t i = 0; i < n; i++) {
        double a = load(got, i);
        double b = load(want, i);
        if (a == b || (isnan(a) && isnan(b))) {
            continue;
        }
        double difference = fabs(a - b);
        double allowed = exact ? 0 : atol + (isfinite(b) ? rtol * fabs(b) : 0);
        if (difference <= allowed) {
            continue;
        }
        difference = isnan(difference) ? HUGE_VAL : difference;
        if (difference > worst) {
            worst = difference;
            at = i;
        }
    }
    *ret_difference = worst;
    return at;
}

bool golden_compare(struct golden_case *c, const char *what, const struct tensor *got,
                    const struct doc *want_doc, double rtol, double atol)
{
    struct tensor want;
    struct err err = {0};
    int64_t n = 0;
    if (golden_array(c, want_doc, &want, &err) < 0 || shape_count(&want.shape, &n) < 0) {
        golden_fail(c, "%s: %s", what, err.text);
        return false;
    }
    if (!shape_equal(&got->shape, &want.shape)) {
        char a[96];
        char b[96];
        shape_format(&got->shape, a, sizeof a);
        shape_format(&want.shape, b, sizeof b);
        golden_fail(c, "%s: shape %s, want %s", what, a, b);
        return false;
    }
    double worst;
    int64_t at = farthest(got, &want, n, rtol, atol, &worst);
    if (at >= 0) {
        golden_fail(c,
                    "%s: largest difference %.3g at %jd (got %.9g, want %.9g, tolerance %.3g + "
                    "%.3g |want|)",
                    what, worst, (intmax_t)at, load(got, at), load(&want, at), atol, rtol);
    }
    return at < 0;
}
