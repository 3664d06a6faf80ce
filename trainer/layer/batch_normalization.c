#include "trainer/layer/layer_affine.h"
#include "trainer/layer/layer_axis.h"

struct batch_normalization {
    LAYER_FIELDS
    const struct doc *axis;
    double momentum, epsilon, renorm_momentum;
    bool synchronized, renorm;
    const struct doc *moving_mean_initializer, *moving_variance_initializer, *renorm_clipping;
    struct layer_affine affine;
};

static const struct opt options[] = {
    LAYER_ROWS(batch_normalization),
    OPT_DOC_ROW(batch_normalization, axis, "The axis of the channels.", .flags = OPT_NULLABLE),
    OPT_F64_ROW(batch_normalization, momentum, 0.99, 0.0, 1.0, "The momentum of moving averages."),
    OPT_F64_ROW(batch_normalization, epsilon, 1e-3, 0.0, 1e30, "What is added to the variance."),
    LAYER_AFFINE_ROWS(batch_normalization),
    OPT_DOC_ROW(batch_normalization, moving_mean_initializer, "First values of the moving mean.",
                .flags = OPT_NULLABLE),
    OPT_DOC_ROW(batch_normalization, moving_variance_initializer,
                "First values of the moving variance.", .flags = OPT_NULLABLE),
    OPT_BOOL_ROW(batch_normalization, synchronized, false, "Of Keras; there is one device."),
    OPT_BOOL_ROW(batch_normalization, renorm, false, "Not supported."),
    OPT_DOC_ROW(batch_normalization, renorm_clipping, "Not supported.", .flags = OPT_NULLABLE),
    OPT_F64_ROW(batch_normalization, renorm_momentum, 0.99, 0.0, 1.0, "Not supported."),
    OPT_END_ROW,
};

/* Where the variables stand; -1: there is none. */
struct places {
    int gamma, beta, mean, variance;
};

static struct places places_of(const struct layer *layer)
{
    const struct batch_normalization *o = layer->options;
    int n = (o->affine.scale ? 1 : 0) + (o->affine.center ? 1 : 0);
    return (struct places){o->affine.scale ? 0 : -1, o->affine.center ? n - 1 : -1, n, n + 1};
}

static int axis_of(const struct layer *layer)
{
    const struct batch_normalization *o = layer->options;
    int axis = layer->inputs[0].rank - 1;
    BUG_ON(layer_axis_read(o->axis, &layer->inputs[0], &axis, NULL) < 0);
    return axis;
}

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    const struct batch_normalization *o = layer->options;
    int axis;
    if (layer->inputs[0].rank < 1) {
        return err_set(err, ERR_SHAPE, "takes at least one axis beside the batch");
    }
    if (o->renorm) {
        return err_set_at(err, ERR_UNSUPPORTED, "renorm", "is not supported; leave it out");
    }
    int r = layer_axis_read(o->axis, &layer->inputs[0], &axis, err);
    if (r < 0) {
        return r;
    }
    layer->output = layer->inputs[0];
    int gamma, beta;
    struct layer_var var = {
        .shape = {.rank = 1, .d = {layer->output.d[axis]}}, .dtype = DTYPE_F32, .trainable = false};
    r = layer_affine_add(layer, &o->affine, &var.shape, &gamma, &beta, arena, err);
    var.name = "moving_mean";
    r = r < 0 ? r : layer_add_var(layer, &var, o->moving_mean_initializer, "Zeros", arena, err);
    var.name = "moving_variance";
    r = r < 0 ? r : layer_add_var(layer, &var, o->moving_variance_initializer, "Ones", arena, err);
    int64_t count = 0;
    if (r < 0 || shape_count(&layer->output, &count) < 0) {
        return r < 0 ? r : err_set(err, ERR_LIMIT, "the input has too many values");
    }
    layer->flops = 4.0 * (double)count;
    layer->needs_x = true;
    return 0;
}

static size_t cols_of(const struct layer *layer)
{
    return (size_t)layer->output.d[axis_of(layer)];
}

static size_t rows_of(const struct layer *layer, int64_t batch)
{
    int64_t count = 0;
    BUG_ON(shape_count(&layer->output, &count) < 0);
    return (size_t)(count * batch) / cols_of(layer);
}

/* With the channels last, and a relu behind. */
static bool takes(struct layer *layer, const struct kernel_act *act)
{
    if (act->kind != KERNEL_ACT_RELU || axis_of(layer) != layer->output.rank - 1) {
        return false;
    }
    layer->act = *act;
    layer->needs_y = true;
    return true;
}

static bool has_relu(const struct layer *layer)
{
    return layer->act.kind == KERNEL_ACT_RELU;
}

/* State: mean, variance and 1 / deviation of the batch, and the map of a relu behind. Scratch: with
 * the channels on another axis than the last, x and y or dy turned. */
static int prepare(struct layer *layer, const struct layer_setup *setup, struct err *err)
{
    (void)err;
    if (axis_of(layer) != layer->output.rank - 1) {
        layer->scratch_bytes = 2 * rows_of(layer, setup->rows) * cols_of(layer) * sizeof(float);
    }
    layer->state_bytes = setup->training ? 5 * cols_of(layer) * sizeof(float) : 0;
    return 0;
}

