#include "trainer/model_doc.h"

#include <stdio.h>
#include <string.h>

#include "trainer/class_name.h"

enum { SPECS_MAX = 4096 };

struct reader {
    struct arena *arena;
    struct model_specs *specs;
    const struct model_input *fields;
    int n_fields;
    int capacity;
    /* What is wrong, all of it. */
    int n_problems;
    struct err first;
    struct buf problems;
};

static void problem(struct reader *reader, const struct err *err)
{
    if (reader->n_problems++ == 0) {
        reader->first = *err;
    } else {
        buf_puts(&reader->problems, "; ");
    }
    buf_printf(&reader->problems, "%s: %s", err->path, err->text);
}

static int report(struct reader *reader, struct err *err)
{
    int r = 0;
    if (reader->n_problems == 1) {
        r = err_set_at(err, reader->first.code, reader->first.path, "%s", reader->first.text);
    } else if (reader->n_problems > 1) {
        r = err_set_at(err, reader->first.code, reader->first.path, "%d problems: %s",
                       reader->n_problems, reader->problems.data);
    }
    buf_fini(&reader->problems);
    return r;
}

static struct model_spec *add_spec(struct reader *reader)
{
    struct model_specs *specs = reader->specs;
    BUG_ON(specs->n >= reader->capacity);
    struct model_spec *spec = &specs->v[specs->n++];
    *spec = (struct model_spec){.field = -1};
    return spec;
}

static int spec_at(const struct reader *reader, const char *name)
{
    for (int i = 0; i < reader->specs->n; i++) {
        const struct layer *layer = reader->specs->v[i].layer;
        if (layer && layer->name && strcmp(layer->name, name) == 0) {
            return i;
        }
    }
    return -1;
}

/* -- one layer ------------------------------------------------------------------------------- */

/* What a document says of a layer. */
struct entry {
    const char *class_name, *name;
    const struct doc *options, *inputs, *inbound;
};

static bool is_beside(const char *key)
{
    return strcmp(key, "name") == 0 || strcmp(key, "inputs") == 0;
}

/* {Conv2D: {...}, name: a, inputs: b}. */
static int read_pairs(const struct doc *doc, struct entry *entry, struct err *err)
{
    entry->name = doc_str(doc, "name", NULL);
    entry->inputs = doc_get(doc, "inputs");
    for (size_t i = 0; i < doc->n; i++) {
        if (is_beside(doc->pairs[i].key)) {
            continue;
        }
        if (entry->class_name) {
            return err_set(err, ERR_INVALID, "names two layers, '%.48s' and '%.48s'",
                           entry->class_name, doc->pairs[i].key);
        }
        entry->class_name = doc->pairs[i].key;
        entry->options = &doc->pairs[i].value;
    }
    return entry->class_name ? 0 : err_set(err, ERR_INVALID, "names no layer");
}

static int read_entry(const struct doc *doc, struct entry *entry, struct err *err)
{
    *entry = (struct entry){0};
    if (doc->type == DOC_STR) {
        entry->class_name = doc->str;
        return 0;
    }
    if (doc->type != DOC_MAP) {
        char shown[96];
        doc_describe(doc, shown, sizeof(shown));
        return err_set(err, ERR_INVALID, "takes a layer's name or 'Name: {options}', not %s",
                       shown);
    }
    int r = 0;
    entry->class_name = doc_str(doc, "class_name", NULL);
    if (entry->class_name) {
        entry->options = doc_get(doc, "config");
        entry->name = doc_str(doc, "name", NULL);
        entry->inputs = doc_get(doc, "inputs");
        entry->inbound = doc_get(doc, "inbound_nodes");
    } else {
        r = read_pairs(doc, entry, err);
    }
    if (r == 0 && entry->options && entry->options->type == DOC_MAP && !entry->inputs) {
        entry->inputs = doc_get(entry->options, "inputs");
    }
    if (r == 0 && entry->options && entry->options->type != DOC_MAP &&
        entry->options->type != DOC_NULL) {
        r = err_set_at(err, ERR_INVALID, entry->class_name, "takes a map of options");
    }
    return r;
}

