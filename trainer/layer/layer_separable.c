#include "trainer/layer/layer_separable.h"

#include <stdio.h>

enum { DEPTHWISE, POINTWISE, BIAS };

struct pair {
    struct kernel_conv *depthwise, *pointwise;
    size_t between; /* values of a sample between the two */
};

static int fill_descs(const struct layer *layer, struct kernel_conv_desc *depthwise,
                      struct kernel_conv_desc *pointwise, struct err *err)
{
    const struct layer_separable *o = layer->options;
    const int64_t channels = layer->inputs[0].d[layer->inputs[0].rank - 1];
    if (channels * o->depth_multiplier > 1 << 24) {
        return err_set_at(err, ERR_LIMIT, "depth_multiplier", "makes too many channels");
    }
    *depthwise = (struct kernel_conv_desc){.k = (int)(channels * o->depth_multiplier),
                                           .groups = (int)channels};
    int r = layer_conv_desc(layer, &o->window, depthwise, err);
    depthwise->act = (struct kernel_act){0};
    *pointwise = (struct kernel_conv_desc){.n = 1,
                                           .h = depthwise->out_h,
                                           .w = depthwise->out_w,
                                           .c = depthwise->k,
                                           .k = (int)o->filters,
                                           .r = 1,
                                           .s = 1,
                                           .stride_h = 1,
                                           .stride_w = 1,
                                           .dilation_h = 1,
                                           .dilation_w = 1,
                                           .groups = 1,
                                           .has_bias = o->weights.use_bias,
                                           .act = layer->act};
    return r < 0 ? r : kernel_conv_shape(pointwise, KERNEL_PAD_VALID, err);
}

static int add_vars(struct layer *layer, const struct kernel_conv_desc *depthwise,
                    struct arena *arena, struct err *err)
{
    const struct layer_separable *o = layer->options;
    const int axes = (int)o->window.kernel_size.n;
    struct layer_var var = {.name = "depthwise_kernel",
                            .option = "depthwise_initializer",
                            .dtype = DTYPE_F32,
                            .trainable = true,
                            .shape = {.rank = axes + 2}};
    for (int i = 0; i < axes; i++) {
        var.shape.d[i] = o->window.kernel_size.v[i];
    }
    var.shape.d[axes] = depthwise->c;
    var.shape.d[axes + 1] = o->depth_multiplier;
    int r = layer_add_var(layer, &var, o->weights.initializer, "GlorotUniform", arena, err);
    for (int i = 0; i < axes; i++) {
        var.shape.d[i] = 1;
    }
    var.name = "pointwise_kernel";
    var.option = "pointwise_initializer";
    var.shape.d[axes] = depthwise->k;
    var.shape.d[axes + 1] = o->filters;
    r = r < 0 ? r
              : layer_add_var(layer, &var, o->pointwise_initializer, "GlorotUniform", arena, err);
    const struct layer_var bias = {.name = "bias",
                                   .shape = {.rank = 1, .d = {o->filters}},
                                   .dtype = DTYPE_F32,
                                   .trainable = true};
    return r == 0 && o->weights.use_bias
               ? layer_add_var(layer, &bias, o->weights.bias_initializer, "Zeros", arena, err)
               : r;
}

int layer_separable_infer(struct layer *layer, struct arena *arena, struct err *err)
{
    const struct layer_separable *o = layer->options;
    struct kernel_conv_desc depthwise, pointwise;
    int r = layer_weights_read(layer, &o->weights, "depthwise", err);
    r = r < 0 ? r : layer_refuse(o->pointwise_regularizer, "pointwise_regularizer", err);
    r = r < 0 ? r : layer_refuse(o->pointwise_constraint, "pointwise_constraint", err);
    r = r < 0 ? r : layer_conv_check(layer, &o->window, err);
    r = r < 0 ? r : fill_descs(layer, &depthwise, &pointwise, err);
    if (r < 0) {
        return r;
    }
    layer->output =
        o->window.kernel_size.n == 1
            ? (struct shape){.rank = 2, .d = {pointwise.out_w, pointwise.k}}
            : (struct shape){.rank = 3, .d = {pointwise.out_h, pointwise.out_w, pointwise.k}};
    layer->flops = kernel_conv_flops(&depthwise) + kernel_conv_flops(&pointwise);
    layer->needs_x = true;
    return add_vars(layer, &depthwise, arena, err);
}

