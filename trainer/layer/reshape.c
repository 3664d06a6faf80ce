#include "trainer/layer/layer.h"

struct reshape {
    LAYER_FIELDS
    struct opt_ints target_shape;
};

static const struct opt options[] = {
    LAYER_ROWS(reshape),
    OPT_INTS_ROW(reshape, target_shape, NULL, 0, SHAPE_RANK_MAX - 1, -1, INT64_C(1) << 40,
                 "The axes of the output; -1 for one that follows from the rest.",
                 .flags = OPT_REQUIRED),
    OPT_END_ROW,
};

/* The values that the given axes hold; *ret_open: the axis that is -1, or -1. */
static int count_given(const struct reshape *o, int64_t *ret_count, int *ret_open, struct err *err)
{
    *ret_count = 1;
    *ret_open = -1;
    for (size_t i = 0; i < o->target_shape.n; i++) {
        int64_t size = o->target_shape.v[i];
        if (size < 0 && *ret_open >= 0) {
            return err_set_at(err, ERR_INVALID, "target_shape", "only one axis may be -1");
        }
        if (size < 0) {
            *ret_open = (int)i;
        } else if (size == 0 || __builtin_mul_overflow(*ret_count, size, ret_count)) {
            return err_set_at(err, ERR_RANGE, "target_shape", "%lld is no size of an axis",
                              (long long)size);
        }
    }
    return 0;
}

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    (void)arena;
    const struct reshape *o = layer->options;
    int64_t count, given;
    int open;
    int r = shape_count(&layer->inputs[0], &count);
    if (r < 0) {
        return err_set(err, r, "the input has too many values");
    }
    r = count_given(o, &given, &open, err);
    if (r < 0) {
        return r;
    }
    if (open >= 0 ? count % given != 0 : count != given) {
        return err_set_at(err, ERR_SHAPE, "target_shape",
                          "does not hold the %lld values of the input", (long long)count);
    }
    layer->output = (struct shape){.rank = (int)o->target_shape.n};
    for (int i = 0; i < layer->output.rank; i++) {
        layer->output.d[i] = i == open ? count / given : o->target_shape.v[i];
    }
    layer->is_view = true;
    return 0;
}

const struct layer_desc layer_reshape = {
    .name = "Reshape",
    .summary = "The same values with other axes.",
    .options = options,
    .size = sizeof(struct reshape),
    .infer = infer,
};
