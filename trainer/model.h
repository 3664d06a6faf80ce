/* model - a compiled network: graph, parameters, optimizer, loss and metrics, one memory plan.
 *
 * Owns:     everything allocated at compile time, in the arena given; the step path allocates nothing.
 * Threads:  one thread steps it; model_snapshot may copy only between steps, on that thread.
 * Errors:   compile errors point into the job ("model[2].Conv2D.filters"); all unsupported parts are listed at once.
 *           model_train_step: ERR_NOT_FINITE (loss or weights), ERR_RANGE (a label out of range; path = "y", text has row and value).
 * Lifetime: the process's.
 *
 * Law 3: a step is a pure function of (weights, optimizer state, batch, seed, global step) for one numerics fingerprint.
 * Random layers draw with rng_init(seed, rng_id(layer name), epoch 0, global step).
 */
#ifndef TRAINER_MODEL_H
#define TRAINER_MODEL_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/doc.h"
#include "base/tensor.h"

struct model;

struct model_input { /* a field of the element: "x", ... */
    const char *name;
    enum dtype dtype; /* uint8 inputs are converted to float by the first layer */
    struct shape shape; /* without the batch dimension */
};

struct model_options {
    const struct doc *model;   /* job.model: list, graph, Keras config, or a named network */
    const struct doc *compile; /* job.compile; NULL = for prediction only */
    const struct model_input *inputs;
    int n_inputs;
    const struct model_input *label; /* field "y", or NULL */
    int64_t n_classes;               /* 0 = unknown; for messages about labels out of range */
    const char *top_class;           /* which of the data is of the last class, or NULL */
    int64_t batch_rows;              /* greatest batch */
    int64_t total_steps;             /* for schedules; 0 = unknown */
    uint64_t seed;
    const char *backend; /* "auto", "ref", "blas", "dnnl" */
    int threads;         /* 0 = chosen by FLOPs a step and processors */
};

/* A named tensor of the model or the optimizer, in Keras's order and names. */
struct model_tensor {
    const char *path;    /* Keras variable path: "conv2d/kernel" */
    const char *h5_path; /* in model.weights.h5: "layers/conv2d/vars/0", "optimizer/vars/3" */
    const char *h5_name; /* the layer's own name: attribute `name` of the vars group */
    enum dtype dtype;    /* float32, but iteration int64 and Normalization's count */
    struct shape shape;
    void *data; /* lives in the model */
    bool trainable;
};

int model_compile(const struct model_options *options, struct arena *arena, struct model **ret, struct err *err);
void model_destroy(struct model *model);

/* {layers: [{name, class, output_shape, parameters, flops, inputs}], parameters, trainable, non_trainable, optimizer_parameters, flops (a sample,
 * forward), memory_bytes, output_shape, backend, threads} */
void model_summary(const struct model *model, struct doc *map, struct arena *arena);
/* Keras's config.json (Sequential or Functional, with compile_config when compiled). */
void model_config(const struct model *model, struct doc *map, struct arena *arena);
/* Everything a checkpoint holds. *ret_n of them, weights first, then optimizer/vars. */
const struct model_tensor *model_tensors(const struct model *model, int *ret_n);
/* Content id (BLAKE2b) over (path, dtype, shape, bytes) of the tensors: how equality of checkpoints is defined
 * (model_id_hash of trainer/model_id.h over model_tensors). */
void model_tensors_id(const struct model *model, char id[65]);
/* The numerics fingerprint: library versions, instruction set, threads, backend, numerics version. */
void model_fingerprint(const struct model *model, struct doc *map, struct arena *arena);

/* One optimizer step over `rows` rows of dense input arrays. weights: per-sample weights or NULL. Adds to the running metrics. */
int model_train_step(struct model *model, const void *const *inputs, const void *label, const float *sample_weight,
                     int64_t rows, struct err *err);
/* Forward with loss and metrics, no update (validation). */
int model_test_step(struct model *model, const void *const *inputs, const void *label, int64_t rows, struct err *err);
/* Forward; *ret_output (rows x output) is valid until the next step. */
int model_predict(struct model *model, const void *const *inputs, int64_t rows, const float **ret_output,
                  int64_t *ret_width, struct err *err);

/* Running metrics since the last reset: loss first, then compile.metrics. */
int model_n_metrics(const struct model *model);
const char *model_metric_name(const struct model *model, int index);
double model_metric_value(const struct model *model, int index);
/* Whether the greater value is the better one. */
bool model_metric_is_gain(const struct model *model, int index);
/* The learning rate is a number that may be changed, and no schedule. */
bool model_rate_is_set(const struct model *model);
void model_set_rate(struct model *model, double rate);
void model_reset_metrics(struct model *model);
/* Their exact accumulators, for the run state of a checkpoint in the middle of an epoch. */
void model_save_metrics(const struct model *model, struct doc *map, struct arena *arena);
int model_load_metrics(struct model *model, const struct doc *map, struct err *err);
double model_loss_of_step(const struct model *model); /* of the last step alone */
double model_learning_rate(const struct model *model);
int64_t model_step(const struct model *model); /* optimizer iterations */

#endif
