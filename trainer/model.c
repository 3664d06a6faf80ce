#include "trainer/model.h"

#include <sched.h>
#include <string.h>

#include "trainer/model_impl.h"

struct compile {
    const struct doc *optimizer, *loss, *metrics, *weighted_metrics, *loss_weights;
    const struct doc *steps_per_execution, *jit_compile, *run_eagerly, *auto_scale_loss;
};

static const struct opt compile_options[] = {
    OPT_DOC_ROW(compile, optimizer, "The optimizer.", .flags = OPT_REQUIRED),
    OPT_DOC_ROW(compile, loss, "The loss.", .flags = OPT_REQUIRED),
    OPT_DOC_ROW(compile, metrics, "A list of metrics.", .flags = OPT_NULLABLE),
    OPT_DOC_ROW(compile, weighted_metrics, "Not supported yet.", .flags = OPT_NULLABLE),
    OPT_DOC_ROW(compile, loss_weights, "Not supported yet.", .flags = OPT_NULLABLE),
    OPT_DOC_ROW(compile, steps_per_execution, "Of Keras; without effect.",
                .flags = OPT_NULLABLE | OPT_IGNORED),
    OPT_DOC_ROW(compile, jit_compile, "Of Keras; without effect.",
                .flags = OPT_NULLABLE | OPT_IGNORED),
    OPT_DOC_ROW(compile, run_eagerly, "Of Keras; without effect.",
                .flags = OPT_NULLABLE | OPT_IGNORED),
    OPT_DOC_ROW(compile, auto_scale_loss, "Of Keras; without effect.",
                .flags = OPT_NULLABLE | OPT_IGNORED),
    OPT_END_ROW,
};

static int processors(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}

static void choose_threads(struct model *model, int wanted)
{
    double flops = 0.0;
    for (int i = 0; i < model->specs.n; i++) {
        flops += model->specs.v[i].layer->flops;
    }
    /* Forward once, backward twice. */
    flops *= (double)model->batch_rows * (model->trains ? 3.0 : 1.0);
    model->threads = wanted > 0 ? wanted : kernel_choose_threads(flops, processors());
    kernel_set_threads(model->threads);
}

/* The layer that the output comes from, for messages. */
static const char *output_path(const struct model *model)
{
    for (int i = model->n_nodes; i-- > 0;) {
        if (model->nodes[i].output == model->output && model->nodes[i].path) {
            return model->nodes[i].path;
        }
    }
    return "model";
}

/* Rows of a sample, and how many numbers of the label belong to a row. */
static int fit_label(struct model *model, const struct model_input *label, struct err *err)
{
    const struct model_wire *output = &model->wires[model->output];
    size_t cols = output->shape.rank > 0 ? (size_t)output->shape.d[output->shape.rank - 1] : 1;
    int64_t count = 0;
    int r = shape_count(&label->shape, &count);
    if (r < 0) {
        return err_set_at(err, r, "y", "the label's shape has too many values");
    }
    model->out_rows = output->count / cols;
    model->label_cols = (size_t)count / model->out_rows;
    model->label_dtype = label->dtype;
    if (model->label_cols == 0 || (size_t)count % model->out_rows != 0) {
        char want[128], got[128];
        shape_format(&output->shape, want, sizeof(want));
        shape_format(&label->shape, got, sizeof(got));
        return err_set_at(err, ERR_SHAPE, output_path(model),
                          "the output of this layer has shape %s, but the labels 'y' have shape %s",
                          want, got);
    }
    return 0;
}

/* Behind a softmax or sigmoid, Keras's cross-entropies read its input. */
static void fuse_head(struct model *model)
{
    model->loss_wire = model->output;
    model->head_node = -1;
    enum loss_head head = loss_head(model->loss);
    for (int i = 0; i < model->n_nodes && head != LOSS_HEAD_NONE; i++) {
        const struct model_node *node = &model->nodes[i];
        const struct layer_act *act = &node->layer->tail;
        bool fits = head == LOSS_HEAD_SOFTMAX
                        ? layer_act_is(act, KERNEL_ROWS_SOFTMAX)
                        : !act->over_rows && act->act.kind == KERNEL_ACT_SIGMOID;
        bool is_tail = node->output == model->output && node->n_inputs == 1;
        if (is_tail && fits &&
            model->wires[node->inputs[0]].root != model->wires[node->output].root) {
            model->head_node = i;
            model->loss_wire = node->inputs[0];
            loss_fuse(model->loss);
        }
    }
}

