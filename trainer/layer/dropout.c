#include <string.h>

#include "base/rng.h"
#include "trainer/layer/layer.h"

struct dropout {
    LAYER_FIELDS
    double rate;
    int64_t seed;
    const struct doc *noise_shape;
};

static const struct opt options[] = {
    LAYER_ROWS(dropout),
    OPT_F64_ROW(dropout, rate, 0.5, 0.0, 1.0, "The part of the values that become 0.",
                .flags = OPT_REQUIRED),
    OPT_I64_ROW(dropout, seed, -1, -1, OPT_I64_MAX, "A seed instead of the job's.",
                .flags = OPT_NULLABLE),
    OPT_DOC_ROW(dropout, noise_shape, "Not supported yet.", .flags = OPT_NULLABLE),
    OPT_END_ROW,
};

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    (void)arena;
    const struct dropout *o = layer->options;
    layer->output = layer->inputs[0];
    return layer_refuse(o->noise_shape, "noise_shape", err);
}

static int prepare(struct layer *layer, const struct layer_setup *setup, struct err *err)
{
    (void)err;
    layer->state_bytes = setup->training ? layer_count(&layer->output, setup->rows) : 0;
    return 0;
}

static void forward(struct layer *layer, const struct layer_call *call)
{
    const struct dropout *o = layer->options;
    size_t count = layer_count(&layer->output, call->rows);
    const float *x = call->x[0];
    unsigned char *kept = call->state;
    if (!call->training || o->rate == 0.0) {
        memcpy(call->y, x, count * sizeof(float));
        return;
    }
    struct rng rng;
    rng_init(&rng, o->seed >= 0 ? (uint64_t)o->seed : call->seed, rng_id(layer->name), 0,
             (uint64_t)call->step);
    float factor = o->rate < 1.0 ? (float)(1.0 / (1.0 - o->rate)) : 0.0F;
    for (size_t i = 0; i < count; i++) {
        bool keeps = (double)rng_f32(&rng) >= o->rate;
        kept[i] = keeps;
        call->y[i] = keeps ? x[i] * factor : 0.0F;
    }
}

static void backward(struct layer *layer, const struct layer_call *call)
{
    const struct dropout *o = layer->options;
    size_t count = layer_count(&layer->output, call->rows);
    const unsigned char *kept = call->state;
    float *dx = call->dx[0];
    if (!call->training || o->rate == 0.0) {
        memcpy(dx, call->dy, count * sizeof(float));
        return;
    }
    float factor = o->rate < 1.0 ? (float)(1.0 / (1.0 - o->rate)) : 0.0F;
    for (size_t i = 0; i < count; i++) {
        dx[i] = kept[i] ? call->dy[i] * factor : 0.0F;
    }
}

const struct layer_desc layer_dropout = {
    .name = "Dropout",
    .summary = "In training a random part of the values becomes 0, the rest grows by as much.",
    .options = options,
    .size = sizeof(struct dropout),
    .random = true,
    .infer = infer,
    .prepare = prepare,
    .forward = forward,
    .backward = backward,
};
