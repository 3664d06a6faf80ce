#include "trainer/layer/layer_conv.h"
#include "trainer/layer/layer_weights.h"

struct conv2d {
    LAYER_FIELDS
    int64_t filters, groups;
    struct layer_conv window;
    struct layer_weights weights;
};

static const struct opt options[] = {
    LAYER_ROWS(conv2d),
    OPT_I64_ROW(conv2d, filters, 1, 1, 1 << 24, "Channels of the output.", .flags = OPT_REQUIRED),
    LAYER_CONV_ROWS(conv2d),
    OPT_I64_ROW(conv2d, groups, 1, 1, 1 << 24, "Groups of channels that do not see each other."),
    LAYER_WEIGHTS_ROWS(conv2d, "kernel"),
    OPT_END_ROW,
};

static int fill_desc(const struct layer *layer, struct kernel_conv_desc *desc, struct err *err)
{
    const struct conv2d *o = layer->options;
    const int64_t channels = layer->inputs[0].d[2];
    if (channels % o->groups != 0) {
        return err_set_at(err, ERR_SHAPE, "groups", "%d channels do not divide into %d groups",
                          (int)channels, (int)o->groups);
    }
    *desc = (struct kernel_conv_desc){
        .k = (int)o->filters, .groups = (int)o->groups, .has_bias = o->weights.use_bias};
    return layer_conv_desc(layer, &o->window, desc, err);
}

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    const struct conv2d *o = layer->options;
    struct kernel_conv_desc desc;
    int r = layer_weights_read(layer, &o->weights, "kernel", err);
    if (r == 0 && o->filters % o->groups != 0) {
        return err_set_at(err, ERR_SHAPE, "groups", "%d filters do not divide into %d groups",
                          (int)o->filters, (int)o->groups);
    }
    r = r < 0 ? r : layer_conv_check(layer, &o->window, err);
    r = r < 0 ? r : fill_desc(layer, &desc, err);
    if (r < 0) {
        return r;
    }
    layer_conv_infer(layer, &desc);
    const struct shape kernel = {.rank = 4, .d = {desc.r, desc.s, desc.c / desc.groups, desc.k}};
    return layer_weights_add(layer, &o->weights, &kernel, NULL, arena, err);
}

static int prepare(struct layer *layer, const struct layer_setup *setup, struct err *err)
{
    struct kernel_conv_desc desc;
    int r = fill_desc(layer, &desc, err);
    return r < 0 ? r : layer_conv_prepare(layer, setup, &desc, err);
}

const struct layer_desc layer_conv2d = {
    .name = "Conv2D",
    .aliases = "Convolution2D",
    .summary = "Convolution of an image with windows of weights.",
    .options = options,
    .size = sizeof(struct conv2d),
    .infer = infer,
    .prepare = prepare,
    .forward = layer_conv_forward,
    .backward = layer_conv_backward,
    .destroy = layer_conv_destroy,
};
