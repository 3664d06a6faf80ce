/* concatenate - several fields one behind the other, as Keras's Concatenate. */
#include <string.h>

#include "pipeline/op.h"

extern const struct op_desc op_concatenate;

struct concatenate {
    int64_t axis;
};
static const struct opt options[] = {
    OPT_I64_ROW(concatenate, axis, -1, -SHAPE_RANK_MAX, SHAPE_RANK_MAX,
                "Axis of a batch: -1 is the last one, 1 the first of a sample."),
    OPT_END_ROW,
};

/* A single number is a row of one. */
static struct shape shape_of(const struct op_spec *in)
{
    return in->shape.rank > 0 ? in->shape : (struct shape){.rank = 1, .d = {1}};
}

static int axis_of(const struct concatenate *k, int rank)
{
    return (int)(k->axis < 0 ? k->axis + rank : k->axis - 1);
}

static int check_all(const void *ctx, const struct op_spec *in, int n, struct op_spec *out,
                     struct err *err)
{
    const struct concatenate *k = ctx;
    char first[128], text[128];
    op_shape_text(&in[0], first, sizeof first);
    out->shape = shape_of(&in[0]);
    out->dtype = in[0].dtype;
    const int axis = axis_of(k, out->shape.rank);
    if (k->axis == 0 || axis < 0 || axis >= out->shape.rank) {
        return err_set_at(err, ERR_RANGE, "axis", "%lld is not one of %s", (long long)k->axis,
                          first);
    }
    out->shape.d[axis] = 0;
    for (int i = 0; i < n; i++) {
        struct shape shape = shape_of(&in[i]);
        op_shape_text(&in[i], text, sizeof text);
        if (in[i].dtype == DTYPE_STR) {
            return err_set(err, ERR_SHAPE, "takes numbers, not %s", text);
        }
        const int64_t size = shape.rank == out->shape.rank ? shape.d[axis] : 0;
        shape.d[axis] = out->shape.d[axis];
        if (!shape_equal(&shape, &out->shape)) {
            return err_set(err, ERR_SHAPE, "%s and %s differ in more than axis %lld", first, text,
                           (long long)k->axis);
        }
        out->shape.d[axis] = size < 0 || out->shape.d[axis] < 0 ? -1 : out->shape.d[axis] + size;
        out->dtype = in[i].dtype == out->dtype ? out->dtype : DTYPE_F32;
    }
    return 0;
}

/* Numbers of unlike types become float32. */
static void copy(const struct tensor *in, int64_t from, int64_t n, const struct tensor *out,
                 int64_t to)
{
    const struct tensor part = {.dtype = in->dtype,
                                .data = (unsigned char *)in->data +
                                        (size_t)from * dtype_bytes(in->dtype)};
    unsigned char *place = (unsigned char *)out->data + (size_t)to * dtype_bytes(out->dtype);
    if (in->dtype == out->dtype) {
        memcpy(place, part.data, (size_t)n * dtype_bytes(in->dtype));
    } else {
        op_to_floats(&part, n, (float *)(void *)place);
    }
}

static int run_all(const void *ctx, const struct tensor *in, int n, struct tensor *out,
                   struct op_scratch *scratch, struct err *err)
{
    const struct concatenate *k = ctx;
    struct op_spec specs[ELEMENT_FIELDS_MAX], made;
    (void)scratch;
    for (int i = 0; i < n; i++) {
        specs[i] = (struct op_spec){.dtype = in[i].dtype, .shape = in[i].shape};
    }
    int r = check_all(ctx, specs, n, &made, err);
    if (r < 0) {
        return r;
    }
    const int axis = axis_of(k, made.shape.rank);
    int64_t rows = 1, line = 1, at = 0;
    for (int d = 0; d < made.shape.rank; d++) {
        *(d < axis ? &rows : &line) *= made.shape.d[d];
    }
    out->dtype = made.dtype;
    out->shape = made.shape;
    for (int i = 0; i < n; i++) {
        int64_t count = 0;
        BUG_ON(shape_count(&in[i].shape, &count) < 0);
        const int64_t each = rows > 0 ? count / rows : 0;
        for (int64_t row = 0; row < rows; row++) {
            copy(&in[i], row * each, each, out, row * line + at);
        }
        at += each;
    }
    return 0;
}

const struct op_desc op_concatenate = {
    .name = "Concatenate",
    .summary = "Joins fields along an axis; a single number is a row of one.",
    .options = options,
    .ctx_size = sizeof(struct concatenate),
    .flags = OP_JOIN | OP_TEXTS,
    .check_all = check_all,
    .run_all = run_all,
};
