#include "trainer/layer/layer_weights.h"

#include <stdio.h>

int layer_weights_read(struct layer *layer, const struct layer_weights *weights, const char *kernel,
                       struct err *err)
{
    char regularizer[40], constraint[40];
    (void)snprintf(regularizer, sizeof(regularizer), "%s_regularizer", kernel);
    (void)snprintf(constraint, sizeof(constraint), "%s_constraint", kernel);
    int r = layer_refuse(weights->regularizer, regularizer, err);
    r = r < 0 ? r : layer_refuse(weights->bias_regularizer, "bias_regularizer", err);
    r = r < 0 ? r : layer_refuse(weights->activity_regularizer, "activity_regularizer", err);
    r = r < 0 ? r : layer_refuse(weights->constraint, constraint, err);
    r = r < 0 ? r : layer_refuse(weights->bias_constraint, "bias_constraint", err);
    return r < 0 ? r : layer_take_activation(layer, weights->activation, err);
}

void layer_weights_unfuse(struct layer *layer)
{
    if (layer->act.kind != KERNEL_ACT_LINEAR) {
        layer->tail = (struct layer_act){.act = layer->act};
        layer->act = (struct kernel_act){0};
        layer->needs_y = false;
    }
}

int layer_weights_add(struct layer *layer, const struct layer_weights *weights,
                      const struct shape *kernel, const char *option, struct arena *arena,
                      struct err *err)
{
    const struct layer_var var = {.name = "kernel",
                                  .option = option,
                                  .shape = *kernel,
                                  .dtype = DTYPE_F32,
                                  .trainable = true};
    const struct layer_var bias = {
        .name = "bias",
        .shape = {.rank = 1, .d = {layer->output.d[layer->output.rank - 1]}},
        .dtype = DTYPE_F32,
        .trainable = true};
    int r = layer_add_var(layer, &var, weights->initializer, "GlorotUniform", arena, err);
    if (r == 0 && weights->use_bias) {
        r = layer_add_var(layer, &bias, weights->bias_initializer, "Zeros", arena, err);
    }
    return r;
}

const float *layer_weights_bias(const struct layer *layer)
{
    return layer->n_vars > 1 ? layer->vars[1].data : NULL;
}

float *layer_weights_bias_grad(const struct layer *layer)
{
    return layer->n_vars > 1 ? layer->vars[1].grad : NULL;
}