/* The options without `inputs`, which are the graph's. */
static const struct doc *own_options(const struct doc *options, struct arena *arena)
{
    if (!options || options->type != DOC_MAP || !doc_get(options, "inputs")) {
        return options && options->type == DOC_MAP ? options : NULL;
    }
    struct doc *own = doc_new(arena);
    doc_set_map(own);
    for (size_t i = 0; i < options->n; i++) {
        if (strcmp(options->pairs[i].key, "inputs") != 0) {
            *doc_append(own, arena, options->pairs[i].key) = options->pairs[i].value;
        }
    }
    return own;
}

static int read_inputs(struct reader *reader, const struct doc *doc, struct model_spec *spec,
                       struct err *err)
{
    if (!doc || doc->type == DOC_NULL) {
        return 0;
    }
    bool is_list = doc->type == DOC_LIST;
    size_t n = is_list ? doc->n : 1;
    spec->inputs = arena_array(reader->arena, n + 1, sizeof(*spec->inputs));
    for (size_t i = 0; i < n; i++) {
        const struct doc *name = is_list ? &doc->items[i] : doc;
        if (name->type != DOC_STR) {
            return err_set_at(err, ERR_INVALID, "inputs", "takes names of layers");
        }
        spec->inputs[spec->n_inputs++] = name->str;
    }
    return 0;
}

/* A tensor as Keras 3 writes it, {class_name: __keras_tensor__, config: {keras_history}}, or Keras
 * 2, [name, node, index]. */
static int add_inbound(struct model_spec *spec, const struct doc *tensor, size_t room,
                       struct err *err)
{
    const struct doc *history = doc_find(tensor, "config.keras_history");
    if (tensor->type == DOC_LIST && tensor->n >= 3 && tensor->items[0].type == DOC_STR) {
        history = tensor;
    }
    if (!history && tensor->type == DOC_LIST) {
        for (size_t i = 0; i < tensor->n; i++) {
            int r = add_inbound(spec, &tensor->items[i], room, err);
            if (r < 0) {
                return r;
            }
        }
        return 0;
    }
    if (!history || history->type != DOC_LIST || history->n < 3 ||
        history->items[0].type != DOC_STR) {
        return err_set_at(err, ERR_UNSUPPORTED, "inbound_nodes", "holds something but tensors");
    }
    if (history->items[1].type != DOC_INT || history->items[1].i != 0) {
        return err_set_at(err, ERR_UNSUPPORTED, "inbound_nodes",
                          "layers that are called twice are not supported yet");
    }
    if ((size_t)spec->n_inputs >= room) {
        return err_set_at(err, ERR_LIMIT, "inbound_nodes", "has too many tensors");
    }
    spec->inputs[spec->n_inputs++] = history->items[0].str;
    return 0;
}

static int read_inbound(struct reader *reader, const struct doc *nodes, struct model_spec *spec,
                        struct err *err)
{
    enum { INBOUND_MAX = 512 };
    if (!nodes || nodes->type != DOC_LIST || nodes->n == 0) {
        return 0;
    }
    if (nodes->n > 1) {
        return err_set_at(err, ERR_UNSUPPORTED, "inbound_nodes",
                          "layers that are called twice are not supported yet");
    }
    spec->inputs = arena_array(reader->arena, INBOUND_MAX, sizeof(*spec->inputs));
    const struct doc *args = doc_get(&nodes->items[0], "args");
    return add_inbound(spec, args ? args : &nodes->items[0], INBOUND_MAX, err);
}

static const char *auto_name(struct reader *reader, const char *class_name)
{
    char snake[CLASS_NAME_MAX];
    class_name_snake(class_name, snake, sizeof(snake));
    const char *name = arena_strdup(reader->arena, snake);
    for (int n = 1; spec_at(reader, name) >= 0; n++) {
        name = arena_printf(reader->arena, "%s_%d", snake, n);
    }
    return name;
}

