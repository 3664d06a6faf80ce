/* Layers: outputs, gradients, states after a call, sequences of calls, laws of dropout. */
#include <stdio.h>
#include <string.h>

#include "pipeline/adapt.h"
#include "tests/golden/golden.h"
#include "trainer/single.h"

enum { INPUTS_MAX = 8 };

struct call {
    struct single_layer *single;
    struct tensor in[INPUTS_MAX];
    struct shape shapes[INPUTS_MAX];
    const float *x[INPUTS_MAX];
    int n;
    bool training;
};

/* Inputs of cases that are refused: Keras's record holds none. */
static const struct {
    const char *name;
    int n;
    struct shape shapes[3];
} refused_inputs[] = {
    {"conv2d_err_rank", 1, {{3, {2, 5, 3}}}},
    {"dense_err_ndim", 1, {{1, {2}}}},
    {"merge_err_add_shape", 2, {{2, {2, 3}}, {2, {2, 4}}}},
    {"merge_err_concat", 2, {{3, {2, 3, 4}}, {3, {2, 3, 5}}}},
    {"merge_err_subtract_three", 3, {{2, {2, 3}}, {2, {2, 3}}, {2, {2, 3}}}},
    {"normalization_err_axis", 1, {{2, {2, 3}}}},
    {"groupnorm_err_default32", 1, {{4, {2, 4, 4, 16}}}},
    {"groupnorm_err_groups", 1, {{4, {2, 4, 4, 6}}}},
    {"", 1, {{4, {2, 5, 5, 3}}}},
};

static void default_inputs(struct golden_case *c, struct call *call)
{
    size_t i = 0;
    while (refused_inputs[i].name[0] && strcmp(refused_inputs[i].name, c->name) != 0) {
        i++;
    }
    call->n = refused_inputs[i].n;
    memcpy(call->shapes, refused_inputs[i].shapes, sizeof(refused_inputs[i].shapes));
}

static int read_inputs(struct golden_case *c, struct call *call, struct err *err)
{
    const struct doc *input = doc_get(c->doc, "input");
    if (!input || input->type == DOC_NULL) {
        default_inputs(c, call);
        return 0;
    }
    bool is_list = input->type == DOC_LIST;
    call->n = is_list ? (int)input->n : 1;
    if (call->n > INPUTS_MAX) {
        return err_set(err, ERR_LIMIT, "%d inputs", call->n);
    }
    for (int k = 0; k < call->n; k++) {
        int r = golden_floats(c, is_list ? &input->items[k] : input, &call->in[k], err);
        if (r < 0) {
            return r;
        }
        call->shapes[k] = call->in[k].shape;
        call->x[k] = call->in[k].data;
    }
    return 0;
}

/* Given or learned numbers; Keras keeps the axes of size 1. */
static int set_learned(struct golden_case *c, struct call *call, struct err *err)
{
    const struct doc *state = doc_get(c->doc, "state_after_adapt");
    for (size_t i = 0; state && state->type == DOC_MAP && i < state->n; i++) {
        struct layer_var *var = single_layer_var(call->single, state->pairs[i].key);
        struct tensor value;
        int64_t count = 0;
        int r = var ? golden_floats(c, &state->pairs[i].value, &value, err) : 0;
        if (r < 0 ||
            (var && (shape_count(&value.shape, &count) < 0 || (size_t)count != var->count))) {
            return r < 0 ? r
                         : err_set(err, ERR_SHAPE, "'%s' has another size", state->pairs[i].key);
        }
        if (var && var->dtype == DTYPE_F32) {
            memcpy(var->data, value.data, var->count * sizeof(float));
        }
    }
    return 0;
}

static int set_weights(struct golden_case *c, struct call *call, struct err *err)
{
    const struct doc *weights = doc_get(c->doc, "weights");
    int learned = set_learned(c, call, err);
    if (learned < 0) {
        return learned;
    }
    for (size_t i = 0; weights && weights->type == DOC_MAP && i < weights->n; i++) {
        struct layer_var *var = single_layer_var(call->single, weights->pairs[i].key);
        struct tensor value;
        int r = golden_floats(c, &weights->pairs[i].value, &value, err);
        if (r < 0) {
            return r;
        }
        if (!var || !shape_equal(&var->shape, &value.shape)) {
            return err_set(err, ERR_SHAPE, "no variable '%s' of that shape", weights->pairs[i].key);
        }
        if (var->dtype == DTYPE_F32) {
            memcpy(var->data, value.data, var->count * sizeof(float));
        }
    }
    return 0;
}

