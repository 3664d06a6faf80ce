#include "trainer/layer/layer_conv.h"

const struct opt_name layer_conv_paddings[] = {
    {"valid", KERNEL_PAD_VALID}, {"same", KERNEL_PAD_SAME}, {NULL, 0}};
const struct opt_name layer_causal_paddings[] = {{"valid", KERNEL_PAD_VALID},
                                                 {"same", KERNEL_PAD_SAME},
                                                 {"causal", LAYER_PAD_CAUSAL},
                                                 {NULL, 0}};

static bool is_above_one(const struct opt_ints *ints)
{
    bool above = false;
    for (size_t i = 0; i < ints->n; i++) {
        above = above || ints->v[i] > 1;
    }
    return above;
}

int layer_conv_check(const struct layer *layer, const struct layer_conv *window, struct err *err)
{
    if (is_above_one(&window->strides) && is_above_one(&window->dilation_rate)) {
        return err_set_at(err, ERR_INVALID, "dilation_rate",
                          "strides and dilation together are not defined");
    }
    return layer_want_rank(layer, (int)window->kernel_size.n + 1, err);
}

/* With the padding before the sequence a window ends at its own place. */
static int shape_causal(struct kernel_conv_desc *desc, struct err *err)
{
    int64_t reach = (int64_t)(desc->s - 1) * desc->dilation_w;
    desc->out_h = 1;
    desc->pad_top = 0;
    desc->out_w = (desc->w - 1) / desc->stride_w + 1;
    int r = layer_int(reach, "dilation_rate", &desc->pad_left, err);
    return r < 0 ? r : kernel_conv_check(desc, err);
}

int layer_conv_desc(const struct layer *layer, const struct layer_conv *window,
                    struct kernel_conv_desc *desc, struct err *err)
{
    const struct shape *in = &layer->inputs[0];
    const int axes = (int)window->kernel_size.n, x = axes - 1;
    desc->n = 1;
    desc->r = axes == 1 ? 1 : (int)window->kernel_size.v[0];
    desc->s = (int)window->kernel_size.v[x];
    desc->stride_h = axes == 1 ? 1 : (int)window->strides.v[0];
    desc->stride_w = (int)window->strides.v[x];
    desc->dilation_h = axes == 1 ? 1 : (int)window->dilation_rate.v[0];
    desc->dilation_w = (int)window->dilation_rate.v[x];
    desc->act = layer->act;
    int r = layer_int(axes == 1 ? 1 : in->d[0], "input", &desc->h, err);
    r = r < 0 ? r : layer_int(in->d[x], "input", &desc->w, err);
    r = r < 0 ? r : layer_int(in->d[axes], "input", &desc->c, err);
    if (r == 0 && window->padding == LAYER_PAD_CAUSAL) {
        return shape_causal(desc, err);
    }
    return r < 0 ? r : kernel_conv_shape(desc, (enum kernel_pad)window->padding, err);
}

/* What infer says but for the variables. */
static void infer_output(struct layer *layer, const struct kernel_conv_desc *desc)
{
    layer->output = layer->inputs[0].rank == 2
                        ? (struct shape){.rank = 2, .d = {desc->out_w, desc->k}}
                        : (struct shape){.rank = 3, .d = {desc->out_h, desc->out_w, desc->k}};
    layer->flops = kernel_conv_flops(desc);
    layer->needs_x = true;
}

/* The window's sizes and two more axes. */
static struct shape kernel_shape(const struct layer_conv *window, int64_t in, int64_t out)
{
    struct shape shape = {.rank = (int)window->kernel_size.n + 2};
    for (size_t i = 0; i < window->kernel_size.n; i++) {
        shape.d[i] = window->kernel_size.v[i];
    }
    shape.d[shape.rank - 2] = in;
    shape.d[shape.rank - 1] = out;
    return shape;
}

static int prepare(struct layer *layer, const struct layer_setup *setup,
                   struct kernel_conv_desc *desc, struct err *err)
{
    struct kernel_conv *conv;
    desc->n = (int)setup->rows;
    desc->training = setup->training;
    desc->needs_dx = setup->needs_dx;
    int r = setup->backend->conv->create(desc, setup->arena, &conv, err);
    if (r < 0) {
        return r;
    }
    layer->kernel = conv;
    layer->scratch_bytes = conv->scratch_bytes;
    layer->impl = conv->impl;
    return 0;
}

