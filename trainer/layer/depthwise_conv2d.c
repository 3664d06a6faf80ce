#include "trainer/layer/layer_conv.h"
#include "trainer/layer/layer_weights.h"

struct depthwise_conv2d {
    LAYER_FIELDS
    int64_t depth_multiplier;
    struct layer_conv window;
    struct layer_weights weights;
};

static const struct opt options[] = {
    LAYER_ROWS(depthwise_conv2d),
    LAYER_CONV_ROWS(depthwise_conv2d),
    OPT_I64_ROW(depthwise_conv2d, depth_multiplier, 1, 1, 1 << 16,
                "Channels of the output for each of the input."),
    LAYER_WEIGHTS_ROWS(depthwise_conv2d, "depthwise"),
    OPT_END_ROW,
};

/* A convolution with a group for each channel: its kernel (r, s, 1, c * m) has the bytes of Keras's
 * (r, s, c, m). */
static int fill_desc(const struct layer *layer, struct kernel_conv_desc *desc, struct err *err)
{
    const struct depthwise_conv2d *o = layer->options;
    const int64_t channels = layer->inputs[0].d[2];
    if (channels * o->depth_multiplier > 1 << 24) {
        return err_set_at(err, ERR_LIMIT, "depth_multiplier", "makes too many channels");
    }
    *desc = (struct kernel_conv_desc){.k = (int)(channels * o->depth_multiplier),
                                      .groups = (int)channels,
                                      .has_bias = o->weights.use_bias};
    return layer_conv_desc(layer, &o->window, desc, err);
}

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    const struct depthwise_conv2d *o = layer->options;
    struct kernel_conv_desc desc;
    int r = layer_weights_read(layer, &o->weights, "depthwise", err);
    r = r < 0 ? r : layer_conv_check(layer, &o->window, err);
    r = r < 0 ? r : fill_desc(layer, &desc, err);
    if (r < 0) {
        return r;
    }
    layer_conv_infer(layer, &desc);
    const struct shape kernel = {.rank = 4, .d = {desc.r, desc.s, desc.c, desc.k / desc.c}};
    return layer_weights_add(layer, &o->weights, &kernel, "depthwise_initializer", arena, err);
}

static int prepare(struct layer *layer, const struct layer_setup *setup, struct err *err)
{
    struct kernel_conv_desc desc;
    int r = fill_desc(layer, &desc, err);
    return r < 0 ? r : layer_conv_prepare(layer, setup, &desc, err);
}

const struct layer_desc layer_depthwise_conv2d = {
    .name = "DepthwiseConv2D",
    .aliases = "DepthwiseConvolution2D",
    .summary = "Convolution of each channel with windows of its own.",
    .options = options,
    .size = sizeof(struct depthwise_conv2d),
    .infer = infer,
    .prepare = prepare,
    .forward = layer_conv_forward,
    .backward = layer_conv_backward,
    .destroy = layer_conv_destroy,
};
