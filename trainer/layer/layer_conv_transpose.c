#include "trainer/layer/layer_conv_transpose.h"

#include <inttypes.h>
#include <string.h>

/* One axis of the convolution whose gradient this is: from `out` cells to `in`. */
struct axis {
    int in, out, window, stride, dilation, before;
};

/* The output's size as Keras has it; -1: no output_padding. */
static int64_t size_of(const struct axis *axis, bool is_same, int64_t output_padding)
{
    int64_t reach = (int64_t)(axis->window - 1) * axis->dilation + 1;
    if (output_padding < 0) {
        int64_t more = !is_same && reach > axis->stride ? reach - axis->stride : 0;
        return (int64_t)axis->in * axis->stride + more;
    }
    int64_t cut = is_same ? reach / 2 : 0;
    return (int64_t)(axis->in - 1) * axis->stride + reach - 2 * cut + output_padding;
}

static int fill_axis(const struct layer *layer, int i, struct axis *axis, struct err *err)
{
    const struct layer_conv_transpose *o = layer->options;
    const bool is_same = o->window.padding == KERNEL_PAD_SAME;
    *axis = (struct axis){.window = (int)o->window.kernel_size.v[i],
                          .stride = (int)o->window.strides.v[i],
                          .dilation = (int)o->window.dilation_rate.v[i]};
    int64_t more = o->output_padding.n ? o->output_padding.v[i] : -1;
    if (more >= axis->stride) {
        return err_set_at(err, ERR_RANGE, "output_padding",
                          "%" PRId64 " must be below the stride, %d", more, axis->stride);
    }
    int r = layer_int(layer->inputs[0].d[i], "input", &axis->in, err);
    int64_t out = r < 0 ? 0 : size_of(axis, is_same, more);
    if (r == 0 && out < 1) {
        return err_set(err, ERR_SHAPE, "the output has no cells");
    }
    r = r < 0 ? r : layer_int(out, "strides", &axis->out, err);
    int64_t total = (int64_t)(axis->in - 1) * axis->stride +
                    (int64_t)(axis->window - 1) * axis->dilation + 1 - axis->out;
    axis->before = is_same && total > 0 ? (int)(total / 2) : 0;
    return r;
}

static int fill_desc(const struct layer *layer, struct kernel_conv_desc *desc, struct err *err)
{
    const struct layer_conv_transpose *o = layer->options;
    const int axes = (int)o->window.kernel_size.n;
    struct axis h = {1, 1, 1, 1, 1, 0}, w;
    int r = axes == 2 ? fill_axis(layer, 0, &h, err) : 0;
    r = r < 0 ? r : fill_axis(layer, axes - 1, &w, err);
    if (r < 0) {
        return r;
    }
    *desc = (struct kernel_conv_desc){.n = 1,
                                      .h = h.out,
                                      .w = w.out,
                                      .c = (int)o->filters,
                                      .r = h.window,
                                      .s = w.window,
                                      .stride_h = h.stride,
                                      .stride_w = w.stride,
                                      .dilation_h = h.dilation,
                                      .dilation_w = w.dilation,
                                      .groups = 1,
                                      .pad_top = h.before,
                                      .pad_left = w.before,
                                      .out_h = h.in,
                                      .out_w = w.in};
    r = layer_int(layer->inputs[0].d[axes], "input", &desc->k, err);
    return r < 0 ? r : kernel_conv_check(desc, err);
}

int layer_conv_transpose_infer(struct layer *layer, struct arena *arena, struct err *err)
{
    const struct layer_conv_transpose *o = layer->options;
    struct kernel_conv_desc desc;
    int r = layer_weights_read(layer, &o->weights, "kernel", err);
    layer_weights_unfuse(layer);
    r = r < 0 ? r : layer_conv_check(layer, &o->window, err);
    r = r < 0 ? r : fill_desc(layer, &desc, err);
    if (r < 0) {
        return r;
    }
    const int axes = (int)o->window.kernel_size.n;
    layer->output = axes == 1 ? (struct shape){.rank = 2, .d = {desc.w, desc.c}}
                              : (struct shape){.rank = 3, .d = {desc.h, desc.w, desc.c}};
    layer->flops = kernel_conv_flops(&desc);
    layer->needs_x = true;
    struct shape kernel = {.rank = axes + 2};
    for (int i = 0; i < axes; i++) {
        kernel.d[i] = o->window.kernel_size.v[i];
    }
    kernel.d[axes] = desc.c;
    kernel.d[axes + 1] = desc.k;
    return layer_weights_add(layer, &o->weights, &kernel, NULL, arena, err);
}

/* Up to 64 floats are left between the kernel's scratch and the copy of x: alignment. */
static size_t copy_at(const struct kernel_conv *conv)
{
    return (conv->scratch_bytes + 63) / 64 * 64;
}

int layer_conv_transpose_prepare(struct layer *layer, const struct layer_setup *setup,
                                 struct err *err)
{
    struct kernel_conv_desc desc;
    struct kernel_conv *conv;
    int r = fill_desc(layer, &desc, err);
    if (r < 0) {
        return r;
    }
    desc.n = (int)setup->rows;
    desc.training = desc.needs_dx = true; /* forward is its gradient */
    r = setup->backend->conv->create(&desc, setup->arena, &conv, err);
    if (r < 0) {
        return r;
    }
    layer->kernel = conv;
    layer->scratch_bytes =
        copy_at(conv) + layer_count(&layer->inputs[0], setup->rows) * sizeof(float);
    layer->impl = conv->impl;
    return 0;
}

/* The kernel may write its dy. */
static float *copy_x(const struct layer *layer, const struct layer_call *call)
{
    float *copy = (float *)((char *)call->scratch + copy_at(layer->kernel));
    memcpy(copy, call->x[0], layer_count(&layer->inputs[0], call->rows) * sizeof(float));
    return copy;
}

void layer_conv_transpose_forward(struct layer *layer, const struct layer_call *call)
{
    const float *bias = layer_weights_bias(layer);
    size_t cols = (size_t)layer->output.d[layer->output.rank - 1];
    kernel_conv_backward(layer->kernel, (int)call->rows, NULL, layer->vars[0].data, NULL,
                         copy_x(layer, call), call->y, NULL, NULL, call->scratch);
    if (bias) {
        call->backend->vec->row_add(layer_count(&layer->output, call->rows) / cols, cols, call->y,
                                    bias, call->y);
    }
}

void layer_conv_transpose_backward(struct layer *layer, const struct layer_call *call)
{
    float *dbias = layer_weights_bias_grad(layer);
    size_t cols = (size_t)layer->output.d[layer->output.rank - 1];
    if (dbias) {
        call->backend->vec->col_sum(layer_count(&layer->output, call->rows) / cols, cols, call->dy,
                                    dbias);
    }
    if (layer->vars[0].grad) {
        kernel_conv_backward(layer->kernel, (int)call->rows, call->dy, layer->vars[0].data, NULL,
                             copy_x(layer, call), NULL, layer->vars[0].grad, NULL, call->scratch);
    }
    if (call->dx[0]) {
        kernel_conv_forward(layer->kernel, (int)call->rows, call->dy, layer->vars[0].data, NULL,
                            call->dx[0], call->scratch);
    }
}