static int fill_convolution(const struct layer *layer, struct kernel_conv_desc *desc,
                            struct err *err)
{
    const struct layer_convolution *o = layer->options;
    const int64_t channels = layer->inputs[0].d[layer->inputs[0].rank - 1];
    if (channels % o->groups != 0) {
        return err_set_at(err, ERR_SHAPE, "groups", "%d channels do not divide into %d groups",
                          (int)channels, (int)o->groups);
    }
    *desc = (struct kernel_conv_desc){
        .k = (int)o->filters, .groups = (int)o->groups, .has_bias = o->weights.use_bias};
    return layer_conv_desc(layer, &o->window, desc, err);
}

int layer_convolution_infer(struct layer *layer, struct arena *arena, struct err *err)
{
    const struct layer_convolution *o = layer->options;
    struct kernel_conv_desc desc;
    int r = layer_weights_read(layer, &o->weights, "kernel", err);
    if (r == 0 && o->filters % o->groups != 0) {
        return err_set_at(err, ERR_SHAPE, "groups", "%d filters do not divide into %d groups",
                          (int)o->filters, (int)o->groups);
    }
    r = r < 0 ? r : layer_conv_check(layer, &o->window, err);
    r = r < 0 ? r : fill_convolution(layer, &desc, err);
    if (r < 0) {
        return r;
    }
    infer_output(layer, &desc);
    const struct shape kernel = kernel_shape(&o->window, desc.c / desc.groups, desc.k);
    return layer_weights_add(layer, &o->weights, &kernel, NULL, arena, err);
}

int layer_convolution_prepare(struct layer *layer, const struct layer_setup *setup, struct err *err)
{
    struct kernel_conv_desc desc;
    int r = fill_convolution(layer, &desc, err);
    return r < 0 ? r : prepare(layer, setup, &desc, err);
}

/* A convolution with a group for each channel: its kernel (r, s, 1, c * m) has the bytes of Keras's
 * (r, s, c, m). */
static int fill_depthwise(const struct layer *layer, struct kernel_conv_desc *desc, struct err *err)
{
    const struct layer_depthwise *o = layer->options;
    const int64_t channels = layer->inputs[0].d[layer->inputs[0].rank - 1];
    if (channels * o->depth_multiplier > 1 << 24) {
        return err_set_at(err, ERR_LIMIT, "depth_multiplier", "makes too many channels");
    }
    *desc = (struct kernel_conv_desc){.k = (int)(channels * o->depth_multiplier),
                                      .groups = (int)channels,
                                      .has_bias = o->weights.use_bias};
    return layer_conv_desc(layer, &o->window, desc, err);
}

int layer_depthwise_infer(struct layer *layer, struct arena *arena, struct err *err)
{
    const struct layer_depthwise *o = layer->options;
    struct kernel_conv_desc desc;
    int r = layer_weights_read(layer, &o->weights, "depthwise", err);
    r = r < 0 ? r : layer_conv_check(layer, &o->window, err);
    r = r < 0 ? r : fill_depthwise(layer, &desc, err);
    if (r < 0) {
        return r;
    }
    infer_output(layer, &desc);
    const struct shape kernel = kernel_shape(&o->window, desc.c, desc.k / desc.c);
    return layer_weights_add(layer, &o->weights, &kernel, "depthwise_initializer", arena, err);
}

int layer_depthwise_prepare(struct layer *layer, const struct layer_setup *setup, struct err *err)
{
    struct kernel_conv_desc desc;
    int r = fill_depthwise(layer, &desc, err);
    return r < 0 ? r : prepare(layer, setup, &desc, err);
}

void layer_conv_forward(struct layer *layer, const struct layer_call *call)
{
    kernel_conv_forward(layer->kernel, (int)call->rows, call->x[0], layer->vars[0].data,
                        layer_weights_bias(layer), call->y, call->scratch);
}

void layer_conv_backward(struct layer *layer, const struct layer_call *call)
{
    kernel_conv_backward(layer->kernel, (int)call->rows, call->x[0], layer->vars[0].data, call->y,
                         call->dy, call->dx[0], layer->vars[0].grad, layer_weights_bias_grad(layer),
                         call->scratch);
}

void layer_conv_destroy(struct layer *layer)
{
    kernel_conv_destroy(layer->kernel);
}
