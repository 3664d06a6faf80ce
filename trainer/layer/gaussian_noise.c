#include "trainer/layer/layer_noise.h"

struct gaussian_noise {
    LAYER_FIELDS
    double stddev;
    int64_t seed;
};

static const struct opt options[] = {
    LAYER_ROWS(gaussian_noise),
    OPT_F64_ROW(gaussian_noise, stddev, 1.0, 0.0, 1e30, "The standard deviation of what is added.",
                .flags = OPT_REQUIRED),
    LAYER_SEED_ROW(gaussian_noise),
    OPT_END_ROW,
};

static struct layer_noise draw(const struct layer *layer, struct rng *rng)
{
    const struct gaussian_noise *o = layer->options;
    return (struct layer_noise){.factor = 1.0F, .shift = (float)o->stddev * rng_normal(rng)};
}

static void forward(struct layer *layer, const struct layer_call *call)
{
    const struct gaussian_noise *o = layer->options;
    layer_noise_forward(layer, call, &(struct layer_noise_law){draw, o->stddev == 0.0, o->seed});
}

static void backward(struct layer *layer, const struct layer_call *call)
{
    const struct gaussian_noise *o = layer->options;
    layer_noise_backward(layer, call, &(struct layer_noise_law){draw, o->stddev == 0.0, o->seed});
}

const struct layer_desc layer_gaussian_noise = {
    .name = "GaussianNoise",
    .summary = "In training normal noise is added.",
    .options = options,
    .size = sizeof(struct gaussian_noise),
    .random = true,
    .infer = layer_noise_infer,
    .prepare = layer_noise_prepare,
    .forward = forward,
    .backward = backward,
};
