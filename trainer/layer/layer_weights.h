/* layer_weights - what the layers share that have a kernel and a bias: Dense, Conv2D,
 * DepthwiseConv2D.
 *
 * Owns, Threads, Lifetime: as layer.h.
 * Errors: ERR_UNSUPPORTED for what Keras takes and we do not, ERR_LIMIT, those of initializers; the
 * path below the layer's options.
 */
#ifndef TRAINER_LAYER_LAYER_WEIGHTS_H
#define TRAINER_LAYER_LAYER_WEIGHTS_H

#include "trainer/layer/layer.h"

/* A field `weights` of the options, with the rows below. */
struct layer_weights {
    bool use_bias;
    const struct doc *activation, *activity_regularizer;
    const struct doc *initializer, *regularizer, *constraint; /* the kernel's */
    const struct doc *bias_initializer, *bias_regularizer, *bias_constraint;
};
// clang-format off
#define LAYER_WEIGHTS_ROW(S, n, f, h) \
    { .name = (n), .help = (h), .type = OPT_DOC, .offset = OPT_FIELD(S, weights.f, const struct doc *), .flags = OPT_NULLABLE }
/* w: how Keras's options call the kernel, "kernel" or "depthwise". */
#define LAYER_WEIGHTS_ROWS(S, w) \
    LAYER_WEIGHTS_ROW(S, "activation", activation, "The activation behind it."), \
    { .name = "use_bias", .help = "Whether a bias is added.", .type = OPT_BOOL, .offset = OPT_FIELD(S, weights.use_bias, bool), .def = true }, \
    LAYER_WEIGHTS_ROW(S, w "_initializer", initializer, "First values of the kernel."), \
    LAYER_WEIGHTS_ROW(S, "bias_initializer", bias_initializer, "First values of the bias."), \
    LAYER_WEIGHTS_ROW(S, w "_regularizer", regularizer, "Not supported yet."), \
    LAYER_WEIGHTS_ROW(S, "bias_regularizer", bias_regularizer, "Not supported yet."), \
    LAYER_WEIGHTS_ROW(S, "activity_regularizer", activity_regularizer, "Not supported yet."), \
    LAYER_WEIGHTS_ROW(S, w "_constraint", constraint, "Not supported yet."), \
    LAYER_WEIGHTS_ROW(S, "bias_constraint", bias_constraint, "Not supported yet.")
// clang-format on

/* Refuses regularizers and constraints, reads the activation. */
int layer_weights_read(struct layer *layer, const struct layer_weights *weights, const char *kernel,
                       struct err *err);
/* For layers that end in something else than the kernel: the activation is computed behind them. */
void layer_weights_unfuse(struct layer *layer);
/* Adds kernel and bias; the output is known by now: a bias for each of its channels. `option`: that
 * says the kernel's first values, if not kernel_initializer. */
int layer_weights_add(struct layer *layer, const struct layer_weights *weights,
                      const struct shape *kernel, const char *option, struct arena *arena,
                      struct err *err);
/* NULL: there is none. */
const float *layer_weights_bias(const struct layer *layer);
float *layer_weights_bias_grad(const struct layer *layer);

#endif
