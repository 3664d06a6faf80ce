#include "trainer/layer/layer.h"

struct permute {
    LAYER_FIELDS
    struct opt_ints dims;
};

static const struct opt options[] = {
    LAYER_ROWS(permute),
    OPT_INTS_ROW(permute, dims, NULL, 1, SHAPE_RANK_MAX - 1, 1, SHAPE_RANK_MAX,
                 "The axes in their new order, from 1.", .flags = OPT_REQUIRED),
    OPT_END_ROW,
};

/* stride[k]: how far values of the output's axis k lie apart in the input. */
struct turn {
    int rank;
    size_t size[SHAPE_RANK_MAX], stride[SHAPE_RANK_MAX], count;
};

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    const struct permute *o = layer->options;
    const struct shape *in = &layer->inputs[0];
    struct turn *turn = ARENA_NEW(arena, struct turn);
    size_t stride[SHAPE_RANK_MAX], step = 1;
    bool seen[SHAPE_RANK_MAX] = {false};
    int64_t count;
    if ((int)o->dims.n != in->rank) {
        return err_set_at(err, ERR_SHAPE, "dims", "has %zu axes, a sample has %d", o->dims.n,
                          in->rank);
    }
    if (shape_count(in, &count) < 0) {
        return err_set(err, ERR_LIMIT, "the input has too many values");
    }
    for (int i = in->rank - 1; i >= 0; i--) {
        stride[i] = step;
        step *= (size_t)in->d[i];
    }
    *turn = (struct turn){.rank = in->rank, .count = (size_t)count};
    layer->output = *in;
    for (int k = 0; k < in->rank; k++) {
        int64_t axis = o->dims.v[k] - 1;
        if (axis >= in->rank || seen[axis]) {
            return err_set_at(err, ERR_INVALID, "dims", "must name each of the axes 1 to %d once",
                              in->rank);
        }
        seen[axis] = true;
        layer->output.d[k] = in->d[axis];
        turn->size[k] = (size_t)in->d[axis];
        turn->stride[k] = stride[axis];
    }
    layer->kernel = turn;
    return 0;
}

/* The next value of the output; returns where it lies in the input. */
static size_t advance(const struct turn *turn, size_t *at, size_t place)
{
    for (int k = turn->rank - 1; k >= 0; k--) {
        place += turn->stride[k];
        if (++at[k] < turn->size[k]) {
            break;
        }
        place -= turn->stride[k] * at[k];
        at[k] = 0;
    }
    return place;
}

static void forward(struct layer *layer, const struct layer_call *call)
{
    const struct turn *turn = layer->kernel;
    const float *x = call->x[0];
    float *y = call->y;
    for (int64_t n = 0; n < call->rows; n++, x += turn->count, y += turn->count) {
        size_t at[SHAPE_RANK_MAX] = {0}, place = 0;
        for (size_t i = 0; i < turn->count; i++, place = advance(turn, at, place)) {
            y[i] = x[place];
        }
    }
}

static void backward(struct layer *layer, const struct layer_call *call)
{
    const struct turn *turn = layer->kernel;
    const float *dy = call->dy;
    float *dx = call->dx[0];
    for (int64_t n = 0; n < call->rows; n++, dx += turn->count, dy += turn->count) {
        size_t at[SHAPE_RANK_MAX] = {0}, place = 0;
        for (size_t i = 0; i < turn->count; i++, place = advance(turn, at, place)) {
            dx[place] = dy[i];
        }
    }
}

const struct layer_desc layer_permute = {
    .name = "Permute",
    .summary = "The axes in another order.",
    .options = options,
    .size = sizeof(struct permute),
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
