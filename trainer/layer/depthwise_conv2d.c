#include "trainer/layer/layer.h"

struct depthwise_conv2d {
    LAYER_FIELDS
    int64_t depth_multiplier;
    struct opt_ints kernel_size, strides, dilation_rate;
    int padding, data_format;
    bool use_bias;
    const struct doc *activation, *depthwise_initializer, *bias_initializer;
    const struct doc *depthwise_regularizer, *bias_regularizer, *activity_regularizer;
    const struct doc *depthwise_constraint, *bias_constraint;
};

static const struct opt_name paddings[] = {
    {"valid", KERNEL_PAD_VALID}, {"same", KERNEL_PAD_SAME}, {NULL, 0}};

static const struct opt options[] = {
    LAYER_ROWS(depthwise_conv2d),
    OPT_INTS_ROW(depthwise_conv2d, kernel_size, NULL, 2, 2, 1, 1 << 16,
                 "Height and width of the window.", .flags = OPT_REQUIRED),
    OPT_INTS_ROW(depthwise_conv2d, strides, "[1,1]", 2, 2, 1, 1 << 16, "Steps of the window."),
    OPT_ENUM_ROW(depthwise_conv2d, padding, KERNEL_PAD_VALID, paddings,
                 "Whether the border is padded."),
    LAYER_FORMAT_ROW(depthwise_conv2d),
    OPT_INTS_ROW(depthwise_conv2d, dilation_rate, "[1,1]", 2, 2, 1, 1 << 16,
                 "Distance of the window's cells."),
    OPT_I64_ROW(depthwise_conv2d, depth_multiplier, 1, 1, 1 << 16,
                "Channels of the output for each of the input."),
    OPT_DOC_ROW(depthwise_conv2d, activation, "The activation behind it.", .flags = OPT_NULLABLE),
    OPT_BOOL_ROW(depthwise_conv2d, use_bias, true, "Whether a bias is added."),
    OPT_DOC_ROW(depthwise_conv2d, depthwise_initializer, "First values of the kernel.",
                .flags = OPT_NULLABLE),
    OPT_DOC_ROW(depthwise_conv2d, bias_initializer, "First values of the bias.",
                .flags = OPT_NULLABLE),
    OPT_DOC_ROW(depthwise_conv2d, depthwise_regularizer, "Not supported yet.",
                .flags = OPT_NULLABLE),
    OPT_DOC_ROW(depthwise_conv2d, bias_regularizer, "Not supported yet.", .flags = OPT_NULLABLE),
    OPT_DOC_ROW(depthwise_conv2d, activity_regularizer, "Not supported yet.",
                .flags = OPT_NULLABLE),
    OPT_DOC_ROW(depthwise_conv2d, depthwise_constraint, "Not supported yet.",
                .flags = OPT_NULLABLE),
    OPT_DOC_ROW(depthwise_conv2d, bias_constraint, "Not supported yet.", .flags = OPT_NULLABLE),
    OPT_END_ROW,
};

static int refuse(const struct depthwise_conv2d *o, struct err *err)
{
    int r = layer_refuse(o->depthwise_regularizer, "depthwise_regularizer", err);
    r = r < 0 ? r : layer_refuse(o->bias_regularizer, "bias_regularizer", err);
    r = r < 0 ? r : layer_refuse(o->activity_regularizer, "activity_regularizer", err);
    r = r < 0 ? r : layer_refuse(o->depthwise_constraint, "depthwise_constraint", err);
    r = r < 0 ? r : layer_refuse(o->bias_constraint, "bias_constraint", err);
    bool strided = o->strides.v[0] > 1 || o->strides.v[1] > 1;
    bool dilated = o->dilation_rate.v[0] > 1 || o->dilation_rate.v[1] > 1;
    if (r == 0 && strided && dilated) {
        return err_set_at(err, ERR_INVALID, "dilation_rate",
                          "strides and dilation together are not defined");
    }
    return r;
}

