#include <string.h>

#include "trainer/layer/layer.h"

struct up_sampling2d {
    LAYER_FIELDS
    struct opt_ints size;
    int interpolation, data_format;
};

enum { NEAREST, OTHER };
static const struct opt_name interpolations[] = {{"nearest", NEAREST}, {"bilinear", OTHER},
                                                 {"bicubic", OTHER},   {"lanczos3", OTHER},
                                                 {"lanczos5", OTHER},  {NULL, 0}};

static const struct opt options[] = {
    LAYER_ROWS(up_sampling2d),
    OPT_INTS_ROW(up_sampling2d, size, "[2,2]", 2, 2, 1, 1 << 16,
                 "How often rows and columns are repeated."),
    OPT_ENUM_ROW(up_sampling2d, interpolation, NEAREST, interpolations,
                 "How values between are made."),
    LAYER_FORMAT_ROW(up_sampling2d),
    OPT_END_ROW,
};

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    (void)arena;
    const struct up_sampling2d *o = layer->options;
    int r = layer_want_rank(layer, 3, err);
    if (r == 0 && o->interpolation != NEAREST) {
        r = err_set_at(err, ERR_UNSUPPORTED, "interpolation", "only nearest is supported yet");
    }
    layer->output = layer->inputs[0];
    layer->output.d[0] *= o->size.v[0];
    layer->output.d[1] *= o->size.v[1];
    return r;
}

/* Where pixel (row, column) of the output comes from. */
static size_t source(const struct layer *layer, int64_t n, int64_t row, int64_t col)
{
    const struct up_sampling2d *o = layer->options;
    const struct shape *in = &layer->inputs[0];
    return (size_t)(((n * in->d[0] + row / o->size.v[0]) * in->d[1] + col / o->size.v[1]) *
                    in->d[2]);
}

static void forward(struct layer *layer, const struct layer_call *call)
{
    const struct shape *out = &layer->output;
    size_t cols = (size_t)out->d[2];
    float *y = call->y;
    for (int64_t i = 0; i < call->rows * out->d[0] * out->d[1]; i++, y += cols) {
        int64_t col = i % out->d[1], row = i / out->d[1] % out->d[0], n = i / out->d[1] / out->d[0];
        memcpy(y, (const float *)call->x[0] + source(layer, n, row, col), cols * sizeof(float));
    }
}

static void backward(struct layer *layer, const struct layer_call *call)
{
    const struct shape *in = &layer->inputs[0], *out = &layer->output;
    size_t cols = (size_t)out->d[2];
    const float *dy = call->dy;
    memset(call->dx[0], 0, (size_t)(call->rows * in->d[0] * in->d[1]) * cols * sizeof(float));
    for (int64_t i = 0; i < call->rows * out->d[0] * out->d[1]; i++, dy += cols) {
        int64_t col = i % out->d[1], row = i / out->d[1] % out->d[0], n = i / out->d[1] / out->d[0];
        float *dx = call->dx[0] + source(layer, n, row, col);
        call->backend->vec->add(cols, dx, dy, dx);
    }
}

const struct layer_desc layer_up_sampling2d = {
    .name = "UpSampling2D",
    .summary = "Rows and columns are repeated.",
    .options = options,
    .size = sizeof(struct up_sampling2d),
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