static int read_layer(struct reader *reader, const struct doc *doc, struct model_spec *spec,
                      struct err *err)
{
    struct entry entry;
    const struct layer_desc *desc;
    int r = read_entry(doc, &entry, err);
    if (r < 0) {
        return r;
    }
    r = layer_find(entry.class_name, &desc, err);
    if (r < 0) {
        return r;
    }
    spec->path = arena_printf(reader->arena, "%s.%s", spec->path, entry.class_name);
    r = layer_read(desc, own_options(entry.options, reader->arena), entry.name, reader->arena,
                   &spec->layer, err);
    r = r < 0 ? r : read_inputs(reader, entry.inputs, spec, err);
    r = r < 0 ? r : read_inbound(reader, entry.inbound, spec, err);
    if (r < 0) {
        err_prefix(err, "%s", entry.class_name);
        spec->layer = NULL;
        return r;
    }
    return 0;
}

/* -- all layers ------------------------------------------------------------------------------ */

static void read_layers(struct reader *reader, const struct doc *list, const char *path)
{
    for (size_t i = 0; i < list->n; i++) {
        struct err err = {0};
        struct model_spec *spec = add_spec(reader);
        spec->path = arena_printf(reader->arena, "%s[%zu]", path, i);
        const char *place = spec->path;
        if (read_layer(reader, &list->items[i], spec, &err) < 0) {
            err_prefix(&err, "%s", place);
            problem(reader, &err);
        }
    }
}

static bool is_input(const struct model_spec *spec)
{
    return spec->layer && strcmp(spec->layer->desc->name, "InputLayer") == 0;
}

static void name_layers(struct reader *reader)
{
    struct model_specs *specs = reader->specs;
    for (int i = 0; i < specs->n; i++) {
        struct layer *layer = specs->v[i].layer;
        if (layer && layer->name && spec_at(reader, layer->name) != i) {
            struct err err = {0};
            (void)err_set_at(&err, ERR_EXISTS, specs->v[i].path,
                             "a layer before has the name '%.64s'", layer->name);
            problem(reader, &err);
        }
    }
    for (int i = 0; i < specs->n; i++) {
        struct layer *layer = specs->v[i].layer;
        if (layer && !layer->name) {
            layer->name = auto_name(reader, layer->desc->name);
        }
    }
}

static int field_at(const struct reader *reader, const char *name)
{
    for (int f = 0; f < reader->n_fields; f++) {
        if (strcmp(reader->fields[f].name, name) == 0) {
            return f;
        }
    }
    return -1;
}

/* An InputLayer that the document leaves out, for a field of the data. */
static int add_input(struct reader *reader, int field)
{
    const struct layer_desc *desc;
    struct model_spec *spec = add_spec(reader);
    spec->path = "model";
    spec->field = field;
    BUG_ON(layer_find("InputLayer", &desc, NULL) < 0);
    BUG_ON(layer_read(desc, NULL, reader->fields[field].name, reader->arena, &spec->layer, NULL) <
           0);
    return reader->specs->n - 1;
}

static int find_source(struct reader *reader, const struct model_spec *spec, const char *name)
{
    int at = spec_at(reader, name);
    int field = at < 0 ? field_at(reader, name) : -1;
    if (field >= 0) {
        return add_input(reader, field);
    }
    if (at < 0) {
        const char *names[SPECS_MAX];
        size_t n = 0;
        for (int i = 0; i < reader->specs->n; i++) {
            if (reader->specs->v[i].layer) {
                names[n++] = reader->specs->v[i].layer->name;
            }
        }
        const char *nearest = err_nearest(name, names, n);
        struct err err = {0};
        (void)err_set_at(&err, ERR_NOT_FOUND, spec->path, "there is no layer '%.64s' to read%s%s%s",
                         name, nearest ? "; did you mean '" : "", nearest ? nearest : "",
                         nearest ? "'?" : "");
        problem(reader, &err);
    }
    return at;
}

/* The layer before, or the data's first field. */
static void default_input(struct reader *reader, int i)
{
    struct model_spec *spec = &reader->specs->v[i];
    spec->inputs = arena_array(reader->arena, 1, sizeof(*spec->inputs));
    if (i > 0) {
        if (reader->specs->v[i - 1].layer) {
            spec->inputs[spec->n_inputs++] = reader->specs->v[i - 1].layer->name;
        }
        return;
    }
    if (reader->n_fields == 0) {
        struct err err = {0};
        (void)err_set_at(&err, ERR_MISSING, spec->path,
                         "no data is given, so the model must begin with InputLayer: {shape: ...}");
        problem(reader, &err);
        return;
    }
    spec->inputs[spec->n_inputs++] = reader->fields[0].name;
}

