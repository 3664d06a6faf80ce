#include <string.h>

#include "trainer/layer/layer_conv.h"

/* A volume is a row of images: each image of the output is the sum of 2-d convolutions of the
 * images that the window sees, with a part of the kernel each. */
struct volume {
    struct kernel_conv *conv; /* of one image */
    int depth, out_depth, window, stride, dilation, before;
    size_t in, out,
        weights; /* values of an image of the input, of the output; of a part of the kernel */
};

static const struct opt options[] = {
    LAYER_CONVOLUTION_ROWS(3, "[1,1,1]", layer_conv_paddings),
    OPT_END_ROW,
};

static int fill_image(const struct layer *layer, struct kernel_conv_desc *desc, struct err *err)
{
    const struct layer_convolution *o = layer->options;
    const struct shape *in = &layer->inputs[0];
    *desc = (struct kernel_conv_desc){.n = 1,
                                      .k = (int)o->filters,
                                      .groups = (int)o->groups,
                                      .r = (int)o->window.kernel_size.v[1],
                                      .s = (int)o->window.kernel_size.v[2],
                                      .stride_h = (int)o->window.strides.v[1],
                                      .stride_w = (int)o->window.strides.v[2],
                                      .dilation_h = (int)o->window.dilation_rate.v[1],
                                      .dilation_w = (int)o->window.dilation_rate.v[2]};
    int r = layer_int(in->d[1], "input", &desc->h, err);
    r = r < 0 ? r : layer_int(in->d[2], "input", &desc->w, err);
    r = r < 0 ? r : layer_int(in->d[3], "input", &desc->c, err);
    return r < 0 ? r : kernel_conv_shape(desc, (enum kernel_pad)o->window.padding, err);
}

static int fill_depth(const struct layer *layer, struct volume *volume, struct err *err)
{
    const struct layer_convolution *o = layer->options;
    volume->window = (int)o->window.kernel_size.v[0];
    volume->stride = (int)o->window.strides.v[0];
    volume->dilation = (int)o->window.dilation_rate.v[0];
    int r = layer_int(layer->inputs[0].d[0], "input", &volume->depth, err);
    return r < 0 ? r
                 : kernel_conv_axis(volume->depth, volume->window, volume->stride, volume->dilation,
                                    (enum kernel_pad)o->window.padding, &volume->out_depth,
                                    &volume->before, err);
}

static int check_groups(const struct layer *layer, struct err *err)
{
    const struct layer_convolution *o = layer->options;
    const int64_t channels = layer->inputs[0].d[3];
    if (channels % o->groups != 0 || o->filters % o->groups != 0) {
        return err_set_at(err, ERR_SHAPE, "groups",
                          "%d channels and %d filters do not divide into %d groups", (int)channels,
                          (int)o->filters, (int)o->groups);
    }
    return 0;
}

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    const struct layer_convolution *o = layer->options;
    struct volume *volume = ARENA_NEW(arena, struct volume);
    struct kernel_conv_desc desc;
    int r = layer_weights_read(layer, &o->weights, "kernel", err);
    layer_weights_unfuse(layer);
    r = r < 0 ? r : layer_conv_check(layer, &o->window, err);
    r = r < 0 ? r : check_groups(layer, err);
    r = r < 0 ? r : fill_image(layer, &desc, err);
    r = r < 0 ? r : fill_depth(layer, volume, err);
    if (r < 0) {
        return r;
    }
    volume->in = (size_t)desc.h * (size_t)desc.w * (size_t)desc.c;
    volume->out = (size_t)desc.out_h * (size_t)desc.out_w * (size_t)desc.k;
    volume->weights =
        (size_t)desc.r * (size_t)desc.s * (size_t)(desc.c / desc.groups) * (size_t)desc.k;
    layer->kernel = volume;
    layer->output =
        (struct shape){.rank = 4, .d = {volume->out_depth, desc.out_h, desc.out_w, desc.k}};
    layer->flops = kernel_conv_flops(&desc) * volume->out_depth * volume->window;
    layer->needs_x = true;
    const struct shape kernel = {
        .rank = 5, .d = {volume->window, desc.r, desc.s, desc.c / desc.groups, desc.k}};
    return layer_weights_add(layer, &o->weights, &kernel, NULL, arena, err);
}

