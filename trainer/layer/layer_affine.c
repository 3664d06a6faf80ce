#include "trainer/layer/layer_affine.h"

static int refuse(const struct layer_affine *affine, struct err *err)
{
    int r = layer_refuse(affine->beta_regularizer, "beta_regularizer", err);
    r = r < 0 ? r : layer_refuse(affine->gamma_regularizer, "gamma_regularizer", err);
    r = r < 0 ? r : layer_refuse(affine->beta_constraint, "beta_constraint", err);
    return r < 0 ? r : layer_refuse(affine->gamma_constraint, "gamma_constraint", err);
}

int layer_affine_add(struct layer *layer, const struct layer_affine *affine,
                     const struct shape *shape, int *gamma, int *beta, struct arena *arena,
                     struct err *err)
{
    struct layer_var var = {.shape = *shape, .dtype = DTYPE_F32, .trainable = true};
    *gamma = *beta = -1;
    int r = refuse(affine, err);
    if (r == 0 && affine->scale) {
        var.name = "gamma";
        *gamma = layer->n_vars;
        r = layer_add_var(layer, &var, affine->gamma_initializer, "Ones", arena, err);
    }
    if (r == 0 && affine->center) {
        var.name = "beta";
        *beta = layer->n_vars;
        r = layer_add_var(layer, &var, affine->beta_initializer, "Zeros", arena, err);
    }
    return r;
}
