#include "trainer/single.h"

#include <string.h>

#include "trainer/loss/labels.h"
#include "trainer/loss/loss.h"
#include "trainer/metric/metric.h"

enum { INPUTS_MAX = 16 };

struct single_layer {
    struct layer *layer, *tail;
    const struct kernel_backend *backend;
    int64_t rows;
    int n_inputs;
    size_t in_counts[INPUTS_MAX]; /* a sample */
    size_t mid_count, out_count;
    float *z, *y, *dz, *dy; /* behind the layer, behind its tail; y is z without one */
    float *dx[INPUTS_MAX];
    void *scratch, *state;
    bool training;
    uint64_t seed;
    int64_t step;
};

/* {class_name: config}. */
static const struct doc *named(const char *class_name, const struct doc *config,
                               struct arena *arena)
{
    struct doc *doc = doc_new(arena);
    doc_set_map(doc);
    struct doc *options = doc_put(doc, arena, class_name);
    if (config && config->type == DOC_MAP) {
        *options = *config;
    } else {
        doc_set_map(options);
    }
    return doc;
}

static const struct kernel_backend *find_backend(const char *name, struct err *err)
{
    const struct kernel_backend *backend = kernel_find(name);
    if (!backend) {
        (void)err_set(err, ERR_UNKNOWN, "there is no backend '%.32s' here", name);
    }
    return backend;
}

static int take_shapes(struct single_layer *single, const struct shape *inputs, int n_inputs,
                       struct shape *without, struct err *err)
{
    if (n_inputs < 1 || n_inputs > INPUTS_MAX) {
        return err_set(err, ERR_LIMIT, "takes 1 to %d inputs", INPUTS_MAX);
    }
    single->n_inputs = n_inputs;
    for (int k = 0; k < n_inputs; k++) {
        if (inputs[k].rank < 1 || (k > 0 && inputs[k].d[0] != inputs[0].d[0])) {
            return err_set(err, ERR_SHAPE, "an input has no batch axis, or another batch");
        }
        int64_t count = 0;
        without[k] = shape_make(inputs[k].rank - 1, inputs[k].d + 1);
        int r = shape_count(&without[k], &count);
        if (r < 0) {
            return err_set(err, r, "an input has too many values");
        }
        single->in_counts[k] = (size_t)count;
    }
    single->rows = inputs[0].d[0];
    return 0;
}

static void make_vars(struct layer *layer, struct arena *arena)
{
    for (int v = 0; v < layer->n_vars; v++) {
        struct layer_var *var = &layer->vars[v];
        var->data = arena_array(arena, var->count + 1, dtype_bytes(var->dtype));
        if (var->dtype == DTYPE_F32) {
            init_fill(&var->init, &var->shape, 1, var->name, var->data);
        }
        if (var->trainable) {
            var->grad = arena_array(arena, var->count + 1, sizeof(float));
        }
    }
}

static float *floats(const struct single_layer *single, size_t count, struct arena *arena)
{
    return arena_array(arena, count * (size_t)single->rows + 1, sizeof(float));
}

static void make_memory(struct single_layer *single, struct arena *arena)
{
    struct layer *layer = single->layer;
    single->mid_count = layer_count(&layer->output, 1);
    single->out_count = single->tail ? layer_count(&single->tail->output, 1) : single->mid_count;
    single->z = floats(single, single->mid_count, arena);
    single->dz = floats(single, single->mid_count, arena);
    single->y = single->tail ? floats(single, single->out_count, arena) : single->z;
    single->dy = single->tail ? floats(single, single->out_count, arena) : single->dz;
    for (int k = 0; k < single->n_inputs; k++) {
        single->dx[k] = floats(single, single->in_counts[k], arena);
    }
    single->scratch = arena_alloc(arena, layer->scratch_bytes + 64);
    single->state = arena_alloc(arena, layer->state_bytes + 64);
}

static int build(struct single_layer *single, const struct shape *shapes, struct arena *arena,
                 struct err *err)
{
    struct layer *layer = single->layer;
    int r = layer_infer(layer, shapes, single->n_inputs, arena, err);
    if (r < 0) {
        return r;
    }
    if (!layer_act_is_linear(&layer->tail)) {
        single->tail = layer_make_tail(layer, arena);
        r = layer_infer(single->tail, &layer->output, 1, arena, err);
    }
    struct layer_setup setup = {.backend = single->backend,
                                .rows = single->rows,
                                .training = true,
                                .needs_dx = true,
                                .arena = arena};
    r = r < 0 ? r : layer_prepare(layer, &setup, err);
    if (r == 0) {
        make_vars(layer, arena);
        make_memory(single, arena);
    }
    return r;
}

