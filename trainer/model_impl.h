/* model_impl - the inside of a compiled model. Private to model*.c and single.c.
 *
 * Owns:     all of it lives in the arena given to model_compile; kernels hold more: model_destroy.
 * Threads:  one.
 * Errors:   as model.h.
 * Lifetime: model_compile .. model_destroy.
 *
 * A wire is a tensor between layers. Views (Flatten, Activation) share the wire before them:
 * `root`. A node is a layer's place in the order of computation; activations that a layer does not
 * fuse have a node of their own.
 */
#ifndef TRAINER_MODEL_IMPL_H
#define TRAINER_MODEL_IMPL_H

#include "trainer/loss/loss.h"
#include "trainer/metric/metric.h"
#include "trainer/model.h"
#include "trainer/model_doc.h"
#include "trainer/optimizer/optimizer.h"

struct model_wire {
    struct shape shape;
    size_t count; /* numbers a sample */
    int root;     /* itself, unless it is a view */
    int field;    /* float input: the caller's memory; else -1 */
    float *data;
    float *grad;     /* NULL: not wanted */
    bool wants_grad; /* variables that are trained lie before it */
    bool has_grad;   /* in a backward pass: written already */
    int first, last; /* times of its data */
    int grad_first, grad_last;
};

struct model_node {
    struct layer *layer;
    const char *path;
    int spec; /* place of the layer in the document */
    int n_inputs;
    int *inputs; /* wires */
    int output;  /* wire */
    bool has_backward;
    void *state;
    const void **x;
    float **dx;
    float **spare; /* where a gradient waits to be added to another one */
    int spare_at;  /* first item of the plan that is one of these */
};

/* A piece of the one block of memory that is reused: alive from time first to time last. */
struct model_piece {
    size_t bytes, offset;
    int first, last;
    void **to;
};

struct model_value {
    const char *name; /* the metric's; "precision[1]" where it has several */
    int metric;
    size_t at;
};

struct model {
    struct arena *arena;
    const struct kernel_backend *backend;
    struct model_specs specs;
    int n_wires, n_nodes;
    struct model_wire *wires;
    struct model_node *nodes;
    int *spec_output; /* wire of each layer of the document */
    const struct model_input *inputs;
    int n_inputs;
    int output; /* wire of the model's output; -1: several */
    int64_t batch_rows;
    uint64_t seed;
    int threads;
    bool trains;
    /* Training. */
    struct loss *loss;
    int loss_wire; /* what the loss reads: the output, or the logits before it */
    int head_node; /* the node that the loss stands in for; -1: none */
    struct optimizer *optimizer;
    int n_metrics;
    struct metric **metrics;
    int n_values; /* of all metrics, one after the other */
    struct model_value *values;
    enum dtype label_dtype;
    size_t label_cols; /* numbers a row */
    size_t out_rows;   /* rows a sample */
    float *label_floats;
    double loss_sum, loss_weight, loss_of_step; /* the mean of the epoch, and the last */
    /* Memory. */
    int n_params;
    struct optimizer_param *params;
    size_t parameter_bytes, gradient_bytes, block_bytes, scratch_bytes, optimizer_bytes;
    void *scratch;
    int n_tensors;
    struct model_tensor *tensors;
    const struct doc *compile;
};

/* model_graph.c: layers to nodes and wires, with shapes. */
int model_graph_build(struct model *model, struct err *err);
/* model_plan.c: kernels and memory. */
int model_plan_variables(struct model *model, struct err *err);
int model_plan_kernels(struct model *model, struct err *err);
int model_plan_memory(struct model *model, struct err *err);
/* model_step.c */
int model_step_forward(struct model *model, const void *const *inputs, int64_t rows, bool training,
                       struct err *err);
void model_step_backward(struct model *model, int64_t rows);
/* model_export.c */
void model_export_tensors(struct model *model);

static inline float *model_wire_data(const struct model *model, int wire)
{
    return model->wires[model->wires[wire].root].data;
}

#endif
