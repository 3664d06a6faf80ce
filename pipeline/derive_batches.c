/* derive_batches - rows side by side that may be fewer than in other batches, and of other sizes.
 */
#include <string.h>

#include "pipeline/derive_batch.h"

struct gathered { /* the rows of a field, one after the other */
    struct buf data, shapes;
    struct op_scratch made;
    enum dtype dtype;
};
struct batches {
    struct stream *in;
    int64_t size;
    const struct derive_pads *pads; /* or NULL */
    struct gathered fields[ELEMENT_FIELDS_MAX];
};

static bool has_row(const struct batches *k, const struct stage_place *at)
{
    return (k->in->n == STAGE_ENDLESS || at->position < k->in->n) && !stream_is_hole(k->in, at);
}

static int64_t length_batches(const struct source *source, const struct stage_place *place)
{
    const struct batches *k = source->ctx;
    struct stage_place at = {place->iteration, place->position * k->size};
    int64_t n = 0;
    for (; n < k->size && has_row(k, &at); n++, at.position++) {
    }
    return n;
}

static int add_row(struct gathered *rows, const struct tensor *x, struct err *err)
{
    size_t bytes;
    rows->dtype = x->dtype;
    if (shape_bytes(&x->shape, x->dtype, &bytes) < 0 || bytes + rows->data.size > (size_t)1 << 30) {
        return err_set(err, ERR_LIMIT, "the rows of a batch are too large");
    }
    buf_put(&rows->shapes, &x->shape, sizeof x->shape);
    buf_put(&rows->data, x->data, bytes);
    return 0;
}

/* What the rows of a field are filled up to. */
static int find_shape(const struct batches *k, int field, int64_t rows, struct shape *ret,
                      struct err *err)
{
    const struct shape *shapes = (const struct shape *)(const void *)k->fields[field].shapes.data;
    const char *name = k->in->spec.fields[field].name;
    int r = 0;
    *ret = shapes[0];
    for (int64_t i = 1; i < rows && k->pads == NULL; i++) {
        if (!shape_equal(&shapes[i], ret)) {
            char a[96], b[96];
            shape_format(&shapes[i], a, sizeof a);
            shape_format(ret, b, sizeof b);
            return err_set(err, ERR_SHAPE, "field '%s' is %s, in the element before it %s", name, a,
                           b);
        }
    }
    for (int d = 0; k->pads != NULL && d < ret->rank; d++) {
        const int64_t wanted = k->pads->shape[field].d[d];
        for (int64_t i = 1; i < rows; i++) {
            ret->d[d] = shapes[i].d[d] > ret->d[d] ? shapes[i].d[d] : ret->d[d];
        }
        ret->d[d] = wanted >= 0 ? wanted : ret->d[d];
    }
    for (int64_t i = 0; i < rows && r == 0; i++) {
        r = derive_pad_fits(name, &shapes[i], ret, err);
    }
    return r;
}

static int put_rows(struct batches *k, int field, int64_t rows, struct tensor *ret, struct err *err)
{
    struct gathered *rows_of = &k->fields[field];
    const struct shape *shapes = (const struct shape *)(const void *)rows_of->shapes.data;
    struct tensor row = {.dtype = rows_of->dtype};
    size_t from = 0, bytes = 0, all;
    int r = find_shape(k, field, rows, &row.shape, err);
    if (r < 0) {
        return r;
    }
    if (shape_bytes(&row.shape, row.dtype, &bytes) < 0 ||
        __builtin_mul_overflow(bytes, (size_t)rows, &all) || all > (size_t)1 << 30) {
        return err_set(err, ERR_LIMIT, "%lld elements side by side are too large", (long long)rows);
    }
    *ret = (struct tensor){.dtype = row.dtype, .data = op_scratch_need(&rows_of->made, all + 1)};
    ret->shape.rank = row.shape.rank + 1;
    ret->shape.d[0] = rows;
    memcpy(ret->shape.d + 1, row.shape.d, (size_t)row.shape.rank * sizeof row.shape.d[0]);
    for (int64_t i = 0; i < rows; i++) {
        const struct tensor in = {row.dtype, shapes[i], rows_of->data.data + from};
        size_t size = 0;
        (void)shape_bytes(&in.shape, in.dtype, &size); /* it was added */
        row.data = (unsigned char *)ret->data + (size_t)i * bytes;
        derive_pad_copy(&in, k->pads != NULL ? k->pads->value[field] : 0, &row);
        from += size;
    }
    return 0;
}