static bool compare_vars(struct golden_case *c, struct call *call, const struct doc *map,
                         bool gradients, double rtol, double atol)
{
    for (size_t i = 0; map && map->type == DOC_MAP && i < map->n; i++) {
        struct layer_var *var = single_layer_var(call->single, map->pairs[i].key);
        if (!var) {
            continue;
        }
        struct tensor got = {.dtype = DTYPE_F32,
                             .shape = var->shape,
                             .data = gradients ? (void *)var->grad : var->data};
        if (got.data &&
            !golden_compare(c, map->pairs[i].key, &got, &map->pairs[i].value, rtol, atol)) {
            return false;
        }
    }
    return true;
}

static bool compare_inputs(struct golden_case *c, struct call *call, const struct doc *map,
                           double rtol, double atol)
{
    for (int k = 0; k < call->n; k++) {
        char name[16];
        (void)snprintf(name, sizeof name, "input%d", k);
        const struct doc *want = doc_get(map, name);
        want = want ? want : (call->n == 1 ? doc_get(map, "input") : NULL);
        struct tensor got = {.dtype = DTYPE_F32, .shape = call->shapes[k]};
        const float *dx = single_layer_dx(call->single, k);
        got.data = arena_alloc(c->arena, 1);
        int64_t count = 0;
        if (!want || shape_count(&got.shape, &count) < 0) {
            continue;
        }
        got.data = arena_array(c->arena, (size_t)count, sizeof(float));
        memcpy(got.data, dx, (size_t)count * sizeof(float));
        if (!golden_compare(c, "gradient of input", &got, want, rtol, atol)) {
            return false;
        }
    }
    return true;
}

/* With an empty output the gradient of the sum is 0. What Keras gives then is memory that nobody
 * wrote: its record is not compared. */
static bool check_no_gradient(struct golden_case *c, struct call *call)
{
    static const float nothing[1];
    single_layer_backward(call->single, call->x, nothing);
    for (int k = 0; k < call->n; k++) {
        const float *dx = single_layer_dx(call->single, k);
        int64_t count = 0;
        (void)shape_count(&call->shapes[k], &count);
        for (int64_t i = 0; i < count; i++) {
            if (dx[i] != 0.0F) {
                golden_fail(c, "a gradient of %g behind an empty output", (double)dx[i]);
                return false;
            }
        }
    }
    return true;
}

static bool check_gradients(struct golden_case *c, struct call *call)
{
    const struct doc *upstream = doc_get(c->doc, "upstream_gradient");
    const struct doc *expected = doc_get(c->doc, "expected_gradients");
    const struct doc *tolerance = doc_get(c->doc, "gradient_tolerance");
    struct tensor dy;
    struct err err = {0};
    if (!upstream || upstream->type == DOC_NULL || !expected) {
        return true;
    }
    if (golden_floats(c, upstream, &dy, &err) < 0) {
        golden_fail(c, "upstream gradient: %s", err.text);
        return false;
    }
    double rtol = doc_float(tolerance, "rtol", c->rtol),
           atol = doc_float(tolerance, "atol", c->atol);
    struct shape output = single_layer_output(call->single);
    int64_t count = 0;
    if (!shape_equal(&dy.shape, &output) || shape_count(&output, &count) < 0) {
        golden_fail(c, "the upstream gradient has another shape than the output");
        return false;
    }
    if (count == 0) {
        return check_no_gradient(c, call);
    }
    single_layer_backward(call->single, call->x, dy.data);
    return compare_inputs(c, call, expected, rtol, atol) &&
           compare_vars(c, call, expected, true, rtol, atol);
}