/* A row of the history for each. */
static void list_values(struct model *model)
{
    size_t n = 0;
    for (int m = 0; m < model->n_metrics; m++) {
        n += metric_n_values(model->metrics[m]);
    }
    model->values = arena_array(model->arena, n + 1, sizeof(*model->values));
    for (int m = 0; m < model->n_metrics; m++) {
        const char *name = metric_name(model->metrics[m]);
        size_t several = metric_n_values(model->metrics[m]);
        for (size_t at = 0; at < several; at++) {
            model->values[model->n_values++] = (struct model_value){
                several == 1 ? name : arena_printf(model->arena, "%s[%zu]", name, at), m, at};
        }
    }
}

static int make_metrics(struct model *model, const struct doc *list, struct err *err)
{
    bool is_list = list && list->type == DOC_LIST;
    size_t n = is_list ? list->n : (list && list->type != DOC_NULL ? 1 : 0);
    size_t cols = model->wires[model->output].count / model->out_rows;
    struct metric_setup setup = {.backend = model->backend,
                                 .rows = (size_t)model->batch_rows * model->out_rows,
                                 .cols = cols,
                                 .label_cols = model->label_cols};
    model->metrics = arena_array(model->arena, n + 1, sizeof(struct metric *));
    for (size_t i = 0; i < n; i++) {
        const struct doc *doc = is_list ? &list->items[i] : list;
        int r = metric_create(doc, &setup, model->arena, &model->metrics[i], err);
        if (r < 0) {
            err_prefix(err, "compile.metrics[%zu]", i);
            return r;
        }
        model->n_metrics++;
    }
    list_values(model);
    model->label_floats =
        arena_array(model->arena, setup.rows * model->label_cols + 1, sizeof(float));
    return 0;
}

static int make_loss(struct model *model, const struct doc *doc, struct err *err)
{
    struct loss_setup setup = {
        .backend = model->backend,
        .rows = (size_t)model->batch_rows * model->out_rows,
        .cols = model->wires[model->output].count / model->out_rows,
        .label_cols = model->label_cols,
        .label_dtype = model->label_dtype,
    };
    int r = loss_create(doc, &setup, model->arena, &model->loss, err);
    if (r < 0) {
        err_prefix(err, "compile.loss");
        return r;
    }
    fuse_head(model);
    return 0;
}

static int make_optimizer(struct model *model, const struct doc *doc, struct err *err)
{
    size_t before = model->arena->used_bytes;
    int r = optimizer_create(doc, model->params, model->n_params, model->backend, model->arena,
                             &model->optimizer, err);
    if (r < 0) {
        err_prefix(err, "compile.optimizer");
    }
    model->optimizer_bytes = model->arena->used_bytes - before;
    return r;
}

static int read_compile(struct model *model, struct compile *compile, struct err *err)
{
    int r = opt_read(compile_options, compile, model->compile, model->arena, err);
    r = r < 0 ? r : layer_refuse(compile->weighted_metrics, "weighted_metrics", err);
    r = r < 0 ? r : layer_refuse(compile->loss_weights, "loss_weights", err);
    if (r < 0) {
        err_prefix(err, "compile");
        return r;
    }
    if (model->output < 0) {
        return err_set_at(err, ERR_UNSUPPORTED, "model", "has %d outputs; training takes one",
                          model->specs.n_outputs);
    }
    return 0;
}

/* Labels that no output stands for are named before the first step. */
static int check_classes(const struct model *model, const struct model_options *options,
                         struct err *err)
{
    size_t width = model->wires[model->output].count / model->out_rows;
    if (!loss_is_sparse(model->loss) || (int64_t)width >= options->n_classes) {
        return 0;
    }
    return err_set_at(err, ERR_SHAPE, output_path(model),
                      "the data has %lld classes, but the output is %zu wide%s%s%s",
                      (long long)options->n_classes, width, options->top_class != NULL ? " (" : "",
                      options->top_class != NULL ? options->top_class : "",
                      options->top_class != NULL ? ")" : "");
}

static int build_training(struct model *model, const struct model_options *options, struct err *err)
{
    struct compile compile = {0};
    int r = read_compile(model, &compile, err);
    r = r < 0 ? r : fit_label(model, options->label, err);
    r = r < 0 ? r : make_loss(model, compile.loss, err);
    r = r < 0 ? r : make_metrics(model, compile.metrics, err);
    r = r < 0 ? r : check_classes(model, options, err);
    return r < 0 ? r : make_optimizer(model, compile.optimizer, err);
}

static int build(struct model *model, const struct model_options *options, struct err *err)
{
    int r = model_doc_read(options->model, options->inputs, options->n_inputs, model->arena,
                           &model->specs, err);
    r = r < 0 ? r : model_graph_build(model, err);
    if (r < 0) {
        return r;
    }
    choose_threads(model, options->threads);
    model->head_node = -1;
    model->loss_wire = model->output;
    r = model_plan_variables(model, err);
    if (r == 0 && model->trains) {
        r = build_training(model, options, err);
    }
    r = r < 0 ? r : model_plan_kernels(model, err);
    r = r < 0 ? r : model_plan_memory(model, err);
    if (r == 0) {
        model_export_tensors(model);
    }
    return r;
}

