#include <stdio.h>
#include <string.h>

#include "trainer/model_impl.h"

static int add_wire(struct model *model, const struct shape *shape, int root)
{
    int at = model->n_wires++;
    int64_t count = 0;
    BUG_ON(shape_count(shape, &count) < 0);
    model->wires[at] = (struct model_wire){
        .shape = *shape, .count = (size_t)count, .root = root < 0 ? at : root, .field = -1};
    return at;
}

static struct model_node *add_node(struct model *model, struct layer *layer, int spec,
                                   const int *inputs, int n_inputs)
{
    struct model_node *node = &model->nodes[model->n_nodes++];
    size_t n = (size_t)n_inputs + 1;
    *node = (struct model_node){.layer = layer, .spec = spec, .n_inputs = n_inputs};
    node->path = model->specs.v[spec].path;
    node->inputs = arena_array(model->arena, n, sizeof(int));
    node->x = arena_array(model->arena, n, sizeof(*node->x));
    node->dx = arena_array(model->arena, n, sizeof(*node->dx));
    node->spare = arena_array(model->arena, n, sizeof(*node->spare));
    if (n_inputs > 0) { /* a source has none, and inputs is NULL */
        memcpy(node->inputs, inputs, (size_t)n_inputs * sizeof(int));
    }
    return node;
}

/* "(None, 28, 28, 1)". */
static void format_batch(const struct shape *shape, char *buf, size_t size)
{
    struct shape with = {.rank = shape->rank < SHAPE_RANK_MAX ? shape->rank + 1 : SHAPE_RANK_MAX};
    with.d[0] = -1;
    for (int i = 1; i < with.rank; i++) {
        with.d[i] = shape->d[i - 1];
    }
    shape_format(&with, buf, size);
}

/* Both layers and both shapes, for a layer whose input does not fit. */
static int explain(const struct model *model, const struct model_spec *spec, struct err *err)
{
    char text[512], *p = text;
    size_t room = sizeof(text);
    int n = snprintf(p, room, "%.200s (layer '%.40s'", err->text, spec->layer->name);
    for (int k = 0; k < spec->n_inputs && n >= 0 && (size_t)n < room; k++) {
        const struct model_spec *source = &model->specs.v[spec->sources[k]];
        char shape[96];
        p += n;
        room -= (size_t)n;
        format_batch(&model->wires[model->spec_output[spec->sources[k]]].shape, shape,
                     sizeof(shape));
        n = snprintf(p, room, "%s '%.40s' %s, which gives %.60s", k == 0 ? " behind" : " and",
                     source->layer->name, source->layer->desc->name, shape);
    }
    char path[sizeof(err->path)];
    memcpy(path, err->path, sizeof(path));
    return err_set_at(err, err->code, path, "%s)", text);
}

static bool is_output(const struct model *model, int spec)
{
    return model->specs.n_outputs == 1 && model->specs.outputs[0] == spec;
}

static int infer(struct model *model, int at, struct shape *shapes, int *wires, struct err *err)
{
    struct model_spec *spec = &model->specs.v[at];
    for (int k = 0; k < spec->n_inputs; k++) {
        wires[k] = model->spec_output[spec->sources[k]];
        shapes[k] = model->wires[wires[k]].shape;
    }
    spec->layer->wants_tail = is_output(model, at);
    struct err inner = {0};
    int r = layer_infer(spec->layer, shapes, spec->n_inputs, model->arena, &inner);
    int64_t count = -1;
    if (r == 0 && shape_count(&spec->layer->output, &count) == 0 && count == 0) {
        r = err_set(&inner, ERR_SHAPE,
                    "a window that does not fit into its input leaves an empty output");
    }
    if (r < 0) {
        err_prefix(&inner, "%s", spec->path);
        if (r == ERR_SHAPE) {
            (void)explain(model, spec, &inner);
        }
        return err_set_at(err, r, inner.path, "%s", inner.text);
    }
    if (count <= 0 || count > INT64_C(1) << 32) {
        return err_set_at(err, ERR_LIMIT, spec->path, "the output has too many values");
    }
    return 0;
}

static int add_input(struct model *model, int at, struct err *err)
{
    struct model_spec *spec = &model->specs.v[at];
    struct shape *shape = ARENA_NEW(model->arena, struct shape);
    const struct model_input *field = spec->field >= 0 ? &model->inputs[spec->field] : NULL;
    /* Without data the layer's own shape counts. */
    *shape = field ? field->shape : (struct shape){.rank = -1};
    if (field && field->dtype != DTYPE_U8 && field->dtype != DTYPE_F32) {
        return err_set_at(err, ERR_UNSUPPORTED, spec->path,
                          "the field '%.40s' is of type %s; a model reads uint8 or float32",
                          field->name, dtype_name(field->dtype));
    }
    int r = layer_infer(spec->layer, shape, 1, model->arena, err);
    if (r < 0) {
        err_prefix(err, "%s", spec->path);
        return r;
    }
    int wire = add_wire(model, &spec->layer->output, -1);
    model->spec_output[at] = wire;
    if (field && field->dtype == DTYPE_U8) {
        add_node(model, spec->layer, at, NULL, 0)->output = wire;
    } else {
        model->wires[wire].field = spec->field;
    }
    return 0;
}

