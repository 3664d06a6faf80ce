/* layer_noise - layers that in training multiply by random numbers or add them: GaussianNoise,
 * GaussianDropout, AlphaDropout, SpatialDropout1D to 3D.
 *
 * Owns, Threads, Errors, Lifetime: as layer.h.
 *
 * Forward keeps each factor for backward. A draw is a function of (seed, layer, step) and of its
 * place in the batch.
 */
#ifndef TRAINER_LAYER_LAYER_NOISE_H
#define TRAINER_LAYER_LAYER_NOISE_H

#include "base/rng.h"
#include "trainer/layer/layer.h"

/* The options of those with a rate. */
struct layer_rate {
    LAYER_FIELDS
    double rate;
    int64_t seed;
    const struct doc *noise_shape;
    int data_format;
};
// clang-format off
#define LAYER_SEED_ROW(S) \
    OPT_I64_ROW(S, seed, -1, -1, OPT_I64_MAX, "A seed instead of the job's.", .flags = OPT_NULLABLE)
/* common: LAYER_ROWS or, for those that Keras gives no `trainable`, LAYER_NAME_ROWS. */
#define LAYER_RATE_ROWS(common, h) \
    common(layer_rate), \
    OPT_F64_ROW(layer_rate, rate, 0.5, 0.0, 1.0, h, .flags = OPT_REQUIRED), \
    LAYER_SEED_ROW(layer_rate)
// clang-format on

/* y = x * factor + shift for the value drawn. */
struct layer_noise {
    float factor, shift;
};
struct layer_noise_law {
    struct layer_noise (*draw)(const struct layer *layer, struct rng *rng);
    bool is_off; /* nothing is changed, as outside of training */
    int64_t seed;
};

/* Output as the input; state for training. */
int layer_noise_infer(struct layer *layer, struct arena *arena, struct err *err);
int layer_noise_prepare(struct layer *layer, const struct layer_setup *setup, struct err *err);
void layer_noise_forward(struct layer *layer, const struct layer_call *call,
                         const struct layer_noise_law *law);
void layer_noise_backward(struct layer *layer, const struct layer_call *call,
                          const struct layer_noise_law *law);

/* SpatialDropout: a channel is kept or dropped whole. */
int layer_spatial_infer(struct layer *layer, int rank, struct err *err);
int layer_spatial_prepare(struct layer *layer, const struct layer_setup *setup, struct err *err);
void layer_spatial_forward(struct layer *layer, const struct layer_call *call);
void layer_spatial_backward(struct layer *layer, const struct layer_call *call);

#endif
