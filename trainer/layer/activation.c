#include <string.h>

#include "trainer/layer/layer.h"

struct activation {
    LAYER_FIELDS
    const struct doc *activation;
};

static const struct opt options[] = {
    LAYER_ROWS(activation),
    OPT_DOC_ROW(activation, activation, "The activation's name.", .flags = OPT_REQUIRED),
    OPT_END_ROW,
};

/* The one that gives half of what it takes: a * sigmoid(b) of the halves of the last axis. */
static bool is_glu(const struct doc *doc)
{
    const char *name = doc->type == DOC_STR ? doc->str : doc_str(doc, "config", "");
    return strcmp(name, "glu") == 0;
}

static int infer_glu(struct layer *layer, struct err *err)
{
    int last = layer->output.rank - 1;
    if (last < 0 || layer->output.d[last] % 2 != 0) {
        return err_set_at(err, ERR_SHAPE, "activation",
                          "glu halves the last axis, which has to be even");
    }
    layer->output.d[last] /= 2;
    layer->needs_x = true;
    return 0;
}

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    (void)arena;
    const struct activation *o = layer->options;
    layer->output = layer->inputs[0];
    layer->is_view = !is_glu(o->activation);
    if (!layer->is_view) {
        return infer_glu(layer, err);
    }
    int r = layer_act_read(o->activation, &layer->tail, err);
    if (r < 0) {
        err_prefix(err, "activation");
    }
    return r;
}

static size_t rows_of(const struct layer *layer, int64_t batch)
{
    size_t rows = (size_t)batch;
    for (int i = 0; i + 1 < layer->output.rank; i++) {
        rows *= (size_t)layer->output.d[i];
    }
    return rows;
}

static const struct kernel_act sigmoid = {.kind = KERNEL_ACT_SIGMOID};

static void forward(struct layer *layer, const struct layer_call *call)
{
    size_t rows = rows_of(layer, call->rows),
           cols = (size_t)layer->output.d[layer->output.rank - 1];
    const float *x = call->x[0];
    for (size_t r = 0; r < rows; r++) {
        float *y = call->y + r * cols;
        const float *a = x + 2 * r * cols;
        call->backend->act->forward(&sigmoid, cols, a + cols, y);
        call->backend->vec->mul(cols, a, y, y);
    }
}

static void backward(struct layer *layer, const struct layer_call *call)
{
    size_t rows = rows_of(layer, call->rows),
           cols = (size_t)layer->output.d[layer->output.rank - 1];
    const float *x = call->x[0];
    for (size_t r = 0; r < rows; r++) {
        const float *a = x + 2 * r * cols, *dy = call->dy + r * cols;
        float *da = call->dx[0] + 2 * r * cols, *db = da + cols;
        call->backend->act->forward(&sigmoid, cols, a + cols, db);
        for (size_t c = 0; c < cols; c++) {
            float s = db[c];
            da[c] = dy[c] * s;
            db[c] = dy[c] * a[c] * s * (1.0F - s);
        }
    }
}

const struct layer_desc layer_activation = {
    .name = "Activation",
    .summary = "An activation, alone.",
    .options = options,
    .size = sizeof(struct activation),
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
