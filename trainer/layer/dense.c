#include "trainer/layer/layer_weights.h"

struct dense {
    LAYER_FIELDS
    int64_t units;
    struct layer_weights weights;
    const struct doc *lora_rank, *lora_alpha, *quantization_config;
};

static const struct opt options[] = {
    LAYER_ROWS(dense),
    OPT_I64_ROW(dense, units, 1, 1, 1 << 26, "Numbers of the output.", .flags = OPT_REQUIRED),
    LAYER_WEIGHTS_ROWS(dense, "kernel"),
    OPT_DOC_ROW(dense, lora_rank, "Not supported.", .flags = OPT_NULLABLE),
    OPT_DOC_ROW(dense, lora_alpha, "Not supported.", .flags = OPT_NULLABLE),
    OPT_DOC_ROW(dense, quantization_config, "Not supported.", .flags = OPT_NULLABLE),
    OPT_END_ROW,
};

/* Rows a sample: the product of all axes but the last. */
static int64_t rows_of(const struct layer *layer)
{
    int64_t rows = 1;
    for (int i = 0; i + 1 < layer->inputs[0].rank; i++) {
        rows *= layer->inputs[0].d[i];
    }
    return rows;
}

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    const struct dense *o = layer->options;
    int r = layer_weights_read(layer, &o->weights, "kernel", err);
    r = r < 0 ? r : layer_refuse(o->lora_rank, "lora_rank", err);
    r = r < 0 ? r : layer_refuse(o->quantization_config, "quantization_config", err);
    if (r < 0) {
        return r;
    }
    if (layer->inputs[0].rank < 1) {
        return err_set(err, ERR_SHAPE, "Dense takes at least one axis beside the batch");
    }
    layer->output = layer->inputs[0];
    int last = layer->output.rank - 1;
    int64_t in = layer->inputs[0].d[last];
    layer->output.d[last] = o->units;
    layer->flops = 2.0 * (double)rows_of(layer) * (double)in * (double)o->units;
    layer->needs_x = true;
    const struct shape kernel = {.rank = 2, .d = {in, o->units}};
    return layer_weights_add(layer, &o->weights, &kernel, NULL, arena, err);
}

static int prepare(struct layer *layer, const struct layer_setup *setup, struct err *err)
{
    const struct dense *o = layer->options;
    struct kernel_dense *dense;
    struct kernel_dense_desc desc = {
        .out = (int)o->units,
        .has_bias = o->weights.use_bias,
        .training = setup->training,
        .needs_dx = setup->needs_dx,
        .act = layer->act,
    };
    int r = layer_int(setup->rows * rows_of(layer), "input", &desc.n, err);
    r = r < 0 ? r : layer_int(layer->vars[0].shape.d[0], "input", &desc.in, err);
    r = r < 0 ? r : setup->backend->dense->create(&desc, setup->arena, &dense, err);
    if (r < 0) {
        return r;
    }
    layer->kernel = dense;
    layer->scratch_bytes = dense->scratch_bytes;
    layer->impl = dense->impl;
    return 0;
}

static void forward(struct layer *layer, const struct layer_call *call)
{
    kernel_dense_forward(layer->kernel, (int)(call->rows * rows_of(layer)), call->x[0],
                         layer->vars[0].data, layer_weights_bias(layer), call->y, call->scratch);
}

static void backward(struct layer *layer, const struct layer_call *call)
{
    kernel_dense_backward(layer->kernel, (int)(call->rows * rows_of(layer)), call->x[0],
                          layer->vars[0].data, call->y, call->dy, call->dx[0], layer->vars[0].grad,
                          layer_weights_bias_grad(layer), call->scratch);
}

static void destroy(struct layer *layer)
{
    kernel_dense_destroy(layer->kernel);
}

const struct layer_desc layer_dense = {
    .name = "Dense",
    .summary = "Each output is a weighted sum of all inputs.",
    .options = options,
    .size = sizeof(struct dense),
    .infer = infer,
    .prepare = prepare,
    .forward = forward,
    .backward = backward,
    .destroy = destroy,
};
