#include "trainer/layer/layer_margin.h"

#include <inttypes.h>
#include <string.h>

enum { AXES = 3, MARGIN_MAX = 1 << 16 };

/* The larger side as (outer, d, h, row) with rows of values; the smaller lies in it from `before`
 * on. */
struct box {
    int64_t before[AXES], after[AXES]; /* unused axes in front have none */
    int64_t small[AXES], large[AXES];
    size_t channels;
};

static bool read_one(const struct doc *doc, int64_t *ret)
{
    if (doc->type != DOC_INT || doc->i < 0 || doc->i > MARGIN_MAX) {
        return false;
    }
    *ret = doc->i;
    return true;
}

static bool read_pair(const struct doc *doc, int64_t *before, int64_t *after)
{
    bool is_pair = doc->type == DOC_LIST && doc->n == 2;
    return read_one(is_pair ? &doc->items[0] : doc, before) &&
           read_one(is_pair ? &doc->items[1] : doc, after);
}

/* A single axis takes a pair as before and after; several axes a list of their own. */
static bool read_margins(const struct doc *doc, int axes, struct box *box)
{
    bool is_list = axes > 1 && doc->type == DOC_LIST;
    if (is_list && doc->n != (size_t)axes) {
        return false;
    }
    for (int i = 0; i < axes; i++) {
        int to = AXES - axes + i;
        if (!read_pair(is_list ? &doc->items[i] : doc, &box->before[to], &box->after[to])) {
            return false;
        }
    }
    return true;
}

static int read_box(struct layer *layer, int axes, const struct doc *doc, const char *option,
                    int64_t fallback, struct arena *arena, struct err *err)
{
    struct box *box = ARENA_NEW(arena, struct box);
    const struct doc one = {.type = DOC_INT, .i = fallback};
    int r = layer_want_rank(layer, axes + 1, err);
    if (r < 0) {
        return r;
    }
    *box = (struct box){
        .small = {1, 1, 1}, .large = {1, 1, 1}, .channels = (size_t)layer->inputs[0].d[axes]};
    if (!read_margins(doc && doc->type != DOC_NULL ? doc : &one, axes, box)) {
        return err_set_at(err, ERR_INVALID, option, "takes a number%s of at most %d",
                          axes == 1 ? " or a pair of them"
                                    : ", one for each axis, or a pair for each axis,",
                          MARGIN_MAX);
    }
    layer->kernel = box;
    layer->output = layer->inputs[0];
    return 0;
}

int layer_padding_infer(struct layer *layer, int axes, int64_t fallback, struct arena *arena,
                        struct err *err)
{
    const struct layer_margin *o = layer->options;
    int r = read_box(layer, axes, o->padding, "padding", fallback, arena, err);
    for (int i = 0; r == 0 && i < axes; i++) {
        struct box *box = layer->kernel;
        int at = AXES - axes + i;
        box->small[at] = layer->inputs[0].d[i];
        box->large[at] = layer->output.d[i] = box->small[at] + box->before[at] + box->after[at];
    }
    return r;
}

int layer_cropping_infer(struct layer *layer, int axes, int64_t fallback, struct arena *arena,
                         struct err *err)
{
    const struct layer_margin *o = layer->options;
    int r = read_box(layer, axes, o->cropping, "cropping", fallback, arena, err);
    for (int i = 0; r == 0 && i < axes; i++) {
        struct box *box = layer->kernel;
        int at = AXES - axes + i;
        box->large[at] = layer->inputs[0].d[i];
        box->small[at] = layer->output.d[i] = box->large[at] - box->before[at] - box->after[at];
        if (box->small[at] <= 0) {
            r = err_set_at(err, ERR_SHAPE, "cropping",
                           "leaves nothing of the %" PRId64 " of axis %d", box->large[at], i + 1);
        }
    }
    return r;
}

static size_t count_of(const struct box *box, const int64_t *sizes)
{
    return (size_t)(sizes[0] * sizes[1] * sizes[2]) * box->channels;
}

/* Where row (d, h) of the smaller side begins in the larger one. */
static size_t place_of(const struct box *box, int64_t d, int64_t h)
{
    int64_t row = (d + box->before[0]) * box->large[1] + h + box->before[1];
    return (size_t)(row * box->large[2] + box->before[2]) * box->channels;
}

static void put(const struct box *box, int64_t rows, const float *small, float *large)
{
    size_t row = (size_t)box->small[2] * box->channels;
    memset(large, 0, (size_t)rows * count_of(box, box->large) * sizeof(float));
    for (int64_t i = 0; i < rows * box->small[0] * box->small[1]; i++, small += row) {
        int64_t h = i % box->small[1], d = i / box->small[1] % box->small[0],
                n = i / box->small[1] / box->small[0];
        memcpy(large + (size_t)n * count_of(box, box->large) + place_of(box, d, h), small,
               row * sizeof(float));
    }
}

static void take(const struct box *box, int64_t rows, const float *large, float *small)
{
    size_t row = (size_t)box->small[2] * box->channels;
    for (int64_t i = 0; i < rows * box->small[0] * box->small[1]; i++, small += row) {
        int64_t h = i % box->small[1], d = i / box->small[1] % box->small[0],
                n = i / box->small[1] / box->small[0];
        memcpy(small, large + (size_t)n * count_of(box, box->large) + place_of(box, d, h),
               row * sizeof(float));
    }
}

void layer_padding_forward(struct layer *layer, const struct layer_call *call)
{
    put(layer->kernel, call->rows, call->x[0], call->y);
}

void layer_padding_backward(struct layer *layer, const struct layer_call *call)
{
    take(layer->kernel, call->rows, call->dy, call->dx[0]);
}

void layer_cropping_forward(struct layer *layer, const struct layer_call *call)
{
    take(layer->kernel, call->rows, call->x[0], call->y);
}

void layer_cropping_backward(struct layer *layer, const struct layer_call *call)
{
    put(layer->kernel, call->rows, call->dy, call->dx[0]);
}
