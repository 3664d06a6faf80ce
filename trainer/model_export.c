#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "trainer/class_name.h"
#include "trainer/model_id.h"
#include "trainer/model_impl.h"

/* -- tensors --------------------------------------------------------------------------------- */

/* Keras counts the layers of a class, in the document's order: "conv2d", "conv2d_1". */
static const char *h5_key(const struct model *model, int at, struct arena *arena)
{
    const struct layer_desc *desc = model->specs.v[at].layer->desc;
    char snake[CLASS_NAME_MAX];
    int n = 0;
    for (int i = 0; i < at; i++) {
        n += model->specs.v[i].layer->desc == desc ? 1 : 0;
    }
    class_name_snake(desc->name, snake, sizeof(snake));
    return n == 0 ? arena_strdup(arena, snake) : arena_printf(arena, "%s_%d", snake, n);
}

static int count_tensors(const struct model *model)
{
    int n = 0, n_optimizer = 0;
    for (int i = 0; i < model->specs.n; i++) {
        n += model->specs.v[i].layer->n_vars;
    }
    if (model->optimizer) {
        (void)optimizer_vars(model->optimizer, &n_optimizer);
    }
    return n + n_optimizer;
}

static void export_layer(struct model *model, int at)
{
    const struct layer *layer = model->specs.v[at].layer;
    const char *key = layer->n_vars > 0 ? h5_key(model, at, model->arena) : "";
    for (int v = 0; v < layer->n_vars; v++) {
        const struct layer_var *var = &layer->vars[v];
        model->tensors[model->n_tensors++] = (struct model_tensor){
            .path = arena_printf(model->arena, "%s/%s", layer->name, var->name),
            .h5_path = arena_printf(model->arena, "layers/%s/vars/%d", key, v),
            .h5_name = layer->name,
            .dtype = var->dtype,
            .shape = var->shape,
            .data = var->data,
            .trainable = layer_trains(layer, v),
        };
    }
}

static void export_optimizer(struct model *model)
{
    int n;
    const struct optimizer_var *vars = optimizer_vars(model->optimizer, &n);
    for (int i = 0; i < n; i++) {
        const char *slash = strchr(vars[i].path, '/');
        model->tensors[model->n_tensors++] = (struct model_tensor){
            .path = vars[i].path,
            .h5_path = arena_printf(model->arena, "optimizer/vars/%d", i),
            .h5_name = arena_strndup(model->arena, vars[i].path, (size_t)(slash - vars[i].path)),
            .dtype = vars[i].dtype,
            .shape = vars[i].shape,
            .data = vars[i].data,
        };
    }
}

void model_export_tensors(struct model *model)
{
    model->tensors =
        arena_array(model->arena, (size_t)count_tensors(model) + 1, sizeof(*model->tensors));
    for (int i = 0; i < model->specs.n; i++) {
        export_layer(model, i);
    }
    if (model->optimizer) {
        export_optimizer(model);
    }
}

const struct model_tensor *model_tensors(const struct model *model, int *ret_n)
{
    *ret_n = model->n_tensors;
    return model->tensors;
}

void model_tensors_id(const struct model *model, char id[65])
{
    model_id_hash(model->tensors, model->n_tensors, id);
}

/* -- the summary ----------------------------------------------------------------------------- */

static void put_shape(struct doc *list, const struct shape *shape, struct arena *arena)
{
    doc_set_list(list);
    doc_set_null(doc_push(list, arena));
    for (int i = 0; i < shape->rank; i++) {
        doc_set_int(doc_push(list, arena), shape->d[i]);
    }
}

static void summarize_layer(const struct model *model, int at, struct doc *map, struct arena *arena)
{
    const struct model_spec *spec = &model->specs.v[at];
    const struct layer *layer = spec->layer;
    doc_set_map(map);
    doc_put_str(map, arena, "name", layer->name);
    doc_put_str(map, arena, "class", layer->desc->name);
    put_shape(doc_put(map, arena, "output_shape"), &layer->output, arena);
    doc_put_int(map, arena, "parameters", layer_parameters(layer));
    doc_put_float(map, arena, "flops", layer->flops);
    struct doc *inputs = doc_put(map, arena, "inputs");
    doc_set_list(inputs);
    for (int k = 0; k < spec->n_inputs; k++) {
        doc_set_str(doc_push(inputs, arena), arena, model->specs.v[spec->sources[k]].layer->name);
    }
    if (layer->impl) {
        doc_put_str(map, arena, "kernel", layer->impl);
    }
}