static float *data_of(const struct layer *layer, int v)
{
    return v < 0 ? NULL : layer->vars[v].data;
}

static float *grad_of(const struct layer *layer, int v)
{
    return v < 0 ? NULL : layer->vars[v].grad;
}

/* A layer that is not trainable uses its moving averages in training too. */
static bool uses_batch(const struct layer *layer, const struct layer_call *call)
{
    return call->training && layer->common.trainable;
}

static void forward_last(struct layer *layer, const struct layer_call *call)
{
    const struct batch_normalization *o = layer->options;
    struct places at = places_of(layer);
    size_t rows = rows_of(layer, call->rows), cols = cols_of(layer);
    if (!uses_batch(layer, call)) {
        call->backend->norm->forward_infer(
            rows, cols, (float)o->epsilon, call->x[0], data_of(layer, at.gamma),
            data_of(layer, at.beta), data_of(layer, at.mean), data_of(layer, at.variance), call->y);
        if (has_relu(layer)) {
            call->backend->act->forward(&layer->act, rows * cols, call->y, call->y);
        }
        return;
    }
    float *mean = call->state;
    if (has_relu(layer)) {
        call->backend->norm_relu->forward(
            rows, cols, (float)o->epsilon, call->x[0], data_of(layer, at.gamma),
            data_of(layer, at.beta), call->y, mean, mean + cols, mean + 2 * cols, mean + 3 * cols);
    } else {
        call->backend->norm->forward_train(rows, cols, (float)o->epsilon, call->x[0],
                                           data_of(layer, at.gamma), data_of(layer, at.beta),
                                           call->y, mean, mean + cols, mean + 2 * cols);
    }
    call->backend->vec->lerp(cols, (float)o->momentum, mean, data_of(layer, at.mean));
    call->backend->vec->lerp(cols, (float)o->momentum, mean + cols, data_of(layer, at.variance));
}

static void backward_last(struct layer *layer, const struct layer_call *call)
{
    const struct batch_normalization *o = layer->options;
    struct places at = places_of(layer);
    size_t rows = rows_of(layer, call->rows), cols = cols_of(layer);
    if (!uses_batch(layer, call)) {
        if (has_relu(layer)) {
            call->backend->act->backward(&layer->act, rows * cols, NULL, call->y, call->dy,
                                         call->dy);
        }
        call->backend->norm->backward_infer(rows, cols, (float)o->epsilon, call->x[0],
                                            data_of(layer, at.gamma), data_of(layer, at.mean),
                                            data_of(layer, at.variance), call->dy, call->dx[0],
                                            grad_of(layer, at.gamma), grad_of(layer, at.beta));
        return;
    }
    const float *mean = call->state;
    float *dx = call->dx[0] ? call->dx[0] : call->dy;
    if (has_relu(layer)) {
        call->backend->norm_relu->backward(rows, cols, call->x[0], data_of(layer, at.gamma), mean,
                                           mean + 2 * cols, mean + 3 * cols, call->y, call->dy, dx,
                                           grad_of(layer, at.gamma), grad_of(layer, at.beta));
        return;
    }
    call->backend->norm->backward_train(rows, cols, call->x[0], data_of(layer, at.gamma), mean,
                                        mean + 2 * cols, call->dy, dx, grad_of(layer, at.gamma),
                                        grad_of(layer, at.beta));
}

static void forward(struct layer *layer, const struct layer_call *call)
{
    int axis = axis_of(layer);
    if (axis == layer->output.rank - 1) {
        forward_last(layer, call);
        return;
    }
    float *x = call->scratch, *y = x + rows_of(layer, call->rows) * cols_of(layer);
    struct layer_call turned = *call;
    const void *in[] = {x};
    turned.x = in;
    turned.y = y;
    layer_axis_to_last(&layer->output, axis, call->rows, call->x[0], x);
    forward_last(layer, &turned);
    layer_axis_from_last(&layer->output, axis, call->rows, y, call->y);
}

static void backward(struct layer *layer, const struct layer_call *call)
{
    int axis = axis_of(layer);
    if (axis == layer->output.rank - 1) {
        backward_last(layer, call);
        return;
    }
    float *x = call->scratch, *dy = x + rows_of(layer, call->rows) * cols_of(layer);
    struct layer_call turned = *call;
    const void *in[] = {x};
    float *const out[] = {dy};
    turned.x = in;
    turned.dy = dy;
    turned.dx = out;
    layer_axis_to_last(&layer->output, axis, call->rows, call->x[0], x);
    layer_axis_to_last(&layer->output, axis, call->rows, call->dy, dy);
    backward_last(layer, &turned);
    if (call->dx[0]) {
        layer_axis_from_last(&layer->output, axis, call->rows, dy, call->dx[0]);
    }
}

const struct layer_desc layer_batch_normalization = {
    .name = "BatchNormalization",
    .summary = "Each channel to mean 0 and variance 1, of the batch or of moving averages.",
    .options = options,
    .size = sizeof(struct batch_normalization),
    .infer = infer,
    .prepare = prepare,
    .takes = takes,
    .forward = forward,
    .backward = backward,
};
