#include <string.h>

#include "trainer/layer/layer.h"

struct input_layer {
    LAYER_FIELDS
    const struct doc *shape, *batch_shape, *batch_size, *input_tensor;
    bool sparse, ragged, optional;
};

static const struct opt options[] = {
    LAYER_ROWS(input_layer),
    OPT_DOC_ROW(input_layer, shape, "The shape without the batch.", .flags = OPT_NULLABLE),
    OPT_DOC_ROW(input_layer, batch_shape, "The shape with the batch, null.", .flags = OPT_NULLABLE),
    OPT_DOC_ROW(input_layer, batch_size, "Of Keras; without effect.",
                .flags = OPT_NULLABLE | OPT_IGNORED),
    OPT_DOC_ROW(input_layer, input_tensor, "Of Keras; without effect.",
                .flags = OPT_NULLABLE | OPT_IGNORED),
    OPT_BOOL_ROW(input_layer, sparse, false, "Of Keras; without effect."),
    OPT_BOOL_ROW(input_layer, ragged, false, "Of Keras; without effect."),
    OPT_BOOL_ROW(input_layer, optional, false, "Of Keras; without effect."),
    OPT_END_ROW,
};

/* The document's shape against the one that the data has. */
static int check_shape(const struct layer *layer, const struct doc *doc, size_t skip,
                       const char *option, struct err *err)
{
    const struct shape *in = &layer->inputs[0];
    if (!doc || doc->type != DOC_LIST) {
        return 0;
    }
    bool fits = doc->n == (size_t)in->rank + skip;
    for (size_t i = skip; fits && i < doc->n; i++) {
        const struct doc *d = &doc->items[i];
        fits = d->type == DOC_NULL || (d->type == DOC_INT && d->i == in->d[i - skip]);
    }
    if (fits) {
        return 0;
    }
    char shape[128];
    shape_format(in, shape, sizeof(shape));
    struct buf text = {0};
    doc_write_json(doc, 0, &text);
    int r = err_set_at(err, ERR_SHAPE, option, "the model takes %s, but the data has %s",
                       text.data ? text.data : "?", shape);
    buf_fini(&text);
    return r;
}

/* Without data (rank -1) the document alone says the shape. */
static int own_shape(struct layer *layer, struct err *err)
{
    const struct input_layer *o = layer->options;
    const struct doc *doc = o->shape ? o->shape : o->batch_shape;
    size_t skip = o->shape ? 0 : 1;
    if (!doc || doc->type != DOC_LIST || doc->n < skip || doc->n - skip > SHAPE_RANK_MAX) {
        return err_set_at(err, ERR_MISSING, "shape", "is needed where no data is given");
    }
    layer->output.rank = (int)(doc->n - skip);
    for (size_t i = skip; i < doc->n; i++) {
        if (doc->items[i].type != DOC_INT || doc->items[i].i < 1) {
            return err_set_at(err, ERR_INVALID, "shape", "takes sizes of 1 or more");
        }
        layer->output.d[i - skip] = doc->items[i].i;
    }
    return 0;
}

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    (void)arena;
    const struct input_layer *o = layer->options;
    if (layer->inputs[0].rank < 0) {
        return own_shape(layer, err);
    }
    layer->output = layer->inputs[0];
    int r = check_shape(layer, o->shape, 0, "shape", err);
    return r < 0 ? r : check_shape(layer, o->batch_shape, 1, "batch_shape", err);
}

static void forward(struct layer *layer, const struct layer_call *call)
{
    int64_t count = 0;
    BUG_ON(shape_count(&layer->output, &count) < 0);
    size_t n = (size_t)(count * call->rows);
    if (call->x_dtype == DTYPE_F32) {
        memcpy(call->y, call->x[0], n * sizeof(float));
        return;
    }
    BUG_ON(call->x_dtype != DTYPE_U8);
    const unsigned char *x = call->x[0];
    for (size_t i = 0; i < n; i++) {
        call->y[i] = (float)x[i];
    }
}

static void config(const struct layer *layer, struct doc *config, struct arena *arena)
{
    /* Keras takes just these. */
    doc_set_map(config);
    struct doc *batch = doc_put(config, arena, "batch_shape");
    doc_set_list(batch);
    doc_set_null(doc_push(batch, arena));
    for (int i = 0; i < layer->output.rank; i++) {
        doc_set_int(doc_push(batch, arena), layer->output.d[i]);
    }
    doc_put_str(config, arena, "dtype", "float32");
    doc_put_bool(config, arena, "sparse", false);
    doc_put_bool(config, arena, "ragged", false);
    doc_put_str(config, arena, "name", layer->name);
}

const struct layer_desc layer_input_layer = {
    .name = "InputLayer",
    .aliases = "Input",
    .summary = "Where a field of the data enters; bytes become floats.",
    .options = options,
    .size = sizeof(struct input_layer),
    .infer = infer,
    .forward = forward,
    .config = config,
};