static int read_batches(struct source *source, const struct stage_place *place,
                        const struct source_call *call, struct element *ret, struct err *err)
{
    struct batches *k = source->ctx;
    struct stage_place at = {place->iteration, place->position * k->size};
    int64_t first = -1, rows = 0;
    int r = 0;
    for (int f = 0; f < k->in->spec.n; f++) {
        buf_clear(&k->fields[f].data);
        buf_clear(&k->fields[f].shapes);
    }
    for (; rows < k->size && has_row(k, &at); rows++, at.position++) {
        r = stream_get(k->in, &at, call, ret, err);
        for (int f = 0; f < k->in->spec.n && r == 0; f++) {
            r = add_row(&k->fields[f], &ret->fields[f], err);
        }
        if (r < 0) {
            return r;
        }
        first = rows == 0 ? ret->sample : first;
    }
    ret->sample = first;
    for (int f = 0; f < k->in->spec.n && r == 0; f++) {
        r = rows > 0 ? put_rows(k, f, rows, &ret->fields[f], err)
                     : err_set(err, ERR_DATA, "there is no row");
    }
    return r;
}

static int64_t trace_batches(const struct source *source, const struct stage_place *place)
{
    const struct batches *k = source->ctx;
    const struct stage_place at = {place->iteration, place->position * k->size};
    return derive_trace(k->in, &at);
}

static void close_batches(struct source *source)
{
    struct batches *k = source->ctx;
    for (int f = 0; f < ELEMENT_FIELDS_MAX; f++) {
        buf_fini(&k->fields[f].data);
        buf_fini(&k->fields[f].shapes);
        op_scratch_fini(&k->fields[f].made);
    }
}

static const struct source_desc batches_desc = {.name = "batches",
                                                .read = read_batches,
                                                .trace = trace_batches,
                                                .length = length_batches,
                                                .close = close_batches};

static int make_spec(const struct batches *k, bool is_full, struct element_spec *ret,
                     struct err *err)
{
    struct element_spec rows = *ret;
    for (int f = 0; f < rows.n; f++) {
        struct element_field *field = &rows.fields[f];
        for (int d = 0; d < field->spec.shape.rank && k->pads != NULL; d++) {
            const int64_t wanted = k->pads->shape[f].d[d];
            field->spec.shape.d[d] = wanted >= 0                ? wanted
                                     : derive_is_open(field, d) ? -1
                                                                : field->spec.shape.d[d];
        }
        field->is_varying = field->is_varying && k->pads == NULL;
    }
    return derive_stack_spec(&rows, is_full ? k->size : -1, ret, err);
}

int derive_batches(struct derive *derive, const struct derive_batch *batch, struct source *ret,
                   struct err *err)
{
    struct batches *k = ARENA_NEW(derive->pool->arena, struct batches);
    *k = (struct batches){.in = derive->in, .size = batch->options.batch_size, .pads = batch->pads};
    derive_like(ret, k->in, &batches_desc, k);
    const int64_t n = k->in->n;
    const bool is_full = n == STAGE_ENDLESS || n % k->size == 0 || batch->options.drop_remainder;
    if (n != STAGE_ENDLESS) {
        ret->samples = n / k->size + (is_full ? 0 : 1);
    }
    return make_spec(k, is_full && !batch->has_holes, &ret->spec, err);
}
