/* layer_affine - gamma and beta of the layers that normalize: options and variables.
 *
 * Owns, Threads, Lifetime: as layer.h.
 * Errors:   those of initializers; ERR_UNSUPPORTED for regularizers and constraints.
 */
#ifndef TRAINER_LAYER_LAYER_AFFINE_H
#define TRAINER_LAYER_LAYER_AFFINE_H

#include "trainer/layer/layer.h"

/* A field `affine` of the options, with the rows below. */
struct layer_affine {
    bool center, scale;
    const struct doc *beta_initializer, *gamma_initializer;
    const struct doc *beta_regularizer, *gamma_regularizer, *beta_constraint, *gamma_constraint;
};
// clang-format off
#define LAYER_AFFINE_DOC(S, f, h) \
    { .name = #f, .help = (h), .type = OPT_DOC, .offset = OPT_FIELD(S, affine.f, const struct doc *), .flags = OPT_NULLABLE }
#define LAYER_AFFINE_BOOL(S, f, h) \
    { .name = #f, .help = (h), .type = OPT_BOOL, .offset = OPT_FIELD(S, affine.f, bool), .def = true }
#define LAYER_AFFINE_ROWS(S) \
    LAYER_AFFINE_BOOL(S, center, "Whether beta is added."), \
    LAYER_AFFINE_BOOL(S, scale, "Whether gamma multiplies."), \
    LAYER_AFFINE_DOC(S, beta_initializer, "First values of beta."), \
    LAYER_AFFINE_DOC(S, gamma_initializer, "First values of gamma."), \
    LAYER_AFFINE_DOC(S, beta_regularizer, "Not supported yet."), \
    LAYER_AFFINE_DOC(S, gamma_regularizer, "Not supported yet."), \
    LAYER_AFFINE_DOC(S, beta_constraint, "Not supported yet."), \
    LAYER_AFFINE_DOC(S, gamma_constraint, "Not supported yet.")
// clang-format on

/* Adds gamma and beta, where wanted, of the shape; *gamma, *beta: their places among the variables,
 * -1 = there is none. */
int layer_affine_add(struct layer *layer, const struct layer_affine *affine,
                     const struct shape *shape, int *gamma, int *beta, struct arena *arena,
                     struct err *err);

#endif