static void put_counts(const struct model *model, struct doc *map, struct arena *arena)
{
    int64_t all = 0, trainable = 0, optimizer = 0;
    double flops = 0.0;
    for (int i = 0; i < model->specs.n; i++) {
        const struct layer *layer = model->specs.v[i].layer;
        flops += layer->flops;
        for (int v = 0; v < layer->n_vars; v++) {
            all += (int64_t)layer->vars[v].count;
            trainable += layer_trains(layer, v) ? (int64_t)layer->vars[v].count : 0;
        }
    }
    for (int i = 0; i < model->n_tensors; i++) {
        int64_t count = 0;
        bool is_optimizer = strncmp(model->tensors[i].h5_path, "optimizer/", 10) == 0;
        if (is_optimizer && shape_count(&model->tensors[i].shape, &count) == 0) {
            optimizer += count;
        }
    }
    doc_put_int(map, arena, "parameters", all);
    doc_put_int(map, arena, "trainable", trainable);
    doc_put_int(map, arena, "non_trainable", all - trainable);
    doc_put_int(map, arena, "optimizer_parameters", optimizer);
    doc_put_float(map, arena, "flops", flops);
}

void model_summary(const struct model *model, struct doc *map, struct arena *arena)
{
    doc_set_map(map);
    struct doc *layers = doc_put(map, arena, "layers");
    doc_set_list(layers);
    for (int i = 0; i < model->specs.n; i++) {
        summarize_layer(model, i, doc_push(layers, arena), arena);
    }
    put_counts(model, map, arena);
    size_t bytes = model->parameter_bytes + model->gradient_bytes + model->block_bytes +
                   model->scratch_bytes + model->optimizer_bytes;
    doc_put_int(map, arena, "memory_bytes", (int64_t)bytes);
    struct doc *memory = doc_put(map, arena, "memory");
    doc_set_map(memory);
    doc_put_int(memory, arena, "parameters", (int64_t)model->parameter_bytes);
    doc_put_int(memory, arena, "gradients", (int64_t)model->gradient_bytes);
    doc_put_int(memory, arena, "optimizer", (int64_t)model->optimizer_bytes);
    doc_put_int(memory, arena, "activations", (int64_t)model->block_bytes);
    doc_put_int(memory, arena, "scratch", (int64_t)model->scratch_bytes);
    if (model->output >= 0) {
        put_shape(doc_put(map, arena, "output_shape"), &model->wires[model->output].shape, arena);
    }
    doc_put_str(map, arena, "backend", model->backend->name);
    doc_put_int(map, arena, "threads", model->threads);
}

void model_fingerprint(const struct model *model, struct doc *map, struct arena *arena)
{
    char text[256];
    (void)kernel_fingerprint(model->backend, text, sizeof(text));
    doc_set_map(map);
    doc_put_str(map, arena, "kernel", text);
    doc_put_str(map, arena, "backend", model->backend->name);
    doc_put_int(map, arena, "threads", model->threads);
    doc_put_int(map, arena, "numerics", KERNEL_NUMERICS_VERSION);
    doc_put_str(map, arena, "version", MILLRACE_VERSION);
}

/* -- Keras's config.json --------------------------------------------------------------------- */

static void put_history(struct doc *list, const char *name, struct arena *arena)
{
    doc_set_list(list);
    doc_set_str(doc_push(list, arena), arena, name);
    doc_set_int(doc_push(list, arena), 0);
    doc_set_int(doc_push(list, arena), 0);
}