static bool check_output(struct golden_case *c, struct call *call, const float *y)
{
    struct tensor got = {.dtype = DTYPE_F32, .shape = single_layer_output(call->single)};
    int64_t count = 0;
    if (shape_count(&got.shape, &count) < 0) {
        golden_fail(c, "no shape");
        return false;
    }
    got.data = arena_array(c->arena, (size_t)count + 1, sizeof(float));
    memcpy(got.data, y, (size_t)count * sizeof(float));
    return golden_compare(c, "output", &got, doc_get(c->doc, "expected"), c->rtol, c->atol);
}

static enum golden_verdict run_named(struct golden_case *c, const char *class_name,
                                     const struct doc *config)
{
    struct call call = {0};
    struct err err = {0};
    const struct layer_desc *desc;
    if (layer_find(class_name, &desc, NULL) < 0) {
        return golden_skip(c, "no such layer yet");
    }
    if (read_inputs(c, &call, &err) < 0) {
        return golden_fail(c, "input: %s", err.text);
    }
    if (single_layer_create(class_name, config, call.shapes, call.n, c->backend, c->arena,
                            &call.single, &err) < 0) {
        return golden_refused(c, &err);
    }
    enum golden_verdict verdict = GOLDEN_FAILED;
    if (call.x[0] && single_layer_check(call.single, call.x, &err) < 0) {
        verdict = golden_refused(c, &err);
    } else if (c->expected_error) {
        verdict = golden_fail(c, "not refused");
    } else if (call.x[0] == NULL) {
        verdict = GOLDEN_PASSED; /* taken, as Keras does; there is nothing to compare */
    } else if (set_weights(c, &call, &err) < 0) {
        verdict = golden_fail(c, "weights: %s", err.text);
    } else {
        call.training = doc_bool(doc_get(c->doc, "call_kwargs"), "training", false);
        const float *y = single_layer_forward(call.single, call.x, call.training, 1, 0);
        const struct doc *state = doc_get(c->doc, "state_after_call");
        bool good = check_output(c, &call, y) &&
                    compare_vars(c, &call, state, false, c->rtol, c->atol) &&
                    check_gradients(c, &call);
        verdict = good ? GOLDEN_PASSED : GOLDEN_FAILED;
    }
    single_layer_destroy(call.single);
    return verdict;
}

static enum golden_verdict run_layer(struct golden_case *c)
{
    return run_named(c, c->layer, doc_get(c->doc, "config"));
}

/* As a layer of a model, and as an operation of the pipeline where that takes the options: given
 * numbers, of the last axis. */
static enum golden_verdict run_both(struct golden_case *c)
{
    const struct doc *config = doc_get(c->doc, "config");
    const struct doc *axis = doc_get(config, "axis");
    bool is_last = axis == NULL || (axis->type == DOC_INT && axis->i == -1);
    bool is_given = strcmp(c->layer, "Rescaling") == 0 || doc_get(config, "mean") != NULL;
    enum golden_verdict verdict = run_layer(c);
    return verdict == GOLDEN_PASSED && is_last && is_given && !c->expected_error
               ? golden_image_layer(c)
               : verdict;
}

static bool compare_learned(struct golden_case *c, const struct adapt *adapt, const char *name,
                            float *values)
{
    const struct doc *want = doc_get(doc_get(c->doc, "state_after_adapt"), name);
    struct tensor shaped, got = {DTYPE_F32, adapt->shape, values};
    struct err err = {0};
    int64_t count = 0;
    if (!want) {
        return true;
    }
    /* Keras keeps the axes of size 1. */
    if (golden_floats(c, want, &shaped, &err) == 0 && shape_count(&shaped.shape, &count) == 0 &&
        (size_t)count == adapt->n) {
        got.shape = shaped.shape;
    }
    return golden_compare(c, name, &got, want, c->rtol, c->atol);
}