static void link_layers(struct reader *reader, int n_layers)
{
    for (int i = 0; i < n_layers; i++) {
        struct model_spec *spec = &reader->specs->v[i];
        if (!spec->layer || is_input(spec)) {
            continue;
        }
        if (spec->n_inputs == 0) {
            default_input(reader, i);
        }
        spec->sources = arena_array(reader->arena, (size_t)spec->n_inputs + 1, sizeof(int));
        for (int k = 0; k < spec->n_inputs; k++) {
            spec->sources[k] = find_source(reader, spec, spec->inputs[k]);
        }
    }
}

/* InputLayers of the document take the field of their name, else fields in turn. */
static void match_fields(struct reader *reader)
{
    int next = 0;
    for (int i = 0; i < reader->specs->n; i++) {
        struct model_spec *spec = &reader->specs->v[i];
        if (is_input(spec) && spec->field < 0) {
            int field = field_at(reader, spec->layer->name);
            spec->field = field >= 0 ? field : (next < reader->n_fields ? next : -1);
            next++;
        }
    }
}

/* Input layers that were left out go to the front, where Keras has them. */
static void move_inputs_first(struct reader *reader, int n_layers)
{
    struct model_specs *specs = reader->specs;
    int added = specs->n - n_layers;
    if (added == 0) {
        return;
    }
    struct model_spec *moved = arena_array(reader->arena, (size_t)specs->n, sizeof(*moved));
    memcpy(moved, specs->v + n_layers, (size_t)added * sizeof(*moved));
    memcpy(moved + added, specs->v, (size_t)n_layers * sizeof(*moved));
    specs->v = moved;
    for (int i = 0; i < specs->n; i++) {
        for (int k = 0; k < moved[i].n_inputs; k++) {
            int *source = &moved[i].sources[k];
            *source = *source >= n_layers ? *source - n_layers : *source + added;
        }
    }
}

static bool is_ready(const struct model_spec *spec, const bool *done)
{
    for (int k = 0; k < spec->n_inputs; k++) {
        if (!done[spec->sources[k]]) {
            return false;
        }
    }
    return true;
}

static int sort_layers(struct reader *reader, struct err *err)
{
    struct model_specs *specs = reader->specs;
    bool *done = arena_array(reader->arena, (size_t)specs->n + 1, sizeof(*done));
    specs->order = arena_array(reader->arena, (size_t)specs->n + 1, sizeof(int));
    for (int n = 0; n < specs->n;) {
        int before = n;
        for (int i = 0; i < specs->n; i++) {
            if (!done[i] && is_ready(&specs->v[i], done)) {
                done[i] = true;
                specs->order[n++] = i;
            }
        }
        for (int i = 0; n == before && i < specs->n; i++) {
            if (!done[i]) {
                return err_set_at(err, ERR_INVALID, specs->v[i].path,
                                  "'%s' reads itself, over other layers or at once",
                                  specs->v[i].layer->name);
            }
        }
    }
    return 0;
}

static void find_outputs(struct reader *reader)
{
    struct model_specs *specs = reader->specs;
    bool *read = arena_array(reader->arena, (size_t)specs->n + 1, sizeof(*read));
    for (int i = 0; i < specs->n; i++) {
        for (int k = 0; k < specs->v[i].n_inputs; k++) {
            read[specs->v[i].sources[k]] = true;
        }
    }
    specs->outputs = arena_array(reader->arena, (size_t)specs->n + 1, sizeof(int));
    for (int i = 0; i < specs->n; i++) {
        if (!read[i]) {
            specs->outputs[specs->n_outputs++] = i;
        }
    }
}