static int fill_desc(const struct layer *layer, struct kernel_conv_desc *desc, struct err *err)
{
    const struct depthwise_conv2d *o = layer->options;
    const struct shape *in = &layer->inputs[0];
    if (in->d[2] * o->depth_multiplier > 1 << 24) {
        return err_set_at(err, ERR_LIMIT, "depth_multiplier", "makes too many channels");
    }
    /* A convolution with a group for each channel: its kernel (r, s, 1, c * m) has the bytes of
     * Keras's (r, s, c, m). */
    *desc = (struct kernel_conv_desc){
        .n = 1,
        .k = (int)(in->d[2] * o->depth_multiplier),
        .r = (int)o->kernel_size.v[0],
        .s = (int)o->kernel_size.v[1],
        .stride_h = (int)o->strides.v[0],
        .stride_w = (int)o->strides.v[1],
        .dilation_h = (int)o->dilation_rate.v[0],
        .dilation_w = (int)o->dilation_rate.v[1],
        .groups = (int)in->d[2],
        .has_bias = o->use_bias,
        .act = layer->act,
    };
    int r = layer_int(in->d[0], "input", &desc->h, err);
    r = r < 0 ? r : layer_int(in->d[1], "input", &desc->w, err);
    r = r < 0 ? r : layer_int(in->d[2], "input", &desc->c, err);
    return r < 0 ? r : kernel_conv_shape(desc, (enum kernel_pad)o->padding, err);
}

static int add_vars(struct layer *layer, const struct kernel_conv_desc *desc, struct arena *arena,
                    struct err *err)
{
    const struct depthwise_conv2d *o = layer->options;
    struct layer_var kernel = {
        .name = "kernel",
        .shape = {.rank = 4, .d = {desc->r, desc->s, desc->c, desc->k / desc->c}},
        .dtype = DTYPE_F32,
        .trainable = true,
    };
    struct layer_var bias = {.name = "bias",
                             .shape = {.rank = 1, .d = {desc->k}},
                             .dtype = DTYPE_F32,
                             .trainable = true};
    int r = layer_add_var(layer, &kernel, o->depthwise_initializer, "GlorotUniform", arena, err);
    if (r == 0 && o->use_bias) {
        r = layer_add_var(layer, &bias, o->bias_initializer, "Zeros", arena, err);
    }
    return r;
}

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    const struct depthwise_conv2d *o = layer->options;
    struct kernel_conv_desc desc;
    int r = refuse(o, err);
    r = r < 0 ? r : layer_want_rank(layer, 3, err);
    r = r < 0 ? r : layer_take_activation(layer, o->activation, err);
    r = r < 0 ? r : fill_desc(layer, &desc, err);
    if (r < 0) {
        return r;
    }
    layer->output = (struct shape){.rank = 3, .d = {desc.out_h, desc.out_w, desc.k}};
    layer->flops = kernel_conv_flops(&desc);
    layer->needs_x = true;
    return add_vars(layer, &desc, arena, err);
}

static int prepare(struct layer *layer, const struct layer_setup *setup, struct err *err)
{
    struct kernel_conv_desc desc;
    struct kernel_conv *conv;
    int r = fill_desc(layer, &desc, err);
    if (r < 0) {
        return r;
    }
    desc.n = (int)setup->rows;
    desc.training = setup->training;
    desc.needs_dx = setup->needs_dx;
    r = setup->backend->conv->create(&desc, setup->arena, &conv, err);
    if (r < 0) {
        return r;
    }
    layer->kernel = conv;
    layer->scratch_bytes = conv->scratch_bytes;
    layer->impl = conv->impl;
    return 0;
}

static const float *bias_of(const struct layer *layer)
{
    return layer->n_vars > 1 ? layer->vars[1].data : NULL;
}

static void forward(struct layer *layer, const struct layer_call *call)
{
    kernel_conv_forward(layer->kernel, (int)call->rows, call->x[0], layer->vars[0].data,
                        bias_of(layer), call->y, call->scratch);
}

static void backward(struct layer *layer, const struct layer_call *call)
{
    kernel_conv_backward(layer->kernel, (int)call->rows, call->x[0], layer->vars[0].data, call->y,
                         call->dy, call->dx[0], layer->vars[0].grad,
                         layer->n_vars > 1 ? layer->vars[1].grad : NULL, call->scratch);
}

static void destroy(struct layer *layer)
{
    kernel_conv_destroy(layer->kernel);
}

const struct layer_desc layer_depthwise_conv2d = {
    .name = "DepthwiseConv2D",
    .aliases = "DepthwiseConvolution2D",
    .summary = "Convolution of each channel with windows of its own.",
    .options = options,
    .size = sizeof(struct depthwise_conv2d),
    .infer = infer,
    .prepare = prepare,
    .forward = forward,
    .backward = backward,
    .destroy = destroy,
};