/* What is learned of the batches is what Keras learned; the layer then works with it. */
static enum golden_verdict run_normalization(struct golden_case *c)
{
    const struct doc *batches = doc_get(c->doc, "adapt");
    struct adapt adapt = {0};
    struct err err = {0};
    bool any = batches && batches->type == DOC_LIST && batches->n > 0;
    for (size_t i = 0; any && i < batches->n; i++) {
        struct tensor batch;
        if (golden_array(c, &batches->items[i], &batch, &err) < 0 || batch.shape.rank < 1) {
            return golden_fail(c, "batch %zu: %s", i, err.text);
        }
        struct shape sample = shape_make(batch.shape.rank - 1, batch.shape.d + 1);
        int r = i > 0
                    ? 0
                    : adapt_init(&adapt, doc_find(c->doc, "config.axis"), &sample, c->arena, &err);
        r = r < 0 ? r : adapt_add(&adapt, &batch, &err);
        if (r < 0) {
            return golden_refused(c, &err);
        }
    }
    if (any && !c->expected_error) {
        float *mean = arena_array(c->arena, adapt.n, sizeof(float));
        float *variance = arena_array(c->arena, adapt.n, sizeof(float));
        adapt_result(&adapt, mean, variance);
        if (!compare_learned(c, &adapt, "mean", mean) ||
            !compare_learned(c, &adapt, "variance", variance)) {
            return GOLDEN_FAILED;
        }
    }
    return run_both(c);
}

static enum golden_verdict run_gelu(struct golden_case *c)
{
    struct doc *config = doc_new(c->arena);
    doc_set_map(config);
    doc_put_str(config, c->arena, "activation", "gelu_tanh");
    return run_named(c, "Activation", config);
}

static enum golden_verdict run_lrn(struct golden_case *c)
{
    return run_named(c, "LocalResponseNormalization", doc_get(c->doc, "config"));
}

/* Batches one after the other in training; moving averages after each, then the output in
 * inference. */
static enum golden_verdict run_sequence(struct golden_case *c)
{
    const struct doc *inputs = doc_get(c->doc, "input");
    const struct doc *after = doc_find(c->doc, "arrays.moving_after_each_step");
    struct call call = {.n = 1};
    struct err err = {0};
    for (size_t i = 0; inputs && i < inputs->n; i++) {
        if (golden_floats(c, &inputs->items[i], &call.in[0], &err) < 0) {
            return golden_fail(c, "input: %s", err.text);
        }
        call.shapes[0] = call.in[0].shape;
        call.x[0] = call.in[0].data;
        if (i == 0 && single_layer_create(c->layer, doc_get(c->doc, "config"), call.shapes, 1,
                                          c->backend, c->arena, &call.single, &err) < 0) {
            return golden_refused(c, &err);
        }
        (void)single_layer_forward(call.single, call.x, true, 1, (int64_t)i);
        if (after && i < after->n &&
            !compare_vars(c, &call, &after->items[i], false, c->rtol, c->atol)) {
            return GOLDEN_FAILED;
        }
    }
    /* The output is that of the first batch, with the averages of all. */
    if (golden_floats(c, doc_at(inputs, 0), &call.in[0], &err) < 0) {
        return golden_fail(c, "input: %s", err.text);
    }
    call.x[0] = call.in[0].data;
    const float *y = single_layer_forward(call.single, call.x, false, 1, 0);
    bool good = check_output(c, &call, y);
    single_layer_destroy(call.single);
    return good ? GOLDEN_PASSED : GOLDEN_FAILED;
}

/* Each element is zeroed with the rate, the others are multiplied. */
static enum golden_verdict run_dropout(struct golden_case *c)
{
    enum { N = 40000 };
    struct shape shape = {.rank = 2, .d = {4, N / 4}};
    struct single_layer *single;
    struct err err = {0};
    float *x = arena_array(c->arena, N, sizeof(float));
    const float *in[] = {x};
    double rate = doc_float(doc_get(c->doc, "config"), "rate", 0.0);
    for (int i = 0; i < N; i++) {
        x[i] = 1.0F;
    }
    if (single_layer_create(c->layer, doc_get(c->doc, "config"), &shape, 1, c->backend, c->arena,
                            &single, &err) < 0) {
        return golden_refused(c, &err);
    }
    const float *y = single_layer_forward(single, in, true, 1, 0);
    int zeros = 0;
    for (int i = 0; i < N; i++) {
        zeros += y[i] == 0.0F;
        if (y[i] != 0.0F && y[i] != (float)(1.0 / (1.0 - rate))) {
            return golden_fail(c, "a value of %g", (double)y[i]);
        }
    }
    double part = (double)zeros / N;
    if (part < rate - c->atol || part > rate + c->atol) {
        return golden_fail(c, "a part of %g is zero", part);
    }
    return GOLDEN_PASSED;
}

