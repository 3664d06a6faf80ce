/* Losses at the end of a model: which form of the cross-entropy is computed, and class weights.
 *
 * The first layer is a Dense whose kernel holds the case's logits and whose input is the identity:
 * its output is the logits, and the kernel's gradient theirs. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/golden/golden.h"
#include "trainer/kernel/kernel.h"
#include "trainer/model.h"
#include "trainer/single.h"

struct fusion {
    struct tensor logits, y;
    int64_t rows, cols;
    struct doc *layers, *compile;
    struct model *model;
    float *identity; /* rows x rows */
};

static struct doc *add_layer(struct golden_case *c, struct doc *layers, const char *class_name)
{
    struct doc *layer = doc_push(layers, c->arena);
    doc_set_map(layer);
    struct doc *config = doc_put(layer, c->arena, class_name);
    doc_set_map(config);
    return config;
}

static void make_head(struct golden_case *c, struct fusion *f, const char *head)
{
    struct doc *dense = add_layer(c, f->layers, "Dense");
    doc_put_int(dense, c->arena, "units", f->cols);
    doc_put_bool(dense, c->arena, "use_bias", false);
    bool is_sigmoid = strcmp(head, "sigmoid") == 0;
    if (strcmp(head, "dense_softmax") == 0) {
        doc_put_str(dense, c->arena, "activation", "softmax");
    } else if (is_sigmoid || strcmp(head, "activation_layer_softmax") == 0) {
        doc_put_str(add_layer(c, f->layers, "Activation"), c->arena, "activation",
                    is_sigmoid ? "sigmoid" : "softmax");
    } else if (head[0] != '\0') {
        (void)add_layer(c, f->layers, "Softmax");
    }
    if (strcmp(head, "softmax_then_identity") == 0) {
        (void)add_layer(c, f->layers, "Identity");
    } else if (strcmp(head, "softmax_then_reshape") == 0) {
        struct doc *shape = doc_put(add_layer(c, f->layers, "Reshape"), c->arena, "target_shape");
        doc_set_list(shape);
        doc_set_int(doc_push(shape, c->arena), f->cols);
    }
}

static void make_compile(struct golden_case *c, struct fusion *f, bool from_logits)
{
    f->compile = doc_new(c->arena);
    doc_set_map(f->compile);
    struct doc *optimizer = doc_put(f->compile, c->arena, "optimizer");
    doc_set_map(optimizer);
    struct doc *sgd = doc_put(optimizer, c->arena, "SGD");
    doc_set_map(sgd);
    doc_put_float(sgd, c->arena, "learning_rate", 1.0);
    struct doc *loss = doc_put(f->compile, c->arena, "loss");
    doc_set_map(loss);
    struct doc *options = doc_put(loss, c->arena, c->layer);
    doc_set_map(options);
    doc_put_bool(options, c->arena, "from_logits", from_logits);
}

static int set_logits(struct fusion *f, struct err *err)
{
    int n;
    const struct model_tensor *tensors = model_tensors(f->model, &n);
    for (int i = 0; i < n; i++) {
        if (shape_equal(&tensors[i].shape, &f->logits.shape) && tensors[i].trainable) {
            memcpy(tensors[i].data, f->logits.data, (size_t)(f->rows * f->cols) * sizeof(float));
            return 0;
        }
    }
    return err_set(err, ERR_INTERNAL, "the model has no kernel for the logits");
}

static int open_model(struct golden_case *c, struct fusion *f, const char *head, bool from_logits,
                      struct err *err)
{
    const struct doc *arrays = doc_get(c->doc, "arrays");
    int r = golden_floats(c, doc_get(arrays, "logits"), &f->logits, err);
    r = r < 0 ? r : golden_array(c, doc_get(arrays, "y_true"), &f->y, err);
    if (r < 0) {
        return r;
    }
    if (f->logits.shape.rank != 2 || f->y.shape.rank < 1 ||
        f->y.shape.d[0] != f->logits.shape.d[0]) {
        return err_set(err, ERR_SHAPE, "logits and labels do not fit");
    }
    f->rows = f->logits.shape.d[0];
    f->cols = f->logits.shape.d[1];
    f->layers = doc_new(c->arena);
    doc_set_list(f->layers);
    make_head(c, f, head);
    make_compile(c, f, from_logits);
    f->identity = arena_array(c->arena, (size_t)(f->rows * f->rows), sizeof(float));
    for (int64_t i = 0; i < f->rows; i++) {
        f->identity[i * f->rows + i] = 1.0F;
    }
    struct model_input in = {.name = "x", .dtype = DTYPE_F32, .shape = {1, {f->rows}}};
    struct model_input label = {.name = "y", .dtype = f->y.dtype};
    label.shape = shape_make(f->y.shape.rank - 1, f->y.shape.d + 1);
    struct model_options options = {.model = f->layers,
                                    .compile = f->compile,
                                    .inputs = &in,
                                    .n_inputs = 1,
                                    .label = &label,
                                    .batch_rows = f->rows,
                                    .backend = c->backend,
                                    .threads = 1};
    r = model_compile(&options, c->arena, &f->model, err);
    return r < 0 ? r : set_logits(f, err);
}

static bool check_value(struct golden_case *c, const char *what, double value,
                        const struct doc *want)
{
    float single = (float)value;
    struct tensor got = {.dtype = DTYPE_F32, .data = &single};
    return golden_compare(c, what, &got, want, c->rtol, c->atol);
}

