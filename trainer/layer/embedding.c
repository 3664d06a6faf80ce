#include <inttypes.h>
#include <string.h>

#include "trainer/layer/layer.h"

struct embedding {
    LAYER_FIELDS
    int64_t input_dim, output_dim;
    bool mask_zero;
    const struct doc *embeddings_initializer, *embeddings_regularizer, *embeddings_constraint,
        *activity_regularizer;
    const struct doc *weights, *lora_rank, *lora_alpha, *quantization_config;
};

enum { WORDS_MAX = 1 << 24 }; /* numbers that a float32 holds exactly: a batch's type */

static const struct opt options[] = {
    LAYER_ROWS(embedding),
    OPT_I64_ROW(embedding, input_dim, 1, 1, WORDS_MAX,
                "How many things there are; the input is a number of one of them.",
                .flags = OPT_REQUIRED),
    OPT_I64_ROW(embedding, output_dim, 1, 1, 1 << 24, "Numbers of the vector of each.",
                .flags = OPT_REQUIRED),
    OPT_DOC_ROW(embedding, embeddings_initializer, "First values of the vectors.",
                .flags = OPT_NULLABLE),
    OPT_DOC_ROW(embedding, embeddings_regularizer, "Not supported yet.", .flags = OPT_NULLABLE),
    OPT_DOC_ROW(embedding, embeddings_constraint, "Not supported yet.", .flags = OPT_NULLABLE),
    OPT_DOC_ROW(embedding, activity_regularizer, "Not supported yet.", .flags = OPT_NULLABLE),
    OPT_BOOL_ROW(embedding, mask_zero, false, "Not supported yet."),
    OPT_DOC_ROW(embedding, weights, "Not supported; a model's first weights come with `from`.",
                .flags = OPT_NULLABLE),
    OPT_DOC_ROW(embedding, lora_rank, "Not supported.", .flags = OPT_NULLABLE),
    OPT_DOC_ROW(embedding, lora_alpha, "Not supported.", .flags = OPT_NULLABLE),
    OPT_DOC_ROW(embedding, quantization_config, "Not supported.", .flags = OPT_NULLABLE),
    OPT_END_ROW,
};

static int refuse(const struct embedding *o, struct err *err)
{
    int r = layer_refuse(o->embeddings_regularizer, "embeddings_regularizer", err);
    r = r < 0 ? r : layer_refuse(o->embeddings_constraint, "embeddings_constraint", err);
    r = r < 0 ? r : layer_refuse(o->activity_regularizer, "activity_regularizer", err);
    r = r < 0 ? r : layer_refuse(o->weights, "weights", err);
    r = r < 0 ? r : layer_refuse(o->lora_rank, "lora_rank", err);
    r = r < 0 ? r : layer_refuse(o->quantization_config, "quantization_config", err);
    if (r == 0 && o->mask_zero) {
        r = err_set_at(err, ERR_UNSUPPORTED, "mask_zero", "is not supported yet; leave it out");
    }
    return r;
}

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    const struct embedding *o = layer->options;
    const struct layer_var var = {.name = "embeddings",
                                  .shape = {.rank = 2, .d = {o->input_dim, o->output_dim}},
                                  .dtype = DTYPE_F32,
                                  .trainable = true};
    int64_t count;
    int r = refuse(o, err);
    layer->output = layer->inputs[0];
    if (r == 0 && layer->output.rank + 2 > SHAPE_RANK_MAX) {
        r = err_set(err, ERR_SHAPE, "the input has too many axes");
    }
    if (r < 0) {
        return r;
    }
    layer->output.d[layer->output.rank++] = o->output_dim;
    if (shape_count(&layer->output, &count) < 0) {
        return err_set_at(err, ERR_LIMIT, "output_dim", "makes too many values");
    }
    layer->needs_x = true;
    return layer_add_var(layer, &var, o->embeddings_initializer, "RandomUniform", arena, err);
}

static size_t inputs_of(const struct layer *layer, int64_t rows)
{
    int64_t count = 0;
    BUG_ON(shape_count(&layer->inputs[0], &count) < 0);
    return (size_t)(count * rows);
}

/* As Keras: what is behind the point does not count. */
static int check(const struct layer *layer, const struct layer_call *call, struct err *err)
{
    const struct embedding *o = layer->options;
    const float *x = call->x[0];
    for (size_t i = 0; i < inputs_of(layer, call->rows); i++) {
        if (!(x[i] > -1.0F && x[i] < (float)o->input_dim)) {
            return err_set(err, ERR_RANGE,
                           "row %zu has %g, but there are vectors for 0 to %" PRId64,
                           i / inputs_of(layer, 1), (double)x[i], o->input_dim - 1);
        }
    }
    return 0;
}

static void forward(struct layer *layer, const struct layer_call *call)
{
    const struct embedding *o = layer->options;
    const float *x = call->x[0], *vectors = layer->vars[0].data;
    size_t n = (size_t)o->output_dim;
    for (size_t i = 0; i < inputs_of(layer, call->rows); i++) {
        memcpy(call->y + i * n, vectors + (size_t)x[i] * n, n * sizeof(float));
    }
}

static void backward(struct layer *layer, const struct layer_call *call)
{
    const struct embedding *o = layer->options;
    const float *x = call->x[0];
    float *grad = layer->vars[0].grad;
    size_t n = (size_t)o->output_dim;
    if (call->dx[0]) {
        call->backend->vec->fill(inputs_of(layer, call->rows), 0.0F, call->dx[0]);
    }
    if (!grad) {
        return;
    }
    call->backend->vec->fill(layer->vars[0].count, 0.0F, grad);
    for (size_t i = 0; i < inputs_of(layer, call->rows); i++) {
        float *to = grad + (size_t)x[i] * n;
        call->backend->vec->add(n, to, call->dy + i * n, to);
    }
}

const struct layer_desc layer_embedding = {
    .name = "Embedding",
    .summary = "A vector for each number of a thing, learned.",
    .options = options,
    .size = sizeof(struct embedding),
    .infer = infer,
    .check = check,
    .forward = forward,
    .backward = backward,
};
