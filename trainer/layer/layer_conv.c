#include "trainer/layer/layer_conv.h"

#include "trainer/layer/layer_weights.h"

const struct opt_name layer_conv_paddings[] = {
    {"valid", KERNEL_PAD_VALID}, {"same", KERNEL_PAD_SAME}, {NULL, 0}};

int layer_conv_check(const struct layer *layer, const struct layer_conv *window, struct err *err)
{
    const bool strided = window->strides.v[0] > 1 || window->strides.v[1] > 1;
    const bool dilated = window->dilation_rate.v[0] > 1 || window->dilation_rate.v[1] > 1;
    if (strided && dilated) {
        return err_set_at(err, ERR_INVALID, "dilation_rate",
                          "strides and dilation together are not defined");
    }
    return layer_want_rank(layer, 3, err);
}

int layer_conv_desc(const struct layer *layer, const struct layer_conv *window,
                    struct kernel_conv_desc *desc, struct err *err)
{
    const struct shape *in = &layer->inputs[0];
    desc->n = 1;
    desc->r = (int)window->kernel_size.v[0];
    desc->s = (int)window->kernel_size.v[1];
    desc->stride_h = (int)window->strides.v[0];
    desc->stride_w = (int)window->strides.v[1];
    desc->dilation_h = (int)window->dilation_rate.v[0];
    desc->dilation_w = (int)window->dilation_rate.v[1];
    desc->act = layer->act;
    int r = layer_int(in->d[0], "input", &desc->h, err);
    r = r < 0 ? r : layer_int(in->d[1], "input", &desc->w, err);
    r = r < 0 ? r : layer_int(in->d[2], "input", &desc->c, err);
    return r < 0 ? r : kernel_conv_shape(desc, (enum kernel_pad)window->padding, err);
}

void layer_conv_infer(struct layer *layer, const struct kernel_conv_desc *desc)
{
    layer->output = (struct shape){.rank = 3, .d = {desc->out_h, desc->out_w, desc->k}};
    layer->flops = kernel_conv_flops(desc);
    layer->needs_x = true;
}

int layer_conv_prepare(struct layer *layer, const struct layer_setup *setup,
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
