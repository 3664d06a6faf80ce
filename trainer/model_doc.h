/* model_doc - model documents (a list, a graph, Keras's config) as layers with names and inputs.
 * Private to model*.c.
 *
 * Owns:     everything lives in the arena given.
 * Threads:  one.
 * Errors:   all unknown layers, options and names are listed in one error; its path is that of the
 * first. Lifetime: the arena's.
 *
 * Forms: a list of layers, each `Flatten`, {Conv2D: {...}} or {class_name, config}, whose options
 * (or a key beside the class) may be `name` and `inputs`, a text or a list: names of layers or of
 * fields of the data; without `inputs` a layer reads the one before. Keras's Sequential and
 * Functional configs. {layers: [...]}.
 */
#ifndef TRAINER_MODEL_DOC_H
#define TRAINER_MODEL_DOC_H

#include "trainer/layer/layer.h"
#include "trainer/model.h"

/* A layer of the document; in the document's order. */
struct model_spec {
    const char *path; /* "model[2].Conv2D" */
    struct layer *layer;
    int n_inputs;
    const char **inputs; /* names of layers; none for an InputLayer */
    int *sources;        /* the same as places in the list */
    int field; /* of an InputLayer: the input of the data, -1: the shape is the document's */
};

struct model_specs {
    const char *name; /* Keras's model name */
    int n;
    struct model_spec *v;
    int *order; /* places so that inputs come first */
    int n_outputs;
    int *outputs; /* places of the output layers */
    bool is_sequential;
};

int model_doc_read(const struct doc *doc, const struct model_input *inputs, int n_inputs,
                   struct arena *arena, struct model_specs *ret, struct err *err);

#endif
