#include "trainer/layer/layer.h"

struct dense {
    LAYER_FIELDS
    int64_t units;
    bool use_bias;
    const struct doc *activation, *kernel_initializer, *bias_initializer;
    const struct doc *kernel_regularizer, *bias_regularizer, *activity_regularizer;
    const struct doc *kernel_constraint, *bias_constraint, *lora_rank, *lora_alpha;
    const struct doc *quantization_config;
};

static const struct opt options[] = {
    LAYER_ROWS(dense),
    OPT_I64_ROW(dense, units, 1, 1, 1 << 26, "Numbers of the output.", .flags = OPT_REQUIRED),
    OPT_DOC_ROW(dense, activation, "The activation behind it.", .flags = OPT_NULLABLE),
    OPT_BOOL_ROW(dense, use_bias, true, "Whether a bias is added."),
    OPT_DOC_ROW(dense, kernel_initializer, "First values of the kernel.", .flags = OPT_NULLABLE),
    OPT_DOC_ROW(dense, bias_initializer, "First values of the bias.", .flags = OPT_NULLABLE),
    OPT_DOC_ROW(dense, kernel_regularizer, "Not supported yet.", .flags = OPT_NULLABLE),
    OPT_DOC_ROW(dense, bias_regularizer, "Not supported yet.", .flags = OPT_NULLABLE),
    OPT_DOC_ROW(dense, activity_regularizer, "Not supported yet.", .flags = OPT_NULLABLE),
    OPT_DOC_ROW(dense, kernel_constraint, "Not supported yet.", .flags = OPT_NULLABLE),
    OPT_DOC_ROW(dense, bias_constraint, "Not supported yet.", .flags = OPT_NULLABLE),
    OPT_DOC_ROW(dense, lora_rank, "Not supported.", .flags = OPT_NULLABLE),
    OPT_DOC_ROW(dense, lora_alpha, "Not supported.", .flags = OPT_NULLABLE),
    OPT_DOC_ROW(dense, quantization_config, "Not supported.", .flags = OPT_NULLABLE),
    OPT_END_ROW,
};

static int refuse(const struct dense *o, struct err *err)
{
    int r = layer_refuse(o->kernel_regularizer, "kernel_regularizer", err);
    r = r < 0 ? r : layer_refuse(o->bias_regularizer, "bias_regularizer", err);
    r = r < 0 ? r : layer_refuse(o->activity_regularizer, "activity_regularizer", err);
    r = r < 0 ? r : layer_refuse(o->kernel_constraint, "kernel_constraint", err);
    r = r < 0 ? r : layer_refuse(o->bias_constraint, "bias_constraint", err);
    r = r < 0 ? r : layer_refuse(o->lora_rank, "lora_rank", err);
    return r < 0 ? r : layer_refuse(o->quantization_config, "quantization_config", err);
}

/* Rows a sample: the product of all axes but the last. */
static int64_t rows_of(const struct layer *layer)
{
    int64_t rows = 1;
    for (int i = 0; i + 1 < layer->inputs[0].rank; i++) {
        rows *= layer->inputs[0].d[i];
    }
    return rows;
}

static int add_vars(struct layer *layer, int64_t in, struct arena *arena, struct err *err)
{
    const struct dense *o = layer->options;
    struct layer_var kernel = {.name = "kernel",
                               .shape = {.rank = 2, .d = {in, o->units}},
                               .dtype = DTYPE_F32,
                               .trainable = true};
    struct layer_var bias = {.name = "bias",
                             .shape = {.rank = 1, .d = {o->units}},
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
    const struct dense *o = layer->options;
    int r = refuse(o, err);
    r = r < 0 ? r : layer_take_activation(layer, o->activation, err);
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
    return add_vars(layer, in, arena, err);
}

static int prepare(struct layer *layer, const struct layer_setup *setup, struct err *err)
{
    const struct dense *o = layer->options;
    struct kernel_dense *dense;
    struct kernel_dense_desc desc = {
        .out = (int)o->units,
        .has_bias = o->use_bias,
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
                         layer->vars[0].data, layer->n_vars > 1 ? layer->vars[1].data : NULL,
                         call->y, call->scratch);
}

static void backward(struct layer *layer, const struct layer_call *call)
{
    kernel_dense_backward(layer->kernel, (int)(call->rows * rows_of(layer)), call->x[0],
                          layer->vars[0].data, call->y, call->dy, call->dx[0], layer->vars[0].grad,
                          layer->n_vars > 1 ? layer->vars[1].grad : NULL, call->scratch);
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