/* output_layers: [name, node, tensor], a list of them, or a map of them. */
static void named_outputs(struct reader *reader, const struct doc *doc)
{
    struct model_specs *specs = reader->specs;
    if (doc->type == DOC_LIST && doc->n == 3 && doc->items[0].type == DOC_STR) {
        int at = spec_at(reader, doc->items[0].str);
        if (at >= 0 && specs->n_outputs < specs->n) {
            specs->outputs[specs->n_outputs++] = at;
        }
        return;
    }
    for (size_t i = 0; doc->type == DOC_LIST && i < doc->n; i++) {
        named_outputs(reader, &doc->items[i]);
    }
    for (size_t i = 0; doc->type == DOC_MAP && i < doc->n; i++) {
        named_outputs(reader, &doc->pairs[i].value);
    }
}

static bool is_chain(const struct model_specs *specs)
{
    for (int i = 0; i < specs->n; i++) {
        bool reads_before = specs->v[i].n_inputs == 1 && specs->v[i].sources[0] == i - 1;
        if (i == 0 ? !is_input(&specs->v[0]) : !reads_before) {
            return false;
        }
    }
    return true;
}

/* Where the layers stand in the document, and what Keras says beside them. */
static int find_list(const struct doc *doc, const struct doc **ret_list, const char **ret_path,
                     const struct doc **ret_config, struct err *err)
{
    *ret_config = NULL;
    if (doc && doc->type == DOC_LIST) {
        *ret_list = doc;
        *ret_path = "model";
        return 0;
    }
    const char *class_name = doc_str(doc, "class_name", NULL);
    bool is_model =
        class_name && (strcmp(class_name, "Sequential") == 0 ||
                       strcmp(class_name, "Functional") == 0 || strcmp(class_name, "Model") == 0);
    if (class_name && !is_model) {
        return err_set_at(err, ERR_UNSUPPORTED, "model",
                          "class_name '%.64s' is no Sequential or Functional model", class_name);
    }
    *ret_config = is_model ? doc_get(doc, "config") : doc;
    *ret_path = is_model ? "model.config.layers" : "model.layers";
    *ret_list = *ret_config && (*ret_config)->type == DOC_LIST ? *ret_config
                                                               : doc_get(*ret_config, "layers");
    if (!*ret_list || (*ret_list)->type != DOC_LIST) {
        char shown[96];
        doc_describe(doc, shown, sizeof(shown));
        return err_set_at(err, ERR_INVALID, "model",
                          "takes a list of layers or Keras's config of a model, not %s", shown);
    }
    return 0;
}

static int finish(struct reader *reader, const struct doc *config, struct err *err)
{
    struct model_specs *specs = reader->specs;
    int n_layers = specs->n;
    name_layers(reader);
    link_layers(reader, n_layers);
    int r = report(reader, err);
    if (r < 0) {
        return r;
    }
    match_fields(reader);
    move_inputs_first(reader, n_layers);
    r = sort_layers(reader, err);
    if (r < 0) {
        return r;
    }
    const struct doc *outputs = doc_get(config, "output_layers");
    if (outputs) {
        specs->outputs = arena_array(reader->arena, (size_t)specs->n + 1, sizeof(int));
        named_outputs(reader, outputs);
    }
    if (specs->n_outputs == 0) {
        find_outputs(reader);
    }
    specs->is_sequential = is_chain(specs);
    specs->name = doc_str(config, "name", specs->is_sequential ? "sequential" : "functional");
    return 0;
}

int model_doc_read(const struct doc *doc, const struct model_input *inputs, int n_inputs,
                   struct arena *arena, struct model_specs *ret, struct err *err)
{
    const struct doc *list = NULL, *config = NULL;
    const char *path = "model";
    int r = find_list(doc, &list, &path, &config, err);
    if (r < 0) {
        return r;
    }
    if (list->n == 0 || list->n > SPECS_MAX / 2) {
        return err_set_at(err, list->n == 0 ? ERR_MISSING : ERR_LIMIT, "model",
                          "has %zu layers; 1 to %d are possible", list->n, SPECS_MAX / 2);
    }
    *ret = (struct model_specs){0};
    struct reader reader = {.arena = arena,
                            .specs = ret,
                            .fields = inputs,
                            .n_fields = n_inputs,
                            .capacity = (int)list->n + n_inputs + 1};
    ret->v = arena_array(arena, (size_t)reader.capacity, sizeof(*ret->v));
    read_layers(&reader, list, path);
    return finish(&reader, config, err);
}
