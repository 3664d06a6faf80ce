#include <math.h>
#include <string.h>

#include "trainer/loss/labels.h"
#include "trainer/model_impl.h"

static void fill_call(const struct model *model, struct model_node *node, int64_t rows,
                      bool training, struct layer_call *call)
{
    for (int k = 0; k < node->n_inputs; k++) {
        node->x[k] = model_wire_data(model, node->inputs[k]);
    }
    *call = (struct layer_call){
        .backend = model->backend,
        .rows = rows,
        .training = training,
        .x = node->x,
        .y = model_wire_data(model, node->output),
        .scratch = model->scratch,
        .state = node->state,
        .seed = model->seed,
        .step = model->optimizer ? optimizer_iterations(model->optimizer) : 0,
        .x_dtype = DTYPE_F32,
    };
}

static void take_inputs(struct model *model, const void *const *inputs)
{
    for (int w = 0; w < model->n_wires; w++) {
        struct model_wire *wire = &model->wires[w];
        if (wire->root == w && wire->field >= 0) {
            /* Read only: no layer writes its input. */
            wire->data = (float *)(uintptr_t)inputs[wire->field];
        }
    }
}

int model_step_forward(struct model *model, const void *const *inputs, int64_t rows, bool training,
                       struct err *err)
{
    take_inputs(model, inputs);
    for (int i = 0; i < model->n_nodes; i++) {
        struct model_node *node = &model->nodes[i];
        const void *field;
        struct layer_call call;
        fill_call(model, node, rows, training, &call);
        if (node->n_inputs == 0) {
            const struct model_spec *spec = &model->specs.v[node->spec];
            field = inputs[spec->field];
            call.x = &field;
            call.x_dtype = model->inputs[spec->field].dtype;
        }
        const struct layer_desc *desc = node->layer->desc;
        int r = desc->check ? desc->check(node->layer, &call, err) : 0;
        if (r < 0) {
            err_prefix(err, "%s", node->layer->name);
            return r;
        }
        desc->forward(node->layer, &call);
    }
    return 0;
}

/* The first gradient of a wire goes to its place, further ones are added to it. */
static void aim(struct model *model, struct model_node *node)
{
    for (int k = 0; k < node->n_inputs; k++) {
        struct model_wire *root = &model->wires[model->wires[node->inputs[k]].root];
        node->dx[k] = NULL;
        if (root->wants_grad) {
            node->dx[k] = root->has_grad ? node->spare[k] : root->grad;
            root->has_grad = true;
        }
    }
}

static void add_spares(struct model *model, struct model_node *node, int64_t rows)
{
    for (int k = 0; k < node->n_inputs; k++) {
        struct model_wire *root = &model->wires[model->wires[node->inputs[k]].root];
        if (node->dx[k] && node->dx[k] != root->grad) {
            model->backend->vec->add((size_t)rows * root->count, root->grad, node->dx[k],
                                     root->grad);
        }
    }
}

void model_step_backward(struct model *model, int64_t rows)
{
    for (int i = model->n_nodes - 1; i >= 0; i--) {
        struct model_node *node = &model->nodes[i];
        struct model_wire *output = &model->wires[model->wires[node->output].root];
        if (!node->has_backward || i == model->head_node) {
            continue;
        }
        struct layer_call call;
        fill_call(model, node, rows, true, &call);
        aim(model, node);
        if (!output->has_grad) {
            /* A branch that no loss sees. */
            memset(output->grad, 0, (size_t)rows * output->count * sizeof(float));
        }
        call.dy = output->grad;
        call.dx = node->dx;
        node->layer->desc->backward(node->layer, &call);
        add_spares(model, node, rows);
    }
}

static void begin_backward(struct model *model)
{
    for (int w = 0; w < model->n_wires; w++) {
        model->wires[w].has_grad = false;
    }
    model->wires[model->wires[model->loss_wire].root].has_grad = true;
}

static int run_loss(struct model *model, const void *label, const float *sample_weight,
                    int64_t rows, bool training, struct err *err)
{
    struct model_wire *wire = &model->wires[model->wires[model->loss_wire].root];
    struct loss_args args = {
        .rows = (size_t)rows * model->out_rows,
        .y_pred = wire->data,
        .y_true = label,
        .sample_weight = sample_weight,
        .grad = training ? wire->grad : NULL,
        .grad_scale = training ? (float)optimizer_loss_scale(model->optimizer) : 1.0F,
    };
    return loss_run(model->loss, &args, &model->loss_of_step, err);
}

