#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/model_impl.h"

enum { ALIGNMENT = 64 };

static size_t aligned(size_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* -- variables ------------------------------------------------------------------------------- */

static const char *var_path(const struct model *model, const struct layer *layer, int v)
{
    return arena_printf(model->arena, "%s/%s", layer->name, layer->vars[v].name);
}

static void take_param(struct model *model, struct layer *layer, int v, char *data, char *grad)
{
    struct layer_var *var = &layer->vars[v];
    var->data = data;
    const char *path = var_path(model, layer, v);
    if (var->dtype == DTYPE_F32) {
        init_fill(&var->init, &var->shape, model->seed, path, var->data);
    }
    if (model->trains && layer_trains(layer, v)) {
        var->grad = (float *)(void *)grad;
        model->params[model->n_params++] = (struct optimizer_param){
            .path = path, .shape = var->shape, .count = var->count, .w = var->data, .g = var->grad};
    }
}

static size_t var_bytes(const struct layer_var *var)
{
    return aligned(var->count * dtype_bytes(var->dtype));
}

/* All variables in one block, all gradients in another, in the document's order. */
int model_plan_variables(struct model *model, struct err *err)
{
    size_t data_bytes = 0, grad_bytes = 0, n_vars = 0;
    for (int i = 0; i < model->specs.n; i++) {
        const struct layer *layer = model->specs.v[i].layer;
        for (int v = 0; v < layer->n_vars; v++, n_vars++) {
            data_bytes += var_bytes(&layer->vars[v]);
            grad_bytes += model->trains && layer_trains(layer, v) ? var_bytes(&layer->vars[v]) : 0;
        }
    }
    char *data = arena_try(model->arena, data_bytes + ALIGNMENT);
    char *grad = data ? arena_try(model->arena, grad_bytes + ALIGNMENT) : NULL;
    if (!grad) {
        return err_set_at(err, ERR_NO_MEMORY, "model", "%zu MiB of parameters do not fit",
                          (data_bytes + grad_bytes) >> 20);
    }
    model->parameter_bytes = data_bytes;
    model->gradient_bytes = grad_bytes;
    model->params = arena_array(model->arena, n_vars + 1, sizeof(*model->params));
    for (int i = 0; i < model->specs.n; i++) {
        struct layer *layer = model->specs.v[i].layer;
        for (int v = 0; v < layer->n_vars; v++) {
            take_param(model, layer, v, data, grad);
            data += var_bytes(&layer->vars[v]);
            grad += layer->vars[v].grad ? var_bytes(&layer->vars[v]) : 0;
        }
    }
    return 0;
}

/* -- kernels --------------------------------------------------------------------------------- */

static bool needs_dx(const struct model *model, const struct model_node *node)
{
    for (int k = 0; k < node->n_inputs; k++) {
        if (model->wires[model->wires[node->inputs[k]].root].wants_grad) {
            return true;
        }
    }
    return false;
}

int model_plan_kernels(struct model *model, struct err *err)
{
    for (int i = 0; i < model->n_nodes; i++) {
        struct model_node *node = &model->nodes[i];
        struct layer_setup setup = {
            .backend = model->backend,
            .rows = model->batch_rows,
            .training = node->has_backward || (model->trains && node->layer->desc->random),
            .needs_dx = needs_dx(model, node),
            .arena = model->arena,
        };
        int r = layer_prepare(node->layer, &setup, err);
        if (r < 0) {
            err_prefix(err, "%s", node->path);
            return r;
        }
        size_t scratch = node->layer->scratch_bytes;
        model->scratch_bytes = scratch > model->scratch_bytes ? scratch : model->scratch_bytes;
    }
    return 0;
}

/* -- one block of memory for all that is alive between two calls only -------------------------
 * Time i is node i's forward, n the loss, 2n - i node i's backward, 2n + 1 the end. */

static int backward_time(const struct model *model, int node)
{
    return 2 * model->n_nodes - node;
}

static int end_time(const struct model *model)
{
    return 2 * model->n_nodes + 1;
}

static void touch(int *first, int *last, int time)
{
    *first = *first < 0 || time < *first ? time : *first;
    *last = time > *last ? time : *last;
}

static void touch_data(struct model *model, int wire, int time)
{
    struct model_wire *root = &model->wires[model->wires[wire].root];
    touch(&root->first, &root->last, time);
}

static void touch_grad(struct model *model, int wire, int time)
{
    struct model_wire *root = &model->wires[model->wires[wire].root];
    if (root->wants_grad) {
        touch(&root->grad_first, &root->grad_last, time);
    }
}

static void find_lives(struct model *model)
{
    for (int w = 0; w < model->n_wires; w++) {
        struct model_wire *wire = &model->wires[w];
        wire->first = wire->last = wire->grad_first = wire->grad_last = -1;
    }
    for (int i = 0; i < model->n_nodes; i++) {
        const struct model_node *node = &model->nodes[i];
        int back = backward_time(model, i);
        touch_data(model, node->output, i);
        for (int k = 0; k < node->n_inputs; k++) {
            touch_data(model, node->inputs[k], i);
        }
        if (!node->has_backward || i == model->head_node) {
            continue;
        }
        touch_grad(model, node->output, back);
        if (node->layer->needs_y) {
            touch_data(model, node->output, back);
        }
        for (int k = 0; k < node->n_inputs; k++) {
            touch_grad(model, node->inputs[k], back);
            if (node->layer->needs_x) {
                touch_data(model, node->inputs[k], back);
            }
        }
    }
    if (model->loss) {
        touch_data(model, model->loss_wire, model->n_nodes);
        touch_grad(model, model->loss_wire, model->n_nodes);
    }
    for (int o = 0; o < model->specs.n_outputs; o++) {
        touch_data(model, model->spec_output[model->specs.outputs[o]], end_time(model));
    }
}

static void add_piece(struct model_piece *pieces, int *n, size_t bytes, int first, int last,
                      void **to)
{
    if (bytes > 0 && first >= 0) {
        pieces[(*n)++] =
            (struct model_piece){.bytes = aligned(bytes), .first = first, .last = last, .to = to};
    }
}

/* How many gradients a wire gets: all but the first wait in a spare place to be added. */
static int count_writers(const struct model *model, int root)
{
    int n = model->loss && model->wires[model->loss_wire].root == root ? 1 : 0;
    for (int i = 0; i < model->n_nodes; i++) {
        const struct model_node *node = &model->nodes[i];
        for (int k = 0; k < node->n_inputs; k++) {
            bool writes = node->has_backward && i != model->head_node;
            n += writes && model->wires[node->inputs[k]].root == root ? 1 : 0;
        }
    }
    return n;
}

static size_t batch_bytes(const struct model *model, const struct model_wire *wire)
{
    return wire->count * (size_t)model->batch_rows * sizeof(float);
}

static int list_pieces(struct model *model, struct model_piece *pieces)
{
    int n = 0;
    for (int w = 0; w < model->n_wires; w++) {
        struct model_wire *wire = &model->wires[w];
        if (wire->root != w) {
            continue;
        }
        if (wire->field < 0) {
            add_piece(pieces, &n, batch_bytes(model, wire), wire->first, wire->last,
                      (void **)(void *)&wire->data);
        }
        add_piece(pieces, &n, batch_bytes(model, wire), wire->grad_first, wire->grad_last,
                  (void **)(void *)&wire->grad);
    }
    for (int i = 0; i < model->n_nodes; i++) {
        struct model_node *node = &model->nodes[i];
        int back = backward_time(model, i);
        add_piece(pieces, &n, node->layer->state_bytes, i, node->has_backward ? back : i,
                  &node->state);
        for (int k = 0; node->has_backward && i != model->head_node && k < node->n_inputs; k++) {
            int root = model->wires[node->inputs[k]].root;
            if (model->wires[root].wants_grad && count_writers(model, root) > 1) {
                add_piece(pieces, &n, batch_bytes(model, &model->wires[root]), back, back,
                          (void **)(void *)&node->spare[k]);
            }
        }
    }
    return n;
}

static int by_size(const void *a, const void *b)
{
    const struct model_piece *x = a, *y = b;
    if (x->bytes != y->bytes) {
        return x->bytes < y->bytes ? 1 : -1;
    }
    return x->first - y->first;
}

static int by_offset(const void *a, const void *b)
{
    const struct model_piece *const *x = a, *const *y = b;
    return (*x)->offset < (*y)->offset ? -1 : ((*x)->offset > (*y)->offset ? 1 : 0);
}

/* Largest first, each at the lowest place that no piece alive at the same time holds. */
static size_t place(struct model_piece *pieces, int n, struct model_piece **alive)
{
    size_t total = 0;
    for (int i = 0; i < n; i++) {
        struct model_piece *piece = &pieces[i];
        size_t n_alive = 0;
        for (int j = 0; j < i; j++) {
            if (pieces[j].first <= piece->last && piece->first <= pieces[j].last) {
                alive[n_alive++] = &pieces[j];
            }
        }
        qsort(alive, n_alive, sizeof(struct model_piece *), by_offset);
        size_t at = 0;
        for (size_t j = 0; j < n_alive && alive[j]->offset < at + piece->bytes; j++) {
            size_t end = alive[j]->offset + alive[j]->bytes;
            at = end > at ? end : at;
        }
        piece->offset = at;
        total = at + piece->bytes > total ? at + piece->bytes : total;
    }
    return total;
}

int model_plan_memory(struct model *model, struct err *err)
{
    size_t most = 2 * (size_t)model->n_wires + (size_t)model->n_nodes + 1;
    for (int i = 0; i < model->n_nodes; i++) {
        most += (size_t)model->nodes[i].n_inputs;
    }
    struct model_piece *pieces = arena_array(model->arena, most, sizeof(*pieces));
    struct model_piece **alive = arena_array(model->arena, most, sizeof(struct model_piece *));
    find_lives(model);
    int n = list_pieces(model, pieces);
    qsort(pieces, (size_t)n, sizeof(*pieces), by_size);
    model->block_bytes = place(pieces, n, alive);
    char *block = arena_try(model->arena, model->block_bytes + ALIGNMENT);
    model->scratch = block ? arena_try(model->arena, model->scratch_bytes + ALIGNMENT) : NULL;
    if (!model->scratch) {
        return err_set_at(err, ERR_NO_MEMORY, "model",
                          "a batch of %" PRId64 " rows needs %zu MiB, which do not fit",
                          model->batch_rows, (model->block_bytes + model->scratch_bytes) >> 20);
    }
    for (int i = 0; i < n; i++) {
        *pieces[i].to = block + pieces[i].offset;
    }
    return 0;
}
