#include "trainer/layer/layer.h"

struct conv2d {
    LAYER_FIELDS
    int64_t filters, groups;
    struct opt_ints kernel_size, strides, dilation_rate;
    int padding, data_format;
    bool use_bias;
    const struct doc *activation, *kernel_initializer, *bias_initializer;
    const struct doc *kernel_regularizer, *bias_regularizer, *activity_regularizer;
    const struct doc *kernel_constraint, *bias_constraint;
};

static const struct opt_name paddings[] = {
    {"valid", KERNEL_PAD_VALID}, {"same", KERNEL_PAD_SAME}, {NULL, 0}};

static const struct opt options[] = {
    LAYER_ROWS(conv2d),
    OPT_I64_ROW(conv2d, filters, 1, 1, 1 << 24, "Channels of the output.", .flags = OPT_REQUIRED),
    OPT_INTS_ROW(conv2d, kernel_size, NULL, 2, 2, 1, 1 << 16, "Height and width of the window.",
                 .flags = OPT_REQUIRED),
    OPT_INTS_ROW(conv2d, strides, "[1,1]", 2, 2, 1, 1 << 16, "Steps of the window."),
    OPT_ENUM_ROW(conv2d, padding, KERNEL_PAD_VALID, paddings, "Whether the border is padded."),
    LAYER_FORMAT_ROW(conv2d),
    OPT_INTS_ROW(conv2d, dilation_rate, "[1,1]", 2, 2, 1, 1 << 16,
                 "Distance of the window's cells."),
    OPT_I64_ROW(conv2d, groups, 1, 1, 1 << 24, "Groups of channels that do not see each other."),
    OPT_DOC_ROW(conv2d, activation, "The activation behind it.", .flags = OPT_NULLABLE),
    OPT_BOOL_ROW(conv2d, use_bias, true, "Whether a bias is added."),
    OPT_DOC_ROW(conv2d, kernel_initializer, "First values of the kernel.", .flags = OPT_NULLABLE),
    OPT_DOC_ROW(conv2d, bias_initializer, "First values of the bias.", .flags = OPT_NULLABLE),
    OPT_DOC_ROW(conv2d, kernel_regularizer, "Not supported yet.", .flags = OPT_NULLABLE),
    OPT_DOC_ROW(conv2d, bias_regularizer, "Not supported yet.", .flags = OPT_NULLABLE),
    OPT_DOC_ROW(conv2d, activity_regularizer, "Not supported yet.", .flags = OPT_NULLABLE),
    OPT_DOC_ROW(conv2d, kernel_constraint, "Not supported yet.", .flags = OPT_NULLABLE),
    OPT_DOC_ROW(conv2d, bias_constraint, "Not supported yet.", .flags = OPT_NULLABLE),
    OPT_END_ROW,
};

static int refuse(const struct conv2d *o, struct err *err)
{
    int r = layer_refuse(o->kernel_regularizer, "kernel_regularizer", err);
    r = r < 0 ? r : layer_refuse(o->bias_regularizer, "bias_regularizer", err);
    r = r < 0 ? r : layer_refuse(o->activity_regularizer, "activity_regularizer", err);
    r = r < 0 ? r : layer_refuse(o->kernel_constraint, "kernel_constraint", err);
    r = r < 0 ? r : layer_refuse(o->bias_constraint, "bias_constraint", err);
    bool strided = o->strides.v[0] > 1 || o->strides.v[1] > 1;
    bool dilated = o->dilation_rate.v[0] > 1 || o->dilation_rate.v[1] > 1;
    if (r == 0 && strided && dilated) {
        return err_set_at(err, ERR_INVALID, "dilation_rate",
                          "strides and dilation together are not defined");
    }
    if (r == 0 && o->filters % o->groups != 0) {
        return err_set_at(err, ERR_SHAPE, "groups", "%d filters do not divide into %d groups",
                          (int)o->filters, (int)o->groups);
    }
    return r;
}

static int fill_desc(const struct layer *layer, struct kernel_conv_desc *desc, struct err *err)
{
    const struct conv2d *o = layer->options;
    const struct shape *in = &layer->inputs[0];
    if (in->d[2] % o->groups != 0) {
        return err_set_at(err, ERR_SHAPE, "groups", "%d channels do not divide into %d groups",
                          (int)in->d[2], (int)o->groups);
    }
    *desc = (struct kernel_conv_desc){
        .n = 1,
        .k = (int)o->filters,
        .r = (int)o->kernel_size.v[0],
        .s = (int)o->kernel_size.v[1],
        .stride_h = (int)o->strides.v[0],
        .stride_w = (int)o->strides.v[1],
        .dilation_h = (int)o->dilation_rate.v[0],
        .dilation_w = (int)o->dilation_rate.v[1],
        .groups = (int)o->groups,
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
    const struct conv2d *o = layer->options;
    struct layer_var kernel = {
        .name = "kernel",
        .shape = {.rank = 4, .d = {desc->r, desc->s, desc->c / desc->groups, desc->k}},
        .dtype = DTYPE_F32,
        .trainable = true,
    };
    struct layer_var bias = {.name = "bias",
                             .shape = {.rank = 1, .d = {desc->k}},
                             .dtype = DTYPE_F32,
                             .trainable = true};
    int r = layer_add_var(layer, &kernel, o->kernel_initializer, "GlorotUniform", arena, err);
    if (r == 0 && o->use_bias) {
        r = layer_add_var(layer, &bias, o->bias_initializer, "Zeros", arena, err);
    }
    return r;
}

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    const struct conv2d *o = layer->options;
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

const struct layer_desc layer_conv2d = {
    .name = "Conv2D",
    .aliases = "Convolution2D",
    .summary = "Convolution of an image with windows of weights.",
    .options = options,
    .size = sizeof(struct conv2d),
    .infer = infer,
    .prepare = prepare,
    .forward = forward,
    .backward = backward,
    .destroy = destroy,
};
