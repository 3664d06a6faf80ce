#include "trainer/layer/layer.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "trainer/class_name.h"

#define LAYER_ROW(name) extern const struct layer_desc layer_##name;
#include "trainer/layer/layer_rows.h"
#undef LAYER_ROW

enum { OPTION_MAX = 64 };

static const struct layer_desc *const table[] = {
#define LAYER_ROW(name) &layer_##name,
#include "trainer/layer/layer_rows.h"
#undef LAYER_ROW
};

const struct opt_name layer_formats[] = {{"channels_last", 0}, {NULL, 0}};

const struct layer_desc *layer_at(size_t n)
{
    return n < sizeof(table) / sizeof(table[0]) ? table[n] : NULL;
}

static const char *name_at(size_t n, const char **ret_aliases)
{
    const struct layer_desc *desc = layer_at(n);
    *ret_aliases = desc ? desc->aliases : NULL;
    return desc ? desc->name : NULL;
}

int layer_find(const char *name, const struct layer_desc **ret, struct err *err)
{
    static const struct class_name_family family = {"layer", name_at};
    int r = class_name_find(&family, name, err);
    if (r >= 0) {
        *ret = table[r];
    }
    return r < 0 ? r : 0;
}

/* "float32", or Keras's {class_name: DTypePolicy, config: {name: float32}}. */
static int check_dtype(const struct doc *dtype, struct err *err)
{
    if (!dtype || dtype->type == DOC_NULL) {
        return 0;
    }
    const char *name =
        dtype->type == DOC_STR ? dtype->str : doc_str(doc_get(dtype, "config"), "name", "?");
    if (strcmp(name, "float32") != 0) {
        return err_set_at(err, ERR_UNSUPPORTED, "dtype",
                          "'%.32s' is not supported; float32 is what there is", name);
    }
    return 0;
}

int layer_read(const struct layer_desc *desc, const struct doc *options, const char *name,
               struct arena *arena, struct layer **ret, struct err *err)
{
    struct layer *layer = ARENA_NEW(arena, struct layer);
    layer->desc = desc;
    layer->options = arena_alloc(arena, desc->size);
    int r = opt_read(desc->options, layer->options, class_name_known(desc->options, options, arena),
                     arena, err);
    if (r < 0) {
        return r;
    }
    memcpy(&layer->common, layer->options, sizeof(layer->common));
    layer->name = layer->common.name ? layer->common.name : name;
    r = check_dtype(layer->common.dtype, err);
    *ret = layer;
    return r;
}

int layer_infer(struct layer *layer, const struct shape *inputs, int n_inputs, struct arena *arena,
                struct err *err)
{
    const struct layer_desc *desc = layer->desc;
    int least = desc->max_inputs ? desc->min_inputs : 1,
        most = desc->max_inputs ? desc->max_inputs : 1;
    if (n_inputs < least || n_inputs > most) {
        return err_set(err, ERR_SHAPE, "%s takes %s%d input%s, not %d", desc->name,
                       least == most ? "" : "at least ", least, least == 1 ? "" : "s", n_inputs);
    }
    layer->inputs = inputs;
    layer->n_inputs = n_inputs;
    return desc->infer(layer, arena, err);
}

int layer_prepare(struct layer *layer, const struct layer_setup *setup, struct err *err)
{
    return layer->desc->prepare ? layer->desc->prepare(layer, setup, err) : 0;
}

void layer_destroy(struct layer *layer)
{
    if (layer && layer->desc->destroy && layer->kernel) {
        layer->desc->destroy(layer);
        layer->kernel = NULL;
    }
}

bool layer_trains(const struct layer *layer, int v)
{
    return layer->common.trainable && layer->vars[v].trainable;
}

int64_t layer_parameters(const struct layer *layer)
{
    int64_t n = 0;
    for (int v = 0; v < layer->n_vars; v++) {
        n += (int64_t)layer->vars[v].count;
    }
    return n;
}

static void option_of(const struct layer_var *var, char *ret)
{
    (void)snprintf(ret, OPTION_MAX, "%s%s", var->option ? var->option : var->name,
                   var->option ? "" : "_initializer");
}

void layer_config(const struct layer *layer, struct doc *map, struct arena *arena)
{
    struct doc *config = layer->desc->is_ours
                             ? class_name_put_ours(map, arena, layer->desc->name)
                             : class_name_put(map, arena, "keras.layers", layer->desc->name);
    class_name_write(layer->desc->options, layer->options, config, arena);
    doc_put_str(config, arena, "name", layer->name);
    doc_put_str(config, arena, "dtype", "float32");
    for (int v = 0; v < layer->n_vars; v++) {
        char key[OPTION_MAX];
        option_of(&layer->vars[v], key);
        if (opt_find(layer->desc->options, key)) {
            init_config(&layer->vars[v].init, doc_put(config, arena, key), arena);
        }
    }
    if (layer->desc->config) {
        layer->desc->config(layer, config, arena);
    }
}

int layer_add_var(struct layer *layer, const struct layer_var *var, const struct doc *initializer,
                  const char *fallback, struct arena *arena, struct err *err)
{
    BUG_ON(layer->n_vars >= LAYER_VARS_MAX);
    struct layer_var *added = &layer->vars[layer->n_vars];
    *added = *var;
    int64_t count = 0;
    int r = shape_count(&added->shape, &count);
    if (r < 0) {
        return err_set(err, r, "%s has too many values", var->name);
    }
    added->count = (size_t)count;
    const struct doc *given = initializer && initializer->type != DOC_NULL ? initializer : NULL;
    r = init_read(given, fallback, arena, &added->init, err);
    if (r == 0) {
        r = init_check(&added->init, &added->shape, err);
    }
    if (r < 0) {
        char option[OPTION_MAX];
        option_of(var, option);
        err_prefix(err, "%s", option);
        return r;
    }
    layer->n_vars++;
    return 0;
}

int layer_take_activation(struct layer *layer, const struct doc *doc, struct err *err)
{
    struct layer_act act;
    int r = layer_act_read(doc, &act, err);
    if (r < 0) {
        err_prefix(err, "activation");
        return r;
    }
    bool fuses = !act.over_rows && kernel_act_is_fusible(act.act.kind) && !layer->wants_tail;
    layer->act = fuses ? act.act : (struct kernel_act){0};
    layer->tail = fuses ? (struct layer_act){0} : act;
    layer->needs_y = layer->act.kind != KERNEL_ACT_LINEAR;
    return 0;
}

int layer_want_rank(const struct layer *layer, int rank, struct err *err)
{
    if (layer->inputs[0].rank == rank) {
        return 0;
    }
    char shape[128];
    shape_format(&layer->inputs[0], shape, sizeof(shape));
    return err_set(err, ERR_SHAPE, "%s takes %d axes beside the batch, but its input is %s",
                   layer->desc->name, rank, shape);
}

int layer_refuse(const struct doc *doc, const char *option, struct err *err)
{
    if (!doc || doc->type == DOC_NULL) {
        return 0;
    }
    return err_set_at(err, ERR_UNSUPPORTED, option, "is not supported yet; leave it out");
}

int layer_int(int64_t value, const char *option, int *ret, struct err *err)
{
    if (value < 0 || value > INT_MAX) {
        return err_set_at(err, ERR_LIMIT, option, "%" PRId64 " is too large", value);
    }
    *ret = (int)value;
    return 0;
}

size_t layer_count(const struct shape *shape, int64_t rows)
{
    int64_t count = 0;
    BUG_ON(shape_count(shape, &count) < 0);
    return (size_t)(count * rows);
}