static size_t align(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

/* Scratch: the kernel's, then an image of the larger side, then a part of the kernel. */
static int prepare(struct layer *layer, const struct layer_setup *setup, struct err *err)
{
    struct volume *volume = layer->kernel;
    struct kernel_conv_desc desc;
    int r = fill_image(layer, &desc, err);
    desc.training = setup->training;
    desc.needs_dx = setup->needs_dx;
    r = r < 0 ? r : setup->backend->conv->create(&desc, setup->arena, &volume->conv, err);
    if (r < 0) {
        return r;
    }
    size_t image = volume->in > volume->out ? volume->in : volume->out;
    layer->impl = volume->conv->impl;
    layer->scratch_bytes = align(volume->conv->scratch_bytes) + align(image * sizeof(float)) +
                           volume->weights * sizeof(float);
    return 0;
}

/* The image of the input that part k of the window sees for image d of the output; -1: none. */
static int seen(const struct volume *volume, int d, int k)
{
    int at = d * volume->stride - volume->before + k * volume->dilation;
    return at >= 0 && at < volume->depth ? at : -1;
}

static float *image_of(const struct volume *volume, const struct layer_call *call)
{
    return (float *)((char *)call->scratch + align(volume->conv->scratch_bytes));
}

static void forward_image(const struct layer *layer, const struct layer_call *call, const float *x,
                          int d, float *y)
{
    const struct volume *volume = layer->kernel;
    const float *w = layer->vars[0].data;
    float *sum = image_of(volume, call);
    call->backend->vec->fill(volume->out, 0.0F, y);
    for (int k = 0; k < volume->window; k++) {
        int at = seen(volume, d, k);
        if (at >= 0) {
            kernel_conv_forward(volume->conv, 1, x + (size_t)at * volume->in,
                                w + (size_t)k * volume->weights, NULL, sum, call->scratch);
            call->backend->vec->add(volume->out, y, sum, y);
        }
    }
}

static void forward(struct layer *layer, const struct layer_call *call)
{
    const struct volume *volume = layer->kernel;
    const float *bias = layer_weights_bias(layer);
    size_t channels = (size_t)layer->output.d[3],
           images = (size_t)call->rows * (size_t)volume->out_depth;
    for (size_t i = 0; i < images; i++) {
        const float *x = (const float *)call->x[0] +
                         i / (size_t)volume->out_depth * (size_t)volume->depth * volume->in;
        forward_image(layer, call, x, (int)(i % (size_t)volume->out_depth),
                      call->y + i * volume->out);
    }
    if (bias) {
        call->backend->vec->row_add(images * volume->out / channels, channels, call->y, bias,
                                    call->y);
    }
}

static void backward_image(const struct layer *layer, const struct layer_call *call, const float *x,
                           int d, float *dy, float *dx)
{
    const struct volume *volume = layer->kernel;
    const float *w = layer->vars[0].data;
    float *dw = layer->vars[0].grad, *image = image_of(volume, call);
    float *part =
        (float *)((char *)image +
                  align((volume->in > volume->out ? volume->in : volume->out) * sizeof(float)));
    for (int k = 0; k < volume->window; k++) {
        int at = seen(volume, d, k);
        if (at < 0) {
            continue;
        }
        size_t to = (size_t)k * volume->weights, from = (size_t)at * volume->in;
        kernel_conv_backward(volume->conv, 1, x + from, w + to, NULL, dy, dx ? image : NULL,
                             dw ? part : NULL, NULL, call->scratch);
        if (dx) {
            call->backend->vec->add(volume->in, dx + from, image, dx + from);
        }
        if (dw) {
            call->backend->vec->add(volume->weights, dw + to, part, dw + to);
        }
    }
}

static void backward(struct layer *layer, const struct layer_call *call)
{
    const struct volume *volume = layer->kernel;
    float *dbias = layer_weights_bias_grad(layer);
    size_t channels = (size_t)layer->output.d[3],
           images = (size_t)call->rows * (size_t)volume->out_depth;
    size_t of_sample = (size_t)volume->depth * volume->in;
    if (dbias) {
        call->backend->vec->col_sum(images * volume->out / channels, channels, call->dy, dbias);
    }
    if (layer->vars[0].grad) {
        call->backend->vec->fill(layer->vars[0].count, 0.0F, layer->vars[0].grad);
    }
    if (call->dx[0]) {
        call->backend->vec->fill((size_t)call->rows * of_sample, 0.0F, call->dx[0]);
    }
    for (size_t i = 0; i < images; i++) {
        size_t sample = i / (size_t)volume->out_depth * of_sample;
        backward_image(layer, call, (const float *)call->x[0] + sample,
                       (int)(i % (size_t)volume->out_depth), call->dy + i * volume->out,
                       call->dx[0] ? call->dx[0] + sample : NULL);
    }
}

static void destroy(struct layer *layer)
{
    struct volume *volume = layer->kernel;
    kernel_conv_destroy(volume->conv);
}

const struct layer_desc layer_conv3d = {
    .name = "Conv3D",
    .aliases = "Convolution3D",
    .summary = "Convolution of a volume with windows of weights.",
    .options = options,
    .size = sizeof(struct layer_convolution),
    .infer = infer,
    .prepare = prepare,
    .forward = forward,
    .backward = backward,
    .destroy = destroy,
};
