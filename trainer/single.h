/* single - one layer, loss or metric at a time with given numbers: for tests against Keras's
 * answers and finite differences.
 *
 * Owns:     everything lives in the arena given; single_layer_destroy gives back what kernels hold
 * beside it. Threads:  one. Errors:   as the parts' own: ERR_UNKNOWN for a class that is not there,
 * else what the options or shapes lack. Lifetime: the arena's.
 *
 * Optimizers and schedules need no more than their own headers: optimizer_create over arrays,
 * optimizer_step; schedule_read, schedule_rate. A model whose head is fused with its loss:
 * model_compile and model_test_step.
 */
#ifndef TRAINER_SINGLE_H
#define TRAINER_SINGLE_H

#include "base/tensor.h"
#include "trainer/layer/layer.h"

struct single_layer;

/* config: the constructor's arguments, or NULL. inputs: shapes with the batch axis first. Variables
 * hold their initializers' values. */
int single_layer_create(const char *class_name, const struct doc *config,
                        const struct shape *inputs, int n_inputs, const char *backend,
                        struct arena *arena, struct single_layer **ret, struct err *err);
void single_layer_destroy(struct single_layer *single); /* takes NULL */
/* The layer's own description: vars[].name, .data, .count, .grad after backward. */
struct layer *single_layer_layer(struct single_layer *single);
/* By Keras's name, "kernel"; NULL: there is none. */
struct layer_var *single_layer_var(struct single_layer *single, const char *name);
/* With the batch axis. */
struct shape single_layer_output(const struct single_layer *single);
/* Whether the layer takes these values: ERR_RANGE. */
int single_layer_check(struct single_layer *single, const float *const *x, struct err *err);
/* x: the inputs, float32. The result is valid until the next call; random layers draw with (seed,
 * step). */
const float *single_layer_forward(struct single_layer *single, const float *const *x, bool training,
                                  uint64_t seed, int64_t step);
/* After a forward call with the same x: gradients of sum(y * dy); of input k as given back by
 * single_layer_dx, of variables in var->grad. */
void single_layer_backward(struct single_layer *single, const float *const *x, const float *dy);
const float *single_layer_dx(const struct single_layer *single, int input);

struct single_loss {
    double value;    /* reduced; with reduction none the mean */
    bool is_reduced; /* false: reduction none, `values` is the result */
    size_t rows;
    const float *values; /* of each row, weighted */
    const float *grad;   /* like y_pred; of the sum where not reduced */
};
/* sample_weight: NULL, or (rows) or (rows, 1). */
int single_loss_run(const char *class_name, const struct doc *config, const struct tensor *y_true,
                    const struct tensor *y_pred, const struct tensor *sample_weight,
                    const char *backend, struct arena *arena, struct single_loss *ret,
                    struct err *err);

struct single_metric;
/* The shapes are those of any batch; batches may be shorter. class_name may be "accuracy". */
int single_metric_create(const char *class_name, const struct doc *config,
                         const struct shape *y_true, const struct shape *y_pred,
                         const char *backend, struct arena *arena, struct single_metric **ret,
                         struct err *err);
/* Adds a batch and gives the results so far. Predictions with one axis are a column. */
int single_metric_update(struct single_metric *single, const struct tensor *y_true,
                         const struct tensor *y_pred, const struct tensor *sample_weight,
                         const double **ret_values, size_t *ret_n, struct err *err);

#endif
