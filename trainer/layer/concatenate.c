#include <string.h>

#include "trainer/layer/layer_merge.h"

struct concatenate {
    LAYER_FIELDS
    int64_t axis;
};

static const struct opt options[] = {
    LAYER_ROWS(concatenate),
    OPT_I64_ROW(concatenate, axis, -1, -8, 8, "The axis along which inputs follow each other."),
    OPT_END_ROW,
};

/* The axis of the shape without the batch. */
static int axis_of(const struct layer *layer)
{
    const struct concatenate *o = layer->options;
    return (int)(o->axis < 0 ? o->axis + layer->inputs[0].rank : o->axis - 1);
}

static int add_input(struct layer *layer, int k, int axis, struct err *err)
{
    const struct shape *in = &layer->inputs[k];
    bool fits = in->rank == layer->output.rank;
    for (int a = 0; fits && a < in->rank; a++) {
        fits = a == axis || in->d[a] == layer->output.d[a];
    }
    if (!fits) {
        char first[128], other[128];
        shape_format(&layer->inputs[0], first, sizeof(first));
        shape_format(in, other, sizeof(other));
        return err_set(err, ERR_SHAPE,
                       "takes shapes that differ along the axis only, but input 0 is %s and input "
                       "%d is %s",
                       first, k, other);
    }
    layer->output.d[axis] += in->d[axis];
    return 0;
}

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    (void)arena;
    int axis = axis_of(layer);
    if (axis < 0 || axis >= layer->inputs[0].rank) {
        return err_set_at(err, ERR_RANGE, "axis", "the input has no such axis");
    }
    layer->output = layer->inputs[0];
    for (int k = 1; k < layer->n_inputs; k++) {
        int r = add_input(layer, k, axis, err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

/* Values from the axis on: of one input, and how often they come a sample. */
static size_t run_of(const struct shape *shape, int axis)
{
    size_t run = 1;
    for (int a = axis; a < shape->rank; a++) {
        run *= (size_t)shape->d[a];
    }
    return run;
}

static size_t times_of(const struct shape *shape, int axis, int64_t rows)
{
    size_t times = (size_t)rows;
    for (int a = 0; a < axis; a++) {
        times *= (size_t)shape->d[a];
    }
    return times;
}

static void forward(struct layer *layer, const struct layer_call *call)
{
    int axis = axis_of(layer);
    size_t whole = run_of(&layer->output, axis), at = 0;
    size_t times = times_of(&layer->output, axis, call->rows);
    for (int k = 0; k < layer->n_inputs; k++) {
        size_t run = run_of(&layer->inputs[k], axis);
        const float *x = call->x[k];
        for (size_t t = 0; t < times; t++) {
            memcpy(call->y + t * whole + at, x + t * run, run * sizeof(float));
        }
        at += run;
    }
}

static void backward(struct layer *layer, const struct layer_call *call)
{
    int axis = axis_of(layer);
    size_t whole = run_of(&layer->output, axis), at = 0;
    size_t times = times_of(&layer->output, axis, call->rows);
    for (int k = 0; k < layer->n_inputs; k++) {
        size_t run = run_of(&layer->inputs[k], axis);
        for (size_t t = 0; call->dx[k] && t < times; t++) {
            memcpy(call->dx[k] + t * run, call->dy + t * whole + at, run * sizeof(float));
        }
        at += run;
    }
}

const struct layer_desc layer_concatenate = {
    .name = "Concatenate",
    .summary = "The inputs one behind the other along an axis.",
    .options = options,
    .size = sizeof(struct concatenate),
    .min_inputs = 1,
    .max_inputs = LAYER_MERGE_MAX,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