static int create(const struct layer_setup *setup, struct kernel_conv_desc *desc, bool needs_dx,
                  struct kernel_conv **ret, struct err *err)
{
    desc->n = (int)setup->rows;
    desc->training = setup->training;
    desc->needs_dx = needs_dx;
    return setup->backend->conv->create(desc, setup->arena, ret, err);
}

static size_t align(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

static size_t max(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* State: what lies between the two. Scratch: of the kernels, and the gradient between. */
int layer_separable_prepare(struct layer *layer, const struct layer_setup *setup, struct err *err)
{
    struct kernel_conv_desc depthwise, pointwise;
    struct pair *pair = ARENA_NEW(setup->arena, struct pair);
    int r = fill_descs(layer, &depthwise, &pointwise, err);
    layer->kernel = pair;
    *pair = (struct pair){.between = (size_t)depthwise.out_h * (size_t)depthwise.out_w *
                                     (size_t)depthwise.k};
    r = r < 0 ? r : create(setup, &depthwise, setup->needs_dx, &pair->depthwise, err);
    r = r < 0 ? r : create(setup, &pointwise, true, &pair->pointwise, err);
    if (r < 0) {
        return r;
    }
    char *impl = arena_alloc(setup->arena, 128);
    (void)snprintf(impl, 128, "%s + %s", pair->depthwise->impl, pair->pointwise->impl);
    layer->impl = impl;
    layer->state_bytes = pair->between * (size_t)setup->rows * sizeof(float);
    layer->scratch_bytes =
        align(max(pair->depthwise->scratch_bytes, pair->pointwise->scratch_bytes)) +
        (setup->training ? layer->state_bytes : 0);
    return 0;
}

static float *var_of(const struct layer *layer, int v)
{
    return v < layer->n_vars ? layer->vars[v].data : NULL;
}

static float *grad_of(const struct layer *layer, int v)
{
    return v < layer->n_vars ? layer->vars[v].grad : NULL;
}

void layer_separable_forward(struct layer *layer, const struct layer_call *call)
{
    const struct pair *pair = layer->kernel;
    kernel_conv_forward(pair->depthwise, (int)call->rows, call->x[0], var_of(layer, DEPTHWISE),
                        NULL, call->state, call->scratch);
    kernel_conv_forward(pair->pointwise, (int)call->rows, call->state, var_of(layer, POINTWISE),
                        var_of(layer, BIAS), call->y, call->scratch);
}

void layer_separable_backward(struct layer *layer, const struct layer_call *call)
{
    const struct pair *pair = layer->kernel;
    float *between = (float *)((char *)call->scratch + align(max(pair->depthwise->scratch_bytes,
                                                                 pair->pointwise->scratch_bytes)));
    kernel_conv_backward(pair->pointwise, (int)call->rows, call->state, var_of(layer, POINTWISE),
                         call->y, call->dy, between, grad_of(layer, POINTWISE),
                         grad_of(layer, BIAS), call->scratch);
    kernel_conv_backward(pair->depthwise, (int)call->rows, call->x[0], var_of(layer, DEPTHWISE),
                         NULL, between, call->dx[0], grad_of(layer, DEPTHWISE), NULL,
                         call->scratch);
}

void layer_separable_destroy(struct layer *layer)
{
    struct pair *pair = layer->kernel;
    kernel_conv_destroy(pair->depthwise);
    kernel_conv_destroy(pair->pointwise);
}