int model_compile(const struct model_options *options, struct arena *arena, struct model **ret,
                  struct err *err)
{
    struct model *model = ARENA_NEW(arena, struct model);
    const struct doc *compile = options->compile;
    model->arena = arena;
    model->seed = options->seed;
    model->batch_rows = options->batch_rows > 0 ? options->batch_rows : 1;
    model->compile = compile && compile->type != DOC_NULL ? compile : NULL;
    model->trains = model->compile && options->label;
    struct model_input *inputs = arena_array(arena, (size_t)options->n_inputs + 1, sizeof(*inputs));
    for (int i = 0; i < options->n_inputs; i++) {
        inputs[i] = options->inputs[i];
        inputs[i].name = arena_strdup(arena, options->inputs[i].name);
    }
    model->inputs = inputs;
    model->n_inputs = options->n_inputs;
    model->backend = kernel_find(options->backend);
    if (!model->backend) {
        return err_set_at(err, ERR_UNKNOWN, "backend", "there is no backend '%.32s' here",
                          options->backend);
    }
    int r = build(model, options, err);
    if (r < 0) {
        model_destroy(model);
        return r;
    }
    *ret = model;
    return 0;
}

void model_destroy(struct model *model)
{
    for (int i = 0; model && i < model->n_nodes; i++) {
        layer_destroy(model->nodes[i].layer);
    }
}

int model_n_metrics(const struct model *model)
{
    return model->loss ? model->n_values + 1 : 0;
}

const char *model_metric_name(const struct model *model, int index)
{
    return index == 0 ? "loss" : model->values[index - 1].name;
}

double model_metric_value(const struct model *model, int index)
{
    if (index > 0) {
        const struct model_value *value = &model->values[index - 1];
        return metric_value(model->metrics[value->metric], value->at);
    }
    return model->loss_weight > 0.0 ? model->loss_sum / model->loss_weight : 0.0;
}

bool model_metric_is_gain(const struct model *model, int index)
{
    return index > 0 && metric_is_gain(model->metrics[model->values[index - 1].metric]);
}

bool model_rate_is_set(const struct model *model)
{
    return model->optimizer && optimizer_rate_is_set(model->optimizer);
}

void model_set_rate(struct model *model, double rate)
{
    optimizer_set_rate(model->optimizer, rate);
}

void model_reset_metrics(struct model *model)
{
    model->loss_sum = model->loss_weight = 0.0;
    for (int m = 0; m < model->n_metrics; m++) {
        metric_reset(model->metrics[m]);
    }
}

double model_loss_of_step(const struct model *model)
{
    return model->loss_of_step;
}

double model_learning_rate(const struct model *model)
{
    return model->optimizer ? optimizer_rate(model->optimizer) : 0.0;
}

int64_t model_step(const struct model *model)
{
    return model->optimizer ? optimizer_iterations(model->optimizer) : 0;
}

void model_save_metrics(const struct model *model, struct doc *map, struct arena *arena)
{
    doc_set_map(map);
    doc_put_float(map, arena, "loss_sum", model->loss_sum);
    doc_put_float(map, arena, "loss_weight", model->loss_weight);
    struct doc *list = doc_put(map, arena, "metrics");
    doc_set_list(list);
    for (int m = 0; m < model->n_metrics; m++) {
        size_t n;
        const double *state = metric_state(model->metrics[m], &n);
        struct doc *item = doc_push(list, arena);
        doc_set_list(item);
        for (size_t i = 0; i < n; i++) {
            doc_set_float(doc_push(item, arena), state[i]);
        }
    }
}

int model_load_metrics(struct model *model, const struct doc *map, struct err *err)
{
    const struct doc *list = doc_get(map, "metrics");
    if (!list || list->type != DOC_LIST || list->n != (size_t)model->n_metrics) {
        return err_set(err, ERR_CORRUPT, "the saved metrics are not this model's");
    }
    for (int m = 0; m < model->n_metrics; m++) {
        size_t n;
        double *state = metric_state(model->metrics[m], &n);
        const struct doc *item = &list->items[m];
        if (item->type != DOC_LIST || item->n != n) {
            return err_set(err, ERR_CORRUPT, "the saved metrics are not this model's");
        }
        for (size_t i = 0; i < n; i++) {
            state[i] = doc_is_number(&item->items[i]) ? doc_number(&item->items[i]) : 0.0;
        }
    }
    model->loss_sum = doc_float(map, "loss_sum", 0.0);
    model->loss_weight = doc_float(map, "loss_weight", 0.0);
    return 0;
}