/* The loss of a step, and where wanted the gradient of the logits: the rate is 1. */
static bool check_training(struct golden_case *c, struct fusion *f, const float *weights,
                           const struct doc *loss, const struct doc *gradient)
{
    struct err err = {0};
    const void *inputs[] = {f->identity};
    int n;
    if (model_train_step(f->model, inputs, f->y.data, weights, f->rows, &err) < 0) {
        golden_fail(c, "step: %s", err.text);
        return false;
    }
    if (!check_value(c, "training loss", model_loss_of_step(f->model), loss)) {
        return false;
    }
    const struct model_tensor *tensors = model_tensors(f->model, &n);
    struct tensor got = {DTYPE_F32, f->logits.shape, NULL};
    float *values = arena_array(c->arena, (size_t)(f->rows * f->cols), sizeof(float));
    for (int64_t i = 0; i < f->rows * f->cols; i++) {
        values[i] = ((const float *)f->logits.data)[i] - ((const float *)tensors[0].data)[i];
    }
    got.data = values;
    return !gradient || golden_compare(c, "gradient of logits", &got, gradient, c->rtol, c->atol);
}

static bool check_evaluation(struct golden_case *c, struct fusion *f, const struct doc *want)
{
    struct err err = {0};
    const void *inputs[] = {f->identity};
    model_reset_metrics(f->model);
    if (set_logits(f, &err) < 0 ||
        model_test_step(f->model, inputs, f->y.data, f->rows, &err) < 0) {
        golden_fail(c, "evaluation: %s", err.text);
        return false;
    }
    return check_value(c, "evaluated loss", model_metric_value(f->model, 0), want);
}

/* The loss of probabilities that come from nowhere. */
static bool check_plain(struct golden_case *c, struct fusion *f, bool is_sigmoid,
                        const struct doc *want)
{
    struct single_loss loss;
    struct err err = {0};
    struct doc *config = doc_new(c->arena);
    struct tensor pred = f->logits;
    const struct kernel_backend *backend = kernel_find(c->backend);
    size_t rows = (size_t)f->rows, cols = (size_t)f->cols;
    pred.data = arena_array(c->arena, rows * cols, sizeof(float));
    if (is_sigmoid) {
        static const struct kernel_act sigmoid = {.kind = KERNEL_ACT_SIGMOID};
        backend->act->forward(&sigmoid, rows * cols, f->logits.data, pred.data);
    } else {
        backend->act->rows_forward(KERNEL_ROWS_SOFTMAX, rows, cols, f->logits.data, pred.data);
    }
    doc_set_map(config);
    doc_put_bool(config, c->arena, "from_logits",
                 doc_bool(doc_get(c->doc, "config"), "from_logits", false));
    if (single_loss_run(c->layer, config, &f->y, &pred, NULL, c->backend, c->arena, &loss, &err) <
        0) {
        golden_fail(c, "plain probabilities: %s", err.text);
        return false;
    }
    return check_value(c, "loss of plain probabilities", loss.value, want);
}

static enum golden_verdict run_fusion(struct golden_case *c)
{
    struct fusion f = {0};
    struct err err = {0};
    const struct doc *config = doc_get(c->doc, "config"), *want = doc_get(c->doc, "expected");
    const char *head = doc_str(config, "head", "softmax");
    if (open_model(c, &f, head, doc_bool(config, "from_logits", false), &err) < 0) {
        model_destroy(f.model);
        return golden_refused(c, &err);
    }
    bool good = check_training(c, &f, NULL, doc_get(want, "compiled_train_loss"),
                               doc_get(want, "eager_gradient_of_logits")) &&
                check_evaluation(c, &f, doc_get(want, "compiled_evaluate_loss")) &&
                check_plain(c, &f, strcmp(head, "sigmoid") == 0,
                            doc_get(want, "loss_of_plain_probabilities"));
    model_destroy(f.model);
    return good ? GOLDEN_PASSED : GOLDEN_FAILED;
}

/* A sample's weight is that of its class. */
static const float *class_weights(struct golden_case *c, const struct fusion *f)
{
    const struct doc *weights = doc_find(c->doc, "config.class_weight");
    float *values = arena_array(c->arena, (size_t)f->rows, sizeof(float));
    for (int64_t i = 0; i < f->rows; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "%lld", (long long)((const int64_t *)f->y.data)[i]);
        values[i] = (float)doc_float(weights, key, 1.0);
    }
    return values;
}

static enum golden_verdict run_class_weight(struct golden_case *c)
{
    struct fusion f = {0};
    struct err err = {0};
    if (open_model(c, &f, "", true, &err) < 0 || f.y.dtype != DTYPE_I64) {
        model_destroy(f.model);
        return golden_fail(c, "labels of int64 are wanted. %s", err.text);
    }
    bool good = check_training(c, &f, class_weights(c, &f), doc_get(c->doc, "expected"), NULL) &&
                check_evaluation(c, &f, doc_get(c->doc, "expected_eval"));
    model_destroy(f.model);
    return good ? GOLDEN_PASSED : GOLDEN_FAILED;
}

const struct golden_class golden_fusion_classes[] = {
    {"loss_fusion", NULL, run_fusion, true},
    {"loss_class_weight", NULL, run_class_weight, true},
    {NULL, NULL, NULL, false},
};