static void put_keras_tensor(const struct model *model, int source, struct doc *map,
                             struct arena *arena)
{
    doc_set_map(map);
    doc_put_str(map, arena, "class_name", "__keras_tensor__");
    struct doc *config = doc_put(map, arena, "config");
    doc_set_map(config);
    put_shape(doc_put(config, arena, "shape"), &model->wires[model->spec_output[source]].shape,
              arena);
    doc_put_str(config, arena, "dtype", "float32");
    put_history(doc_put(config, arena, "keras_history"), model->specs.v[source].layer->name, arena);
}

static void put_inbound(const struct model *model, int at, struct doc *list, struct arena *arena)
{
    const struct model_spec *spec = &model->specs.v[at];
    doc_set_list(list);
    if (spec->n_inputs == 0) {
        return;
    }
    struct doc *call = doc_push(list, arena);
    doc_set_map(call);
    struct doc *args = doc_put(call, arena, "args");
    doc_set_list(args);
    struct doc *to = args;
    if (spec->layer->desc->max_inputs > 1) {
        to = doc_push(args, arena);
        doc_set_list(to);
    }
    for (int k = 0; k < spec->n_inputs; k++) {
        put_keras_tensor(model, spec->sources[k], doc_push(to, arena), arena);
    }
    doc_set_map(doc_put(call, arena, "kwargs"));
}

static void put_functional(const struct model *model, struct doc *config, struct arena *arena)
{
    struct doc *inputs = doc_put(config, arena, "input_layers");
    doc_set_list(inputs);
    for (int i = 0; i < model->specs.n; i++) {
        if (model->specs.v[i].n_inputs == 0) {
            put_history(doc_push(inputs, arena), model->specs.v[i].layer->name, arena);
        }
    }
    struct doc *outputs = doc_put(config, arena, "output_layers");
    doc_set_list(outputs);
    for (int o = 0; o < model->specs.n_outputs; o++) {
        put_history(doc_push(outputs, arena), model->specs.v[model->specs.outputs[o]].layer->name,
                    arena);
    }
}

/* What Keras compiles from. */
static void put_compile(const struct model *model, struct doc *map, struct arena *arena)
{
    doc_set_map(map);
    optimizer_config(model->optimizer, doc_put(map, arena, "optimizer"), arena);
    loss_config(model->loss, doc_put(map, arena, "loss"), arena);
    doc_set_null(doc_put(map, arena, "loss_weights"));
    struct doc *metrics = doc_put(map, arena, "metrics");
    doc_set_list(metrics);
    for (int m = 0; m < model->n_metrics; m++) {
        metric_config(model->metrics[m], doc_push(metrics, arena), arena);
    }
    doc_set_null(doc_put(map, arena, "weighted_metrics"));
    doc_put_bool(map, arena, "run_eagerly", false);
    doc_put_int(map, arena, "steps_per_execution", 1);
    doc_put_bool(map, arena, "jit_compile", false);
}

void model_config(const struct model *model, struct doc *map, struct arena *arena)
{
    bool is_sequential = model->specs.is_sequential;
    doc_set_map(map);
    doc_put_str(map, arena, "module", is_sequential ? "keras" : "keras.src.models.functional");
    doc_put_str(map, arena, "class_name", is_sequential ? "Sequential" : "Functional");
    if (is_sequential) {
        doc_set_null(doc_put(map, arena, "registered_name"));
    } else {
        doc_put_str(map, arena, "registered_name", "Functional");
    }
    struct doc *config = doc_put(map, arena, "config");
    doc_set_map(config);
    doc_put_str(config, arena, "name", model->specs.name);
    doc_put_bool(config, arena, "trainable", true);
    struct doc *layers = doc_put(config, arena, "layers");
    doc_set_list(layers);
    for (int i = 0; i < model->specs.n; i++) {
        struct doc *layer = doc_push(layers, arena);
        layer_config(model->specs.v[i].layer, layer, arena);
        if (!is_sequential) {
            doc_put_str(layer, arena, "name", model->specs.v[i].layer->name);
            put_inbound(model, i, doc_put(layer, arena, "inbound_nodes"), arena);
        }
    }
    if (!is_sequential) {
        put_functional(model, config, arena);
    }
    if (model->loss) {
        put_compile(model, doc_put(map, arena, "compile_config"), arena);
    }
}
