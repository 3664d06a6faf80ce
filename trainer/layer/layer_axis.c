#include "trainer/layer/layer_axis.h"

int layer_axis_find(int64_t axis, const struct shape *shape, int *ret, struct err *err)
{
    int64_t at = axis < 0 ? axis + shape->rank : axis - 1;
    if (axis < -shape->rank || axis == 0 || axis > shape->rank) {
        return err_set_at(err, ERR_RANGE, "axis", "%lld is no axis of a sample with %d",
                          (long long)axis, shape->rank);
    }
    *ret = (int)at;
    return 0;
}

int layer_axis_read(const struct doc *doc, const struct shape *shape, int *ret, struct err *err)
{
    if (doc && doc->type == DOC_LIST && doc->n == 1) {
        doc = &doc->items[0];
    }
    if (doc && doc->type != DOC_INT && doc->type != DOC_NULL) {
        return err_set_at(err, ERR_INVALID, "axis", "takes a number");
    }
    return layer_axis_find(doc && doc->type == DOC_INT ? doc->i : -1, shape, ret, err);
}

struct sizes {
    int64_t outer, axis, inner;
};

static struct sizes sizes_of(const struct shape *shape, int axis, int64_t rows)
{
    struct sizes s = {.outer = rows, .axis = shape->d[axis], .inner = 1};
    for (int i = 0; i < axis; i++) {
        s.outer *= shape->d[i];
    }
    for (int i = axis + 1; i < shape->rank; i++) {
        s.inner *= shape->d[i];
    }
    return s;
}

void layer_axis_to_last(const struct shape *shape, int axis, int64_t rows, const float *from,
                        float *to)
{
    struct sizes s = sizes_of(shape, axis, rows);
    for (int64_t o = 0; o < s.outer; o++) {
        for (int64_t a = 0; a < s.axis; a++) {
            for (int64_t i = 0; i < s.inner; i++) {
                to[(o * s.inner + i) * s.axis + a] = from[(o * s.axis + a) * s.inner + i];
            }
        }
    }
}

void layer_axis_from_last(const struct shape *shape, int axis, int64_t rows, const float *from,
                          float *to)
{
    struct sizes s = sizes_of(shape, axis, rows);
    for (int64_t o = 0; o < s.outer; o++) {
        for (int64_t a = 0; a < s.axis; a++) {
            for (int64_t i = 0; i < s.inner; i++) {
                to[(o * s.axis + a) * s.inner + i] = from[(o * s.inner + i) * s.axis + a];
            }
        }
    }
}