/* A view adds a wire and no node; an activation behind the layer adds a node. */
static int add_layer(struct model *model, int at, struct err *err)
{
    struct model_spec *spec = &model->specs.v[at];
    size_t n = (size_t)spec->n_inputs + 1;
    struct shape *shapes = arena_array(model->arena, n, sizeof(*shapes));
    int *wires = arena_array(model->arena, n, sizeof(*wires));
    int r = infer(model, at, shapes, wires, err);
    if (r < 0) {
        return r;
    }
    struct layer *layer = spec->layer;
    if (layer->is_same) {
        model->spec_output[at] = wires[0];
        return 0;
    }
    int wire = add_wire(model, &layer->output, layer->is_view ? model->wires[wires[0]].root : -1);
    if (!layer->is_view) {
        add_node(model, layer, at, wires, spec->n_inputs)->output = wire;
    }
    model->spec_output[at] = wire;
    if (layer_act_is_linear(&layer->tail)) {
        return 0;
    }
    struct layer *tail = layer_make_tail(layer, model->arena);
    struct model_node *node = add_node(model, tail, at, &wire, 1);
    r = layer_infer(tail, &layer->output, 1, model->arena, err);
    node->output = model->spec_output[at] = add_wire(model, &tail->output, -1);
    return r;
}

/* -- activations that the layer before them computes too --------------------------------------- */

/* Nodes that read the memory of a wire, itself or through views, and outputs of the model. */
static int count_readers(const struct model *model, int root)
{
    int n = 0;
    for (int i = 0; i < model->n_nodes; i++) {
        for (int k = 0; k < model->nodes[i].n_inputs; k++) {
            n += model->wires[model->nodes[i].inputs[k]].root == root;
        }
    }
    for (int o = 0; o < model->specs.n_outputs; o++) {
        n += model->wires[model->spec_output[model->specs.outputs[o]]].root == root;
    }
    return n;
}

/* The only node of its layer that writes a wire, or NULL. */
static struct model_node *find_maker(struct model *model, int root)
{
    struct model_node *maker = NULL;
    for (int i = 0; i < model->n_nodes; i++) {
        maker = model->nodes[i].output == root ? &model->nodes[i] : maker;
    }
    for (int i = 0; maker && i < model->n_nodes; i++) {
        if (&model->nodes[i] != maker && model->nodes[i].layer == maker->layer) {
            return NULL;
        }
    }
    return maker;
}

static bool absorb(struct model *model, const struct model_node *tail)
{
    const struct kernel_act *act = layer_tail_act(tail->layer);
    const int root = act ? model->wires[tail->inputs[0]].root : -1;
    struct model_node *maker =
        act && count_readers(model, root) == 1 ? find_maker(model, root) : NULL;
    if (!maker || !maker->layer->desc->takes || maker->layer->act.kind != KERNEL_ACT_LINEAR ||
        !maker->layer->desc->takes(maker->layer, act)) {
        return false;
    }
    maker->output = tail->output;
    return true;
}

static void absorb_tails(struct model *model)
{
    int n = 0;
    bool *gone = arena_array(model->arena, (size_t)model->n_nodes + 1, sizeof(*gone));
    for (int i = 0; i < model->n_nodes; i++) {
        gone[i] = absorb(model, &model->nodes[i]);
    }
    for (int i = 0; i < model->n_nodes; i++) {
        if (!gone[i]) {
            model->nodes[n++] = model->nodes[i];
        }
    }
    model->n_nodes = n;
}

/* Gradients flow where a variable that is trained lies before. */
static void mark_gradients(struct model *model)
{
    for (int i = 0; i < model->n_nodes; i++) {
        struct model_node *node = &model->nodes[i];
        bool wants = false;
        for (int v = 0; v < node->layer->n_vars; v++) {
            wants = wants || layer_trains(node->layer, v);
        }
        for (int k = 0; k < node->n_inputs; k++) {
            wants = wants || model->wires[model->wires[node->inputs[k]].root].wants_grad;
        }
        node->has_backward = model->trains && wants && node->layer->desc->backward;
        model->wires[node->output].wants_grad = node->has_backward;
    }
}

static void find_output(struct model *model)
{
    model->output = -1;
    if (model->specs.n_outputs == 1) {
        model->output = model->spec_output[model->specs.outputs[0]];
    }
}

int model_graph_build(struct model *model, struct err *err)
{
    size_t n = (size_t)model->specs.n;
    model->wires = arena_array(model->arena, 2 * n, sizeof(*model->wires));
    model->nodes = arena_array(model->arena, 2 * n, sizeof(*model->nodes));
    model->spec_output = arena_array(model->arena, n, sizeof(int));
    for (size_t i = 0; i < n; i++) {
        int at = model->specs.order[i];
        bool is_input = model->specs.v[at].n_inputs == 0;
        int r = is_input ? add_input(model, at, err) : add_layer(model, at, err);
        if (r < 0) {
            return r;
        }
    }
    absorb_tails(model);
    mark_gradients(model);
    find_output(model);
    return 0;
}
