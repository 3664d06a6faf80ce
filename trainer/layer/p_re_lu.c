#include <string.h>

#include "trainer/layer/layer.h"

struct p_re_lu {
    LAYER_FIELDS
    const struct doc *alpha_initializer, *alpha_regularizer, *alpha_constraint;
    struct opt_ints shared_axes;
};

static const struct opt options[] = {
    LAYER_ROWS(p_re_lu),
    OPT_DOC_ROW(p_re_lu, alpha_initializer, "First values of the slopes.", .flags = OPT_NULLABLE),
    OPT_DOC_ROW(p_re_lu, alpha_regularizer, "Not supported yet.", .flags = OPT_NULLABLE),
    OPT_DOC_ROW(p_re_lu, alpha_constraint, "Not supported yet.", .flags = OPT_NULLABLE),
    OPT_INTS_ROW(p_re_lu, shared_axes, NULL, 0, SHAPE_RANK_MAX, 1, SHAPE_RANK_MAX,
                 "Axes, the batch being 0, along which one slope serves.", .flags = OPT_NULLABLE),
    OPT_END_ROW,
};

struct slopes {
    size_t count;
    uint32_t *index; /* the slope of each value of a sample */
};

static void fill_index(const struct shape *shape, const struct shape *alpha, struct slopes *slopes)
{
    for (size_t i = 0; i < slopes->count; i++) {
        size_t rest = i, at = 0, step = 1;
        for (int a = shape->rank - 1; a >= 0; a--) {
            at += alpha->d[a] == 1 ? 0 : rest % (size_t)shape->d[a] * step;
            step *= (size_t)alpha->d[a];
            rest /= (size_t)shape->d[a];
        }
        slopes->index[i] = (uint32_t)at;
    }
}

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    const struct p_re_lu *o = layer->options;
    struct slopes *slopes = ARENA_NEW(arena, struct slopes);
    struct layer_var alpha = {
        .name = "alpha", .shape = layer->inputs[0], .dtype = DTYPE_F32, .trainable = true};
    int r = layer_refuse(o->alpha_regularizer, "alpha_regularizer", err);
    r = r < 0 ? r : layer_refuse(o->alpha_constraint, "alpha_constraint", err);
    for (size_t i = 0; r == 0 && i < o->shared_axes.n; i++) {
        if (o->shared_axes.v[i] > alpha.shape.rank) {
            return err_set_at(err, ERR_RANGE, "shared_axes", "the input has no such axis");
        }
        alpha.shape.d[o->shared_axes.v[i] - 1] = 1;
    }
    layer->output = layer->inputs[0];
    int64_t count = 0;
    BUG_ON(shape_count(&layer->output, &count) < 0);
    slopes->count = (size_t)count;
    slopes->index = arena_array(arena, slopes->count, sizeof(*slopes->index));
    fill_index(&layer->output, &alpha.shape, slopes);
    layer->kernel = slopes;
    layer->needs_x = true;
    layer->flops = (double)count;
    return r < 0 ? r : layer_add_var(layer, &alpha, o->alpha_initializer, "Zeros", arena, err);
}

static void forward(struct layer *layer, const struct layer_call *call)
{
    const struct slopes *slopes = layer->kernel;
    const float *x = call->x[0], *alpha = layer->vars[0].data;
    size_t total = (size_t)call->rows * slopes->count;
    for (size_t i = 0; i < total; i++) {
        call->y[i] = x[i] > 0.0F ? x[i] : alpha[slopes->index[i % slopes->count]] * x[i];
    }
}

static void backward(struct layer *layer, const struct layer_call *call)
{
    const struct slopes *slopes = layer->kernel;
    const float *x = call->x[0], *alpha = layer->vars[0].data;
    float *grad = layer->vars[0].grad;
    size_t total = (size_t)call->rows * slopes->count;
    if (grad) {
        memset(grad, 0, layer->vars[0].count * sizeof(float));
    }
    for (size_t i = 0; i < total; i++) {
        uint32_t a = slopes->index[i % slopes->count];
        if (grad && x[i] < 0.0F) {
            grad[a] += call->dy[i] * x[i];
        }
        if (call->dx[0]) {
            /* At 0 Keras has no slope at all. */
            float below = x[i] < 0.0F ? alpha[a] : 0.0F;
            call->dx[0][i] = call->dy[i] * (x[i] > 0.0F ? 1.0F : below);
        }
    }
}

const struct layer_desc layer_p_re_lu = {
    .name = "PReLU",
    .summary = "x above 0, below a part of it that is learned.",
    .options = options,
    .size = sizeof(struct p_re_lu),
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