static void update_metrics(struct model *model, const void *label, int64_t rows)
{
    struct metric_batch batch = {
        .rows = (size_t)rows * model->out_rows,
        .cols = model->wires[model->output].count / model->out_rows,
        .label_cols = model->label_cols,
        .y_pred = model_wire_data(model, model->output),
        .y_true = model->label_floats,
    };
    /* Keras's history: the mean of the batches' losses, weighted by their rows. */
    model->loss_sum += model->loss_of_step * (double)rows;
    model->loss_weight += (double)rows;
    if (model->n_metrics > 0) {
        labels_to_floats(model->label_dtype, label, batch.rows * batch.label_cols,
                         model->label_floats);
    }
    for (int m = 0; m < model->n_metrics; m++) {
        metric_update(model->metrics[m], &batch);
    }
}

static int check_call(const struct model *model, bool needs_loss, int64_t rows, struct err *err)
{
    BUG_ON(rows < 1 || rows > model->batch_rows);
    if (needs_loss && !model->loss) {
        return err_set_at(err, ERR_MISSING, "compile", "the model was not compiled with a loss");
    }
    return 0;
}

/* Before they reach the weights: those of the last step stay good. */
static int check_gradients(const struct model *model, struct err *err)
{
    for (int p = 0; p < model->n_params; p++) {
        const struct optimizer_param *param = &model->params[p];
        if (!model->backend->vec->is_finite(param->count, param->g)) {
            return err_set(
                err, ERR_NOT_FINITE,
                "the gradient of '%.100s' in step %lld is not finite; a smaller learning "
                "rate or clipnorm may help",
                param->path, (long long)model_step(model));
        }
    }
    return 0;
}

int model_train_step(struct model *model, const void *const *inputs, const void *label,
                     const float *sample_weight, int64_t rows, struct err *err)
{
    int r = check_call(model, true, rows, err);
    if (r == 0 && sample_weight && model->out_rows != 1) {
        r = err_set_at(err, ERR_UNSUPPORTED, "sample_weight",
                       "an output of several rows a sample takes no weights of samples");
    }
    if (r < 0) {
        return r;
    }
    r = model_step_forward(model, inputs, rows, true, err);
    r = r < 0 ? r : run_loss(model, label, sample_weight, rows, true, err);
    if (r < 0) {
        return r;
    }
    if (!isfinite(model->loss_of_step)) {
        return err_set(err, ERR_NOT_FINITE,
                       "the loss of step %lld is %s; a smaller learning rate or clipnorm may help",
                       (long long)model_step(model),
                       isnan(model->loss_of_step) ? "NaN" : "infinite");
    }
    begin_backward(model);
    model_step_backward(model, rows);
    r = check_gradients(model, err);
    if (r < 0) {
        return r;
    }
    optimizer_step(model->optimizer);
    update_metrics(model, label, rows);
    return 0;
}

int model_test_step(struct model *model, const void *const *inputs, const void *label, int64_t rows,
                    struct err *err)
{
    int r = check_call(model, true, rows, err);
    if (r < 0) {
        return r;
    }
    r = model_step_forward(model, inputs, rows, false, err);
    r = r < 0 ? r : run_loss(model, label, NULL, rows, false, err);
    if (r == 0) {
        update_metrics(model, label, rows);
    }
    return r;
}

int model_predict(struct model *model, const void *const *inputs, int64_t rows,
                  const float **ret_output, int64_t *ret_width, struct err *err)
{
    int r = check_call(model, false, rows, err);
    if (r == 0 && model->output < 0) {
        r = err_set_at(err, ERR_UNSUPPORTED, "model",
                       "a model of several outputs cannot predict yet");
    }
    r = r < 0 ? r : model_step_forward(model, inputs, rows, false, err);
    if (r < 0) {
        return r;
    }
    *ret_output = model_wire_data(model, model->output);
    *ret_width = (int64_t)model->wires[model->output].count;
    return 0;
}