int single_layer_create(const char *class_name, const struct doc *config,
                        const struct shape *inputs, int n_inputs, const char *backend,
                        struct arena *arena, struct single_layer **ret, struct err *err)
{
    const struct layer_desc *desc;
    struct single_layer *single = ARENA_NEW(arena, struct single_layer);
    struct shape *shapes = arena_array(arena, INPUTS_MAX, sizeof(*shapes));
    single->backend = find_backend(backend, err);
    if (!single->backend) {
        return ERR_UNKNOWN;
    }
    int r = layer_find(class_name, &desc, err);
    r = r < 0 ? r : layer_read(desc, config, "single", arena, &single->layer, err);
    r = r < 0 ? r : take_shapes(single, inputs, n_inputs, shapes, err);
    r = r < 0 ? r : build(single, shapes, arena, err);
    if (r == 0) {
        *ret = single;
    }
    return r;
}

void single_layer_destroy(struct single_layer *single)
{
    if (single) {
        layer_destroy(single->layer);
    }
}

struct layer *single_layer_layer(struct single_layer *single)
{
    return single->layer;
}

struct layer_var *single_layer_var(struct single_layer *single, const char *name)
{
    for (int v = 0; v < single->layer->n_vars; v++) {
        if (strcmp(single->layer->vars[v].name, name) == 0) {
            return &single->layer->vars[v];
        }
    }
    return NULL;
}

struct shape single_layer_output(const struct single_layer *single)
{
    const struct shape *output = single->tail ? &single->tail->output : &single->layer->output;
    struct shape with = {.rank = output->rank + 1, .d = {single->rows}};
    for (int i = 0; i < output->rank && i + 1 < SHAPE_RANK_MAX; i++) {
        with.d[i + 1] = output->d[i];
    }
    return with;
}

static struct layer_call call_of(struct single_layer *single, const void *const *x, float *y)
{
    return (struct layer_call){
        .backend = single->backend,
        .rows = single->rows,
        .training = single->training,
        .x = x,
        .y = y,
        .scratch = single->scratch,
        .state = single->state,
        .seed = single->seed,
        .step = single->step,
        .x_dtype = DTYPE_F32,
    };
}

int single_layer_check(struct single_layer *single, const float *const *x, struct err *err)
{
    const void *in[INPUTS_MAX];
    for (int k = 0; k < single->n_inputs; k++) {
        in[k] = x[k];
    }
    struct layer_call call = call_of(single, in, NULL);
    const struct layer_desc *desc = single->layer->desc;
    return desc->check ? desc->check(single->layer, &call, err) : 0;
}

const float *single_layer_forward(struct single_layer *single, const float *const *x, bool training,
                                  uint64_t seed, int64_t step)
{
    const void *in[INPUTS_MAX];
    single->training = training;
    single->seed = seed;
    single->step = step;
    for (int k = 0; k < single->n_inputs; k++) {
        in[k] = x[k];
    }
    if (single->layer->is_view) {
        memcpy(single->z, x[0], single->mid_count * (size_t)single->rows * sizeof(float));
    } else {
        struct layer_call call = call_of(single, in, single->z);
        single->layer->desc->forward(single->layer, &call);
    }
    if (single->tail) {
        const void *z[] = {single->z};
        struct layer_call call = call_of(single, z, single->y);
        single->tail->desc->forward(single->tail, &call);
    }
    return single->y;
}

static void tail_backward(struct single_layer *single)
{
    const void *z[] = {single->z};
    float *dz[] = {single->dz};
    struct layer_call call = call_of(single, z, single->y);
    call.dy = single->dy;
    call.dx = dz;
    single->tail->desc->backward(single->tail, &call);
}

void single_layer_backward(struct single_layer *single, const float *const *x, const float *dy)
{
    memcpy(single->dy, dy, single->out_count * (size_t)single->rows * sizeof(float));
    if (single->tail) {
        tail_backward(single);
    }
    if (single->layer->is_view || !single->layer->desc->backward) {
        memcpy(single->dx[0], single->dz, single->mid_count * (size_t)single->rows * sizeof(float));
        return;
    }
    const void *in[INPUTS_MAX];
    for (int k = 0; k < single->n_inputs; k++) {
        in[k] = x[k];
    }
    struct layer_call call = call_of(single, in, single->z);
    call.dy = single->dz;
    call.dx = single->dx;
    single->layer->desc->backward(single->layer, &call);
}

const float *single_layer_dx(const struct single_layer *single, int input)
{
    return single->dx[input];
}

/* -- losses and metrics ---------------------------------------------------------------------- */

struct widths {
    size_t rows, cols, label_cols;
};

/* Predictions of rank 1 are one row. */
static int find_widths(const struct shape *y_true, const struct shape *y_pred, struct widths *ret,
                       struct err *err)
{
    int64_t pred = 0, label = 0;
    if (y_pred->rank < 1 || shape_count(y_pred, &pred) < 0 || shape_count(y_true, &label) < 0 ||
        pred == 0) {
        return err_set(err, ERR_SHAPE, "predictions have no axis, or no values");
    }
    ret->cols = (size_t)y_pred->d[y_pred->rank - 1];
    ret->rows = (size_t)pred / ret->cols;
    ret->label_cols = (size_t)label / ret->rows;
    if (ret->label_cols == 0 || ret->label_cols * ret->rows != (size_t)label) {
        return err_set(err, ERR_SHAPE, "%lld labels do not belong to %zu rows of predictions",
                       (long long)label, ret->rows);
    }
    return 0;
}

