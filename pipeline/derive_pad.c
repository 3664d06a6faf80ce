/* derive_pad - every field filled up to one shape, with a value at the end of each axis. */
#include <stdio.h>
#include <string.h>

#include "pipeline/derive_batch.h"

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

int derive_pad_fits(const char *name, const struct shape *shape, const struct shape *wanted,
                    struct err *err)
{
    for (int i = 0; i < wanted->rank; i++) {
        if (shape->d[i] > wanted->d[i]) {
            char a[96], b[96];
            shape_format(shape, a, sizeof a);
            shape_format(wanted, b, sizeof b);
            return err_set(err, ERR_SHAPE, "field '%s' is %s and does not fit into %s", name, a, b);
        }
    }
    return 0;
}

void derive_pad_copy(const struct tensor *in, double value, struct tensor *out)
{
    int64_t n = 0, given = 0;
    BUG_ON(shape_count(&out->shape, &n) < 0 || shape_count(&in->shape, &given) < 0);
    fill(out, n, value);
    if (in->shape.rank == 0) {
        memcpy(out->data, in->data, dtype_bytes(in->dtype));
    } else if (given > 0) {
        copy_lines(in, out);
    }
}

int derive_pad_field(const char *name, const struct shape *wanted, double value,
                     struct op_scratch *made, struct tensor *x, struct err *err)
{
    size_t bytes;
    int r = derive_pad_fits(name, &x->shape, wanted, err);
    if (r == 0 && (shape_bytes(wanted, x->dtype, &bytes) < 0 || bytes > (size_t)1 << 30)) {
        r = err_set(err, ERR_LIMIT, "field '%s' is too large", name);
    }
    if (r == 0) {
        struct tensor out = {.dtype = x->dtype, .shape = *wanted};
        out.data = op_scratch_need(made, bytes + 1);
        derive_pad_copy(x, value, &out);
        *x = out;
    }
    return r;
}

static int read_pad(struct source *source, const struct stage_place *place,
                    const struct source_call *call, struct element *ret, struct err *err)
{
    struct pad *k = source->ctx;
    int r = stream_get(k->in, place, call, ret, err);
    for (int i = 0; i < k->in->spec.n && r == 0; i++) {
        if (k->is_needed[i] && !shape_equal(&ret->fields[i].shape, &k->pads.shape[i])) {
            r = derive_pad_field(k->in->spec.fields[i].name, &k->pads.shape[i], k->pads.value[i],
                                 &k->made[i], &ret->fields[i], err);
        }
    }
    return r;
}

static int64_t trace_pad(const struct source *source, const struct stage_place *place)
{
    const struct pad *k = source->ctx;
    return derive_trace(k->in, place);
}

static bool is_hole(const struct source *source, const struct stage_place *place)
{
    const struct pad *k = source->ctx;
    return stream_is_hole(k->in, place);
}

static void close_pad(struct source *source)
{
    struct pad *k = source->ctx;
    for (int i = 0; i < ELEMENT_FIELDS_MAX; i++) {
        op_scratch_fini(&k->made[i]);
    }
}

static const struct source_desc pad_desc = {
    .name = "pad", .read = read_pad, .trace = trace_pad, .is_hole = is_hole, .close = close_pad};

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
static int find_longest(struct pad *k, const struct derive *derive, int n_open, struct err *err)
{
    struct column column = {.in = k->in,
                            .pool = derive->pool,
                            .what = "longest",
                            .path = derive->path,
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

/* To what is wanted at least: the rows of a validation stream are as long as those trained on. */
static void raise(struct pad *k)
{
    const struct element_spec *least = k->pads.at_least;
    for (int f = 0; least != NULL && f < k->in->spec.n && f < least->n; f++) {
        const struct shape *shape = &least->fields[f].spec.shape;
        for (int d = 0; d < k->pads.shape[f].rank && shape->rank == k->pads.shape[f].rank; d++) {
            if (k->pads.is_open[f][d] && k->pads.shape[f].d[d] < shape->d[d]) {
                k->pads.shape[f].d[d] = shape->d[d];
            }
        }
    }
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
            k->pads.is_open[f][d] = pads->shape[f].d[d] < 0 && !is_fixed && pads->longest == 0;
            if (pads->shape[f].d[d] < 0) {
                k->pads.shape[f].d[d] = is_fixed ? field->spec.shape.d[d] : pads->longest;
            }
            n_open += k->pads.is_open[f][d];
        }
    }
    int r = n_open > 0 ? find_longest(k, derive, n_open, err) : 0;
    raise(k);
    for (int f = 0; f < k->in->spec.n; f++) {
        ret->spec.fields[f].spec.shape = k->pads.shape[f];
        ret->spec.fields[f].is_varying = false;
    }
    return r;
}
