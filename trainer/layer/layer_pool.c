#include "trainer/layer/layer_pool.h"

const struct opt_name layer_pool_paddings[] = {
    {"valid", KERNEL_PAD_VALID}, {"same", KERNEL_PAD_SAME}, {NULL, 0}};

static int axes_of(const struct layer *layer)
{
    const struct layer_pool *o = layer->options;
    return (int)o->pool_size.n;
}

static const struct opt_ints *strides_of(const struct layer *layer)
{
    const struct layer_pool *o = layer->options;
    return o->strides.n ? &o->strides : &o->pool_size;
}

static int fill_desc(const struct layer *layer, struct kernel_pool_desc *desc, struct err *err)
{
    const struct layer_pool *o = layer->options;
    const struct shape *in = &layer->inputs[0];
    const struct opt_ints *strides = strides_of(layer);
    const int axes = axes_of(layer), x = axes - 1;
    *desc = (struct kernel_pool_desc){
        .n = 1,
        .pool_h = axes == 1 ? 1 : (int)o->pool_size.v[0],
        .pool_w = (int)o->pool_size.v[x],
        .stride_h = axes == 1 ? 1 : (int)strides->v[0],
        .stride_w = (int)strides->v[x],
    };
    int r = layer_int(axes == 1 ? 1 : in->d[0], "input", &desc->h, err);
    r = r < 0 ? r : layer_int(in->d[x], "input", &desc->w, err);
    r = r < 0 ? r : layer_int(in->d[axes], "input", &desc->c, err);
    return r < 0 ? r : kernel_pool_shape(desc, (enum kernel_pad)o->padding, err);
}

/* A window that does not fit gives nothing, as in Keras; a model refuses an empty output. */
static bool is_empty(const struct layer *layer)
{
    const struct layer_pool *o = layer->options;
    bool fits = true;
    for (int i = 0; i < axes_of(layer); i++) {
        fits = fits && o->pool_size.v[i] <= layer->inputs[0].d[i];
    }
    return (enum kernel_pad)o->padding == KERNEL_PAD_VALID && !fits;
}

static int64_t windows(int64_t in, int64_t pool, int64_t stride)
{
    return pool > in ? 0 : (in - pool) / stride + 1;
}

static void infer_empty(struct layer *layer)
{
    const struct layer_pool *o = layer->options;
    layer->output = layer->inputs[0];
    for (int i = 0; i < axes_of(layer); i++) {
        layer->output.d[i] =
            windows(layer->inputs[0].d[i], o->pool_size.v[i], strides_of(layer)->v[i]);
    }
}

int layer_pool_infer(struct layer *layer, struct err *err)
{
    struct kernel_pool_desc desc;
    int r = layer_want_rank(layer, axes_of(layer) + 1, err);
    if (r == 0 && is_empty(layer)) {
        infer_empty(layer);
        return 0;
    }
    r = r < 0 ? r : fill_desc(layer, &desc, err);
    if (r < 0) {
        return r;
    }
    layer->output = axes_of(layer) == 1
                        ? (struct shape){.rank = 2, .d = {desc.out_w, desc.c}}
                        : (struct shape){.rank = 3, .d = {desc.out_h, desc.out_w, desc.c}};
    layer->flops = (double)desc.out_h * desc.out_w * desc.c * desc.pool_h * desc.pool_w;
    return 0;
}

int layer_pool_prepare(struct layer *layer, enum kernel_pool_kind kind,
                       const struct layer_setup *setup, struct err *err)
{
    struct kernel_pool_desc desc;
    struct kernel_pool *pool;
    if (is_empty(layer)) {
        return 0;
    }
    int r = fill_desc(layer, &desc, err);
    if (r < 0) {
        return r;
    }
    desc.kind = kind;
    desc.n = (int)setup->rows;
    desc.training = setup->training;
    r = setup->backend->pool->create(&desc, setup->arena, &pool, err);
    if (r < 0) {
        return r;
    }
    layer->kernel = pool;
    layer->scratch_bytes = pool->scratch_bytes;
    layer->state_bytes = pool->state_bytes;
    layer->impl = pool->impl;
    return 0;
}

void layer_pool_forward(struct layer *layer, const struct layer_call *call)
{
    if (!layer->kernel) {
        return;
    }
    kernel_pool_forward(layer->kernel, (int)call->rows, call->x[0], call->y, call->state,
                        call->scratch);
}

void layer_pool_backward(struct layer *layer, const struct layer_call *call)
{
    if (!layer->kernel) {
        int64_t count = 0;
        BUG_ON(shape_count(&layer->inputs[0], &count) < 0);
        call->backend->vec->fill((size_t)(count * call->rows), 0.0F, call->dx[0]);
        return;
    }
    kernel_pool_backward(layer->kernel, (int)call->rows, call->dy, call->state, call->dx[0],
                         call->scratch);
}

void layer_pool_destroy(struct layer *layer)
{
    kernel_pool_destroy(layer->kernel);
}