static int check_weight(const struct tensor *weight, size_t rows, struct err *err)
{
    int64_t count = 0;
    if (!weight) {
        return 0;
    }
    if (weight->dtype != DTYPE_F32 || shape_count(&weight->shape, &count) < 0 ||
        (size_t)count != rows) {
        return err_set(err, ERR_SHAPE, "%zu rows need as many weights, not %lld", rows,
                       (long long)count);
    }
    return 0;
}

int single_loss_run(const char *class_name, const struct doc *config, const struct tensor *y_true,
                    const struct tensor *y_pred, const struct tensor *sample_weight,
                    const char *backend, struct arena *arena, struct single_loss *ret,
                    struct err *err)
{
    struct loss *loss;
    struct widths widths = {0};
    int r = find_widths(&y_true->shape, &y_pred->shape, &widths, err);
    r = r < 0 ? r : check_weight(sample_weight, widths.rows, err);
    if (r < 0) {
        return r;
    }
    struct loss_setup setup = {.backend = find_backend(backend, err),
                               .rows = widths.rows,
                               .cols = widths.cols,
                               .label_cols = widths.label_cols,
                               .label_dtype = y_true->dtype};
    if (!setup.backend) {
        return ERR_UNKNOWN;
    }
    r = loss_create(named(class_name, config, arena), &setup, arena, &loss, err);
    if (r < 0) {
        return r;
    }
    float *grad = arena_array(arena, widths.rows * widths.cols, sizeof(float));
    struct loss_args args = {.rows = widths.rows,
                             .y_pred = y_pred->data,
                             .y_true = y_true->data,
                             .sample_weight = sample_weight ? sample_weight->data : NULL,
                             .grad = grad,
                             .grad_scale = 1.0F};
    *ret = (struct single_loss){.rows = widths.rows, .grad = grad, .values = loss_values(loss)};
    const char *reduction = doc_str(config, "reduction", "");
    ret->is_reduced = strcmp(reduction, "none") != 0;
    return loss_run(loss, &args, &ret->value, err);
}

struct single_metric {
    struct metric *metric;
    struct widths widths;
    float *labels;
    double *values;
};

static struct shape as_column(const struct shape *y_pred)
{
    struct shape shape = *y_pred;
    if (shape.rank == 1) {
        shape.d[shape.rank++] = 1;
    }
    return shape;
}

int single_metric_create(const char *class_name, const struct doc *config,
                         const struct shape *y_true, const struct shape *y_pred,
                         const char *backend, struct arena *arena, struct single_metric **ret,
                         struct err *err)
{
    struct single_metric *single = ARENA_NEW(arena, struct single_metric);
    struct shape column = as_column(y_pred);
    int r = find_widths(y_true, &column, &single->widths, err);
    if (r < 0) {
        return r;
    }
    struct metric_setup setup = {.backend = find_backend(backend, err),
                                 .rows = single->widths.rows,
                                 .cols = single->widths.cols,
                                 .label_cols = single->widths.label_cols};
    if (!setup.backend) {
        return ERR_UNKNOWN;
    }
    struct doc *text = doc_new(arena);
    doc_set_str(text, arena, class_name);
    /* A text such as "accuracy" is resolved by shapes, a class is taken as it is. */
    bool is_class = class_name[0] >= 'A' && class_name[0] <= 'Z';
    single->labels =
        arena_array(arena, single->widths.rows * single->widths.label_cols, sizeof(float));
    *ret = single;
    r = metric_create(is_class ? named(class_name, config, arena) : text, &setup, arena,
                      &single->metric, err);
    if (r == 0) {
        single->values = arena_array(arena, metric_n_values(single->metric), sizeof(double));
    }
    return r;
}

int single_metric_update(struct single_metric *single, const struct tensor *y_true,
                         const struct tensor *y_pred, const struct tensor *sample_weight,
                         const double **ret_values, size_t *ret_n, struct err *err)
{
    struct widths widths = {0};
    struct shape column = as_column(&y_pred->shape);
    int r = find_widths(&y_true->shape, &column, &widths, err);
    r = r < 0 ? r : check_weight(sample_weight, widths.rows, err);
    if (r < 0) {
        return r;
    }
    if (widths.cols != single->widths.cols || widths.label_cols != single->widths.label_cols ||
        widths.rows > single->widths.rows) {
        return err_set(err, ERR_SHAPE, "the batch has another shape than the first");
    }
    labels_to_floats(y_true->dtype, y_true->data, widths.rows * widths.label_cols, single->labels);
    struct metric_batch batch = {.rows = widths.rows,
                                 .cols = widths.cols,
                                 .label_cols = widths.label_cols,
                                 .y_pred = y_pred->data,
                                 .y_true = single->labels,
                                 .sample_weight = sample_weight ? sample_weight->data : NULL};
    metric_update(single->metric, &batch);
    for (size_t i = 0; i < metric_n_values(single->metric); i++) {
        single->values[i] = metric_value(single->metric, i);
    }
    *ret_values = single->values;
    *ret_n = metric_n_values(single->metric);
    return 0;
}
