/* derive_pad - every field filled up to one shape, with a value at the end of each axis. */
#include <stdio.h>
#include <string.h>

#include "pipeline/derive.h"

struct pad {
    struct stream *in;
    struct derive_pads pads;
    struct op_scratch made[ELEMENT_FIELDS_MAX];
    bool is_needed[ELEMENT_FIELDS_MAX];
};

static void fill(const struct tensor *out, int64_t n, double value)
{
    const size_t each = dtype_bytes(out->dtype);
    unsigned char one[8];
    union {
        uint8_t u8;
        int8_t i8;
        uint16_t u16;
        int16_t i16;
        int32_t i32;
        int64_t i64;
        float f32;
        double f64;
    } v = {0};
    switch ((int)out->dtype) {
    case DTYPE_BOOL:
    case DTYPE_U8: v.u8 = (uint8_t)value; break;
    case DTYPE_I8: v.i8 = (int8_t)value; break;
    case DTYPE_U16: v.u16 = (uint16_t)value; break;
    case DTYPE_I16: v.i16 = (int16_t)value; break;
    case DTYPE_I32: v.i32 = (int32_t)value; break;
    case DTYPE_I64: v.i64 = (int64_t)value; break;
    case DTYPE_F32: v.f32 = (float)value; break;
    default: v.f64 = value; break;
    }
    memcpy(one, &v, each);
    for (int64_t i = 0; i < n; i++) {
        memcpy((unsigned char *)out->data + (size_t)i * each, one, each);
    }
}

/* Copies the lines of the last axis to where they stand in the larger shape. */
static void copy_lines(const struct tensor *in, struct tensor *out)
{
    const int rank = in->shape.rank;
    const size_t each = dtype_bytes(in->dtype);
    const size_t line = (size_t)in->shape.d[rank - 1] * each;
    int64_t at[SHAPE_RANK_MAX] = {0};
    const unsigned char *from = in->data;
    for (bool more = line > 0; more;) {
        size_t to = 0;
        for (int i = 0; i < rank; i++) {
            to = to * (size_t)out->shape.d[i] + (size_t)at[i];
        }
        memcpy((unsigned char *)out->data + to * each, from, line);
        from += line;
        int i = rank - 2;
        while (i >= 0 && ++at[i] == in->shape.d[i]) {
            at[i--] = 0;
        }
        more = i >= 0;
    }
}

static int pad_field(struct pad *k, int field, struct tensor *x, struct err *err)
{
    const struct shape *wanted = &k->pads.shape[field];
    int64_t n = 0, given = 0;
    for (int i = 0; i < wanted->rank; i++) {
        if (x->shape.d[i] > wanted->d[i]) {
            char a[96], b[96];
            shape_format(&x->shape, a, sizeof a);
            shape_format(wanted, b, sizeof b);
            return err_set(err, ERR_SHAPE, "field '%s' is %s and does not fit into %s",
                           k->in->spec.fields[field].name, a, b);
        }
    }
    int r = shape_count(wanted, &n);
    r = r < 0 ? r : shape_count(&x->shape, &given);
    if (r < 0) {
        return err_set(err, r, "field '%s' is too large", k->in->spec.fields[field].name);
    }
    struct tensor out = {.dtype = x->dtype, .shape = *wanted};
    out.data = op_scratch_need(&k->made[field], (size_t)n * dtype_bytes(x->dtype) + 1);
    fill(&out, n, k->pads.value[field]);
    if (given > 0) {
        copy_lines(x, &out);
    }
    *x = out;
    return 0;
}

static int read_pad(struct source *source, const struct stage_place *place,
                    const struct source_call *call, struct element *ret, struct err *err)
{
    struct pad *k = source->ctx;
    int r = stream_get(k->in, place, call, ret, err);
    for (int i = 0; i < k->in->spec.n && r == 0; i++) {
        if (k->is_needed[i] && !shape_equal(&ret->fields[i].shape, &k->pads.shape[i])) {
            r = pad_field(k, i, &ret->fields[i], err);
        }
    }
    return r;
}

static int64_t trace_pad(const struct source *source, const struct stage_place *place)
{
    const struct pad *k = source->ctx;
    return derive_trace(k->in, place);
}

static void close_pad(struct source *source)
{
    struct pad *k = source->ctx;
    for (int i = 0; i < ELEMENT_FIELDS_MAX; i++) {
        op_scratch_fini(&k->made[i]);
    }
}

static const struct source_desc pad_desc = {
    .name = "pad", .read = read_pad, .trace = trace_pad, .close = close_pad};

/* The axes that are still unknown, of all fields, one after the other. */
static int find_sizes(const struct column *column, const struct element *element, int64_t *ret,
                      struct err *err)
{
    const struct derive_pads *pads = column->context;
    (void)err;
    for (int f = 0; f < column->in->spec.n; f++) {
        for (int d = 0; d < pads->shape[f].rank; d++) {
            if (pads->is_open[f][d]) {
                *ret++ = element->fields[f].shape.d[d];
            }
        }
    }
    return 0;
}

/* The longest of each of them, over all elements; a bad sample is its reader's matter. */
static int find_longest(struct pad *k, struct pool *pool, int n_open, struct err *err)
{
    struct column column = {.in = k->in,
                            .pool = pool,
                            .what = "longest",
                            .width = n_open,
                            .low = 0,
                            .high = INT64_MAX,
                            .takes_bad = true,
                            .is_folded = true,
                            .numbers = find_sizes,
                            .context = &k->pads};
    int r = derive_check_end(k->in, "padded_batch, or give it padded_shapes", err);
    r = r < 0 ? r : column_make(&column, 0, err);
    const int64_t *longest = column.v;
    for (int f = 0; f < k->in->spec.n && r == 0; f++) {
        for (int d = 0; d < k->pads.shape[f].rank; d++) {
            k->pads.shape[f].d[d] = k->pads.is_open[f][d] ? *longest++ : k->pads.shape[f].d[d];
        }
    }
    column_fini(&column);
    return r;
}

int derive_pad(struct derive *derive, const struct derive_pads *pads, struct source *ret,
               struct err *err)
{
    struct pad *k = ARENA_NEW(derive->pool->arena, struct pad);
    int n_open = 0;
    k->in = derive->in;
    k->pads = *pads;
    derive_like(ret, k->in, &pad_desc, k);
    for (int f = 0; f < k->in->spec.n; f++) {
        const struct element_field *field = &k->in->spec.fields[f];
        k->is_needed[f] = field->spec.shape.rank > 0;
        for (int d = 0; d < pads->shape[f].rank; d++) {
            const bool is_fixed = !field->is_varying && field->spec.shape.d[d] >= 0;
            k->pads.is_open[f][d] = pads->shape[f].d[d] < 0 && !is_fixed;
            if (pads->shape[f].d[d] < 0) {
                k->pads.shape[f].d[d] = is_fixed ? field->spec.shape.d[d] : 0;
            }
            n_open += k->pads.is_open[f][d];
        }
    }
    int r = n_open > 0 ? find_longest(k, derive->pool, n_open, err) : 0;
    for (int f = 0; f < k->in->spec.n; f++) {
        ret->spec.fields[f].spec.shape = k->pads.shape[f];
        ret->spec.fields[f].is_varying = false;
    }
    return r;
}
