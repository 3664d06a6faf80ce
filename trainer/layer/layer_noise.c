#include "trainer/layer/layer_noise.h"

#include <string.h>

static struct rng rng_of(const struct layer *layer, const struct layer_call *call, int64_t seed)
{
    struct rng rng;
    rng_init(&rng, seed >= 0 ? (uint64_t)seed : call->seed, rng_id(layer->name), 0,
             (uint64_t)call->step);
    return rng;
}

int layer_noise_infer(struct layer *layer, struct arena *arena, struct err *err)
{
    (void)arena;
    (void)err;
    layer->output = layer->inputs[0];
    return 0;
}

int layer_noise_prepare(struct layer *layer, const struct layer_setup *setup, struct err *err)
{
    (void)err;
    layer->state_bytes =
        setup->training ? layer_count(&layer->output, setup->rows) * sizeof(float) : 0;
    return 0;
}

void layer_noise_forward(struct layer *layer, const struct layer_call *call,
                         const struct layer_noise_law *law)
{
    size_t count = layer_count(&layer->output, call->rows);
    const float *x = call->x[0];
    float *factors = call->state;
    if (!call->training || law->is_off) {
        memcpy(call->y, x, count * sizeof(float));
        return;
    }
    struct rng rng = rng_of(layer, call, law->seed);
    for (size_t i = 0; i < count; i++) {
        struct layer_noise noise = law->draw(layer, &rng);
        factors[i] = noise.factor;
        call->y[i] = x[i] * noise.factor + noise.shift;
    }
}

void layer_noise_backward(struct layer *layer, const struct layer_call *call,
                          const struct layer_noise_law *law)
{
    size_t count = layer_count(&layer->output, call->rows);
    if (!call->training || law->is_off) {
        memcpy(call->dx[0], call->dy, count * sizeof(float));
        return;
    }
    call->backend->vec->mul(count, call->dy, call->state, call->dx[0]);
}

int layer_spatial_infer(struct layer *layer, int rank, struct err *err)
{
    layer->output = layer->inputs[0];
    return layer_want_rank(layer, rank, err);
}

static size_t channels_of(const struct layer *layer)
{
    return (size_t)layer->output.d[layer->output.rank - 1];
}

int layer_spatial_prepare(struct layer *layer, const struct layer_setup *setup, struct err *err)
{
    (void)err;
    layer->state_bytes =
        setup->training ? channels_of(layer) * (size_t)setup->rows * sizeof(float) : 0;
    return 0;
}

static bool is_off(const struct layer *layer, const struct layer_call *call)
{
    const struct layer_rate *o = layer->options;
    return !call->training || o->rate == 0.0;
}

/* to = from times the factor of each sample's channel. */
static void scale_channels(const struct layer *layer, const struct layer_call *call,
                           const float *from, float *to)
{
    size_t channels = channels_of(layer), cells = layer_count(&layer->output, 1) / channels;
    const float *factors = call->state;
    for (int64_t n = 0; n < call->rows; n++, factors += channels) {
        for (size_t i = 0; i < cells; i++, from += channels, to += channels) {
            call->backend->vec->mul(channels, from, factors, to);
        }
    }
}

void layer_spatial_forward(struct layer *layer, const struct layer_call *call)
{
    const struct layer_rate *o = layer->options;
    if (is_off(layer, call)) {
        memcpy(call->y, call->x[0], layer_count(&layer->output, call->rows) * sizeof(float));
        return;
    }
    struct rng rng = rng_of(layer, call, o->seed);
    float kept = o->rate < 1.0 ? (float)(1.0 / (1.0 - o->rate)) : 0.0F, *factors = call->state;
    for (size_t i = 0; i < channels_of(layer) * (size_t)call->rows; i++) {
        factors[i] = (double)rng_f32(&rng) >= o->rate ? kept : 0.0F;
    }
    scale_channels(layer, call, call->x[0], call->y);
}

void layer_spatial_backward(struct layer *layer, const struct layer_call *call)
{
    if (is_off(layer, call)) {
        memcpy(call->dx[0], call->dy, layer_count(&layer->output, call->rows) * sizeof(float));
        return;
    }
    scale_channels(layer, call, call->dy, call->dx[0]);
}