/* Channels are zeroed whole, with the rate. */
static enum golden_verdict run_spatial_dropout(struct golden_case *c)
{
    enum { ROWS = 10, CHANNELS = 100, SIDE = 4, CELLS = SIDE * SIDE };
    struct shape shape = {.rank = 4, .d = {ROWS, SIDE, SIDE, CHANNELS}};
    struct single_layer *single;
    struct err err = {0};
    float *x = arena_array(c->arena, (size_t)ROWS * CELLS * CHANNELS, sizeof(float));
    const float *in[] = {x};
    double rate = doc_float(doc_get(c->doc, "config"), "rate", 0.0);
    for (int i = 0; i < ROWS * CELLS * CHANNELS; i++) {
        x[i] = 1.0F;
    }
    if (single_layer_create(c->layer, doc_get(c->doc, "config"), &shape, 1, c->backend, c->arena,
                            &single, &err) < 0) {
        return golden_refused(c, &err);
    }
    const float *y = single_layer_forward(single, in, true, 1, 0);
    int zeros = 0;
    for (int i = 0; i < ROWS * CELLS * CHANNELS; i++) {
        float first = y[i / (CELLS * CHANNELS) * CELLS * CHANNELS + i % CHANNELS];
        zeros += first == 0.0F;
        if (y[i] != first || (first != 0.0F && first != (float)(1.0 / (1.0 - rate)))) {
            return golden_fail(c, "a value of %g in a channel of %g", (double)y[i], (double)first);
        }
    }
    double part = (double)zeros / (ROWS * CELLS * CHANNELS);
    single_layer_destroy(single);
    return part < rate - c->atol || part > rate + c->atol
               ? golden_fail(c, "a part of %g is zero", part)
               : GOLDEN_PASSED;
}

const struct golden_class golden_layer_classes[] = {
    {"layer", "keras.activations.gelu(approximate=True)", run_gelu, true},
    {"sequence", "BatchNormalization", run_sequence, true},
    {"op", "tf.nn.local_response_normalization", run_lrn, true},
    {"distribution", "Dropout", run_dropout, true},
    {"distribution", "SpatialDropout2D", run_spatial_dropout, true},
    {"layer", "Activation", run_layer, true},
    {"layer", "AveragePooling2D", run_layer, true},
    {"layer", "BatchNormalization", run_layer, true},
    {"layer", "Conv2D", run_layer, true},
    {"layer", "Dense", run_layer, true},
    {"layer", "Dropout", run_layer, true},
    {"layer", "Flatten", run_layer, true},
    {"layer", "GlobalAveragePooling2D", run_layer, true},
    {"layer", "MaxPooling2D", run_layer, true},
    {"layer", "Normalization", run_normalization, true},
    {"layer", "Rescaling", run_both, true},
    {"layer", "ReLU", run_layer, true},
    {"layer", "Softmax", run_layer, true},
    {"accepts", "Add", run_layer, true},
    {"layer", "Add", run_layer, true},
    {"layer", "Average", run_layer, true},
    {"layer", "Concatenate", run_layer, true},
    {"layer", "DepthwiseConv2D", run_layer, true},
    {"layer", "ELU", run_layer, true},
    {"layer", "GlobalMaxPooling2D", run_layer, true},
    {"layer", "Identity", run_layer, true},
    {"layer", "LeakyReLU", run_layer, true},
    {"layer", "Maximum", run_layer, true},
    {"layer", "Minimum", run_layer, true},
    {"layer", "Multiply", run_layer, true},
    {"layer", "PReLU", run_layer, true},
    {"layer", "Reshape", run_layer, true},
    {"layer", "Subtract", run_layer, true},
    {"layer", "UpSampling2D", run_layer, true},
    {"layer", "ZeroPadding2D", run_layer, true},
    {"layer", NULL, run_layer, true},
    {NULL, NULL, NULL, false},
};
