#include <math.h>

#include "trainer/layer/layer_noise.h"

static const struct opt options[] = {
    LAYER_RATE_ROWS(LAYER_ROWS, "The part of the values that become SELU's least one."),
    OPT_DOC_ROW(layer_rate, noise_shape, "Not supported yet.", .flags = OPT_NULLABLE),
    OPT_END_ROW,
};

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    const struct layer_rate *o = layer->options;
    if (o->rate >= 1.0) {
        return err_set_at(err, ERR_RANGE, "rate", "must be below 1");
    }
    int r = layer_refuse(o->noise_shape, "noise_shape", err);
    return r < 0 ? r : layer_noise_infer(layer, arena, err);
}

/* Mean and variance of SELU's outputs are kept: Klambauer et al. 2017, 2.4. */
static struct layer_noise draw(const struct layer *layer, struct rng *rng)
{
    const struct layer_rate *o = layer->options;
    const double least = -1.6732632423543772848170429916717 * 1.0507009873554804934193349852946;
    double a = 1.0 / sqrt((1.0 - o->rate) * (1.0 + o->rate * least * least)),
           b = -a * least * o->rate;
    bool keeps = (double)rng_f32(rng) >= o->rate;
    return keeps ? (struct layer_noise){(float)a, (float)b}
                 : (struct layer_noise){0.0F, (float)(a * least + b)};
}

static void forward(struct layer *layer, const struct layer_call *call)
{
    const struct layer_rate *o = layer->options;
    layer_noise_forward(layer, call, &(struct layer_noise_law){draw, o->rate == 0.0, o->seed});
}

static void backward(struct layer *layer, const struct layer_call *call)
{
    const struct layer_rate *o = layer->options;
    layer_noise_backward(layer, call, &(struct layer_noise_law){draw, o->rate == 0.0, o->seed});
}

const struct layer_desc layer_alpha_dropout = {
    .name = "AlphaDropout",
    .summary = "Dropout that keeps mean and variance of what SELU makes.",
    .options = options,
    .size = sizeof(struct layer_rate),
    .random = true,
    .infer = infer,
    .prepare = layer_noise_prepare,
    .forward = forward,
    .backward = backward,
};
