#include <math.h>

#include "trainer/layer/layer_noise.h"

static const struct opt options[] = {
    LAYER_RATE_ROWS(
        LAYER_ROWS,
        "Dropout's rate of the same strength: the deviation is sqrt(rate / (1 - rate))."),
    OPT_END_ROW,
};

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    const struct layer_rate *o = layer->options;
    if (o->rate >= 1.0) {
        return err_set_at(err, ERR_RANGE, "rate",
                          "must be below 1: the deviation is sqrt(rate / (1 - rate))");
    }
    return layer_noise_infer(layer, arena, err);
}

static struct layer_noise draw(const struct layer *layer, struct rng *rng)
{
    const struct layer_rate *o = layer->options;
    return (struct layer_noise){.factor = 1.0F +
                                          (float)sqrt(o->rate / (1.0 - o->rate)) * rng_normal(rng)};
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

const struct layer_desc layer_gaussian_dropout = {
    .name = "GaussianDropout",
    .summary =
        "In training each value is multiplied by normal noise around 1 (Srivastava et al. 2014).",
    .options = options,
    .size = sizeof(struct layer_rate),
    .random = true,
    .infer = infer,
    .prepare = layer_noise_prepare,
    .forward = forward,
    .backward = backward,
};
