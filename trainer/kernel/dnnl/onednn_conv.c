/* Convolution by oneDNN: NHWC tensors, weights in the layout that oneDNN asks for, reordered from
 * Keras's in each call. Primitives are made at create for exactly desc.n images; other batches (the
 * last of an epoch) go to the blas backend's object. Scratch: oneDNN's own (one primitive runs at a
 * time) | reordered weights | reordered weights for dx, or dw. */
#include "trainer/kernel/backends.h"
#include "trainer/kernel/blas/blas.h"

#include <oneapi/dnnl/dnnl.h>
#include <string.h>

enum { MAX_ARGS = 6 };

/* A primitive with the memory objects of its arguments, by DNNL_ARG_*. */
struct call {
    dnnl_primitive_t primitive;
    int n_args;
    dnnl_exec_arg_t args[MAX_ARGS];
};

struct conv {
    struct kernel_conv base;
    struct kernel_conv *other; /* for batches other than desc.n */
    const struct blas_isa *isa;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_attr_t attr;      /* user scratchpad */
    dnnl_primitive_attr_t attr_relu; /* and the fused activation */
    dnnl_memory_desc_t x_md, y_md, w_md, b_md, keras_w_md;
    dnnl_primitive_desc_t forward_pd;
    struct call forward, data, weights;
    struct call reorder_forward, reorder_data,
        reorder_gradient; /* no primitive: the layouts are equal */
    size_t own_bytes;     /* oneDNN's scratch */
    size_t w_bytes;       /* each of the reordered weights */
};

static int failed(struct err *err, dnnl_status_t status, const char *what)
{
    return err_set(err, status == dnnl_out_of_memory ? ERR_NO_MEMORY : ERR_UNSUPPORTED,
                   "oneDNN: %s gives status %d", what, (int)status);
}

#define TRY(expression)                               \
    do {                                              \
        dnnl_status_t status_ = (expression);         \
        if (status_ != dnnl_success) {                \
            return failed(err, status_, #expression); \
        }                                             \
    } while (0)

static int make_attrs(struct conv *conv, struct err *err)
{
    TRY(dnnl_primitive_attr_create(&conv->attr));
    TRY(dnnl_primitive_attr_set_scratchpad_mode(conv->attr, dnnl_scratchpad_mode_user));
    TRY(dnnl_primitive_attr_create(&conv->attr_relu));
    TRY(dnnl_primitive_attr_set_scratchpad_mode(conv->attr_relu, dnnl_scratchpad_mode_user));
    if (conv->base.desc.act.kind == KERNEL_ACT_RELU) {
        dnnl_post_ops_t ops = NULL;
        TRY(dnnl_post_ops_create(&ops));
        dnnl_status_t status =
            dnnl_post_ops_append_eltwise(ops, 1.0F, dnnl_eltwise_relu, 0.0F, 0.0F);
        if (status == dnnl_success) {
            status = dnnl_primitive_attr_set_post_ops(conv->attr_relu, ops);
        }
        dnnl_post_ops_destroy(ops);
        TRY(status);
    }
    return 0;
}

static int make_descs(struct conv *conv, struct err *err)
{
    const struct kernel_conv_desc *d = &conv->base.desc;
    const dnnl_dims_t x = {d->n, d->c, d->h, d->w};
    const dnnl_dims_t y = {d->n, d->k, d->out_h, d->out_w};
    const dnnl_dims_t b = {d->k};
    int g = d->groups;
    /* logical (g,) o, i, h, w; Keras has r, s, i, (g,) o behind each other */
    const dnnl_dims_t w = {d->k, d->c, d->r, d->s};
    const dnnl_dims_t w_strides = {1, d->k, (dnnl_dim_t)d->s * d->c * d->k,
                                   (dnnl_dim_t)d->c * d->k};
    const dnnl_dims_t gw = {g, d->k / g, d->c / g, d->r, d->s};
    const dnnl_dims_t gw_strides = {d->k / g, 1, d->k, (dnnl_dim_t)d->s * (d->c / g) * d->k,
                                    (dnnl_dim_t)(d->c / g) * d->k};
    TRY(dnnl_memory_desc_init_by_tag(&conv->x_md, 4, x, dnnl_f32, dnnl_nhwc));
    TRY(dnnl_memory_desc_init_by_tag(&conv->y_md, 4, y, dnnl_f32, dnnl_nhwc));
    TRY(dnnl_memory_desc_init_by_tag(&conv->b_md, 1, b, dnnl_f32, dnnl_a));
    if (g > 1) {
        TRY(dnnl_memory_desc_init_by_tag(&conv->w_md, 5, gw, dnnl_f32, dnnl_format_tag_any));
        TRY(dnnl_memory_desc_init_by_strides(&conv->keras_w_md, 5, gw, dnnl_f32, gw_strides));
    } else {
        TRY(dnnl_memory_desc_init_by_tag(&conv->w_md, 4, w, dnnl_f32, dnnl_format_tag_any));
        TRY(dnnl_memory_desc_init_by_strides(&conv->keras_w_md, 4, w, dnnl_f32, w_strides));
    }
    return 0;
}

/* Adds an argument; its memory has no data yet. */
static int add_arg(struct conv *conv, struct call *call, int arg, const dnnl_memory_desc_t *md,
                   struct err *err)
{
    BUG_ON(call->n_args == MAX_ARGS);
    dnnl_memory_t memory = NULL;
    TRY(dnnl_memory_create(&memory, md, conv->engine, DNNL_MEMORY_NONE));
    call->args[call->n_args++] = (dnnl_exec_arg_t){arg, memory};
    return 0;
}

/* The primitive of pd; its scratch counts for own_bytes. Takes pd. */
static int make_call(struct conv *conv, struct call *call, dnnl_primitive_desc_t pd,
                     struct err *err)
{
    const dnnl_memory_desc_t *md = dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
    size_t bytes = md ? dnnl_memory_desc_get_size(md) : 0;
    conv->own_bytes = bytes > conv->own_bytes ? bytes : conv->own_bytes;
    dnnl_status_t status = dnnl_primitive_create(&call->primitive, pd);
    int code = bytes ? add_arg(conv, call, DNNL_ARG_SCRATCHPAD, md, err) : 0;
    if (status != dnnl_success) {
        return failed(err, status, "dnnl_primitive_create");
    }
    return code;
}

/* from -> to, or nothing if they are equal. */
static int make_reorder(struct conv *conv, struct call *call, const dnnl_memory_desc_t *from,
                        const dnnl_memory_desc_t *to, struct err *err)
{
    if (dnnl_memory_desc_equal(from, to)) {
        return 0;
    }
    dnnl_primitive_desc_t pd = NULL;
    TRY(dnnl_reorder_primitive_desc_create(&pd, from, conv->engine, to, conv->engine, conv->attr));
    int code = make_call(conv, call, pd, err);
    dnnl_primitive_desc_destroy(pd);
    code = code ? code : add_arg(conv, call, DNNL_ARG_FROM, from, err);
    return code ? code : add_arg(conv, call, DNNL_ARG_TO, to, err);
}

static void geometry(const struct kernel_conv_desc *d, dnnl_dims_t strides, dnnl_dims_t dilates,
                     dnnl_dims_t before, dnnl_dims_t after)
{
    strides[0] = d->stride_h;
    strides[1] = d->stride_w;
    dilates[0] = d->dilation_h - 1;
    dilates[1] = d->dilation_w - 1;
    before[0] = d->pad_top;
    before[1] = d->pad_left;
    after[0] = (dnnl_dim_t)(d->out_h - 1) * d->stride_h + (dnnl_dim_t)(d->r - 1) * d->dilation_h +
               1 - d->h - d->pad_top;
    after[1] = (dnnl_dim_t)(d->out_w - 1) * d->stride_w + (dnnl_dim_t)(d->s - 1) * d->dilation_w +
               1 - d->w - d->pad_left;
    after[0] = after[0] > 0 ? after[0] : 0;
    after[1] = after[1] > 0 ? after[1] : 0;
}

static void count_weights(struct conv *conv, const dnnl_memory_desc_t *md)
{
    size_t bytes = blas_align(dnnl_memory_desc_get_size(md));
    conv->w_bytes = bytes > conv->w_bytes ? bytes : conv->w_bytes;
}

static int make_forward(struct conv *conv, struct arena *arena, struct err *err)
{
    const struct kernel_conv_desc *d = &conv->base.desc;
    dnnl_dims_t strides;
    dnnl_dims_t dilates;
    dnnl_dims_t before;
    dnnl_dims_t after;
    geometry(d, strides, dilates, before, after);
    dnnl_convolution_desc_t desc;
    TRY(dnnl_dilated_convolution_forward_desc_init(
        &desc, d->training ? dnnl_forward_training : dnnl_forward_inference,
        dnnl_convolution_direct, &conv->x_md, &conv->w_md, d->has_bias ? &conv->b_md : NULL,
        &conv->y_md, strides, dilates, before, after));
    TRY(dnnl_primitive_desc_create(&conv->forward_pd, &desc, conv->attr_relu, conv->engine, NULL));
    const char *impl = NULL;
    TRY(dnnl_primitive_desc_query(conv->forward_pd, dnnl_query_impl_info_str, 0, (void *)&impl));
    conv->base.impl = arena_printf(arena, "dnnl %s", impl);
    const dnnl_memory_desc_t *w =
        dnnl_primitive_desc_query_md(conv->forward_pd, dnnl_query_weights_md, 0);
    count_weights(conv, w);
    struct call *call = &conv->forward;
    int code = make_call(conv, call, conv->forward_pd, err);
    code = code ? code : add_arg(conv, call, DNNL_ARG_SRC, &conv->x_md, err);
    code = code ? code : add_arg(conv, call, DNNL_ARG_WEIGHTS, w, err);
    code = code || !d->has_bias ? code : add_arg(conv, call, DNNL_ARG_BIAS, &conv->b_md, err);
    code = code ? code : add_arg(conv, call, DNNL_ARG_DST, &conv->y_md, err);
    return code ? code : make_reorder(conv, &conv->reorder_forward, &conv->keras_w_md, w, err);
}

static int make_data(struct conv *conv, struct err *err)
{
    const struct kernel_conv_desc *d = &conv->base.desc;
    dnnl_dims_t strides;
    dnnl_dims_t dilates;
    dnnl_dims_t before;
    dnnl_dims_t after;
    geometry(d, strides, dilates, before, after);
    dnnl_convolution_desc_t desc;
    TRY(dnnl_dilated_convolution_backward_data_desc_init(&desc, dnnl_convolution_direct,
                                                         &conv->x_md, &conv->w_md, &conv->y_md,
                                                         strides, dilates, before, after));
    dnnl_primitive_desc_t pd = NULL;
    TRY(dnnl_primitive_desc_create(&pd, &desc, conv->attr, conv->engine, conv->forward_pd));
    dnnl_memory_desc_t w = *dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0);
    count_weights(conv, &w);
    struct call *call = &conv->data;
    int code = make_call(conv, call, pd, err);
    dnnl_primitive_desc_destroy(pd);
    code = code ? code : add_arg(conv, call, DNNL_ARG_DIFF_DST, &conv->y_md, err);
    code = code ? code : add_arg(conv, call, DNNL_ARG_WEIGHTS, &w, err);
    code = code ? code : add_arg(conv, call, DNNL_ARG_DIFF_SRC, &conv->x_md, err);
    return code ? code : make_reorder(conv, &conv->reorder_data, &conv->keras_w_md, &w, err);
}

static int make_weights(struct conv *conv, struct err *err)
{
    const struct kernel_conv_desc *d = &conv->base.desc;
    dnnl_dims_t strides;
    dnnl_dims_t dilates;
    dnnl_dims_t before;
    dnnl_dims_t after;
    geometry(d, strides, dilates, before, after);
    dnnl_convolution_desc_t desc;
    TRY(dnnl_dilated_convolution_backward_weights_desc_init(
        &desc, dnnl_convolution_direct, &conv->x_md, &conv->w_md, d->has_bias ? &conv->b_md : NULL,
        &conv->y_md, strides, dilates, before, after));
    dnnl_primitive_desc_t pd = NULL;
    TRY(dnnl_primitive_desc_create(&pd, &desc, conv->attr, conv->engine, conv->forward_pd));
    dnnl_memory_desc_t w = *dnnl_primitive_desc_query_md(pd, dnnl_query_diff_weights_md, 0);
    count_weights(conv, &w);
    struct call *call = &conv->weights;
    int code = make_call(conv, call, pd, err);
    dnnl_primitive_desc_destroy(pd);
    code = code ? code : add_arg(conv, call, DNNL_ARG_SRC, &conv->x_md, err);
    code = code ? code : add_arg(conv, call, DNNL_ARG_DIFF_DST, &conv->y_md, err);
    code = code ? code : add_arg(conv, call, DNNL_ARG_DIFF_WEIGHTS, &w, err);
    code = code || !d->has_bias ? code : add_arg(conv, call, DNNL_ARG_DIFF_BIAS, &conv->b_md, err);
    return code ? code : make_reorder(conv, &conv->reorder_gradient, &w, &conv->keras_w_md, err);
}

static int make_all(struct conv *conv, struct arena *arena, struct err *err)
{
    TRY(dnnl_engine_create(&conv->engine, dnnl_cpu, 0));
    TRY(dnnl_stream_create(&conv->stream, conv->engine, dnnl_stream_default_flags));
    int code = make_attrs(conv, err);
    code = code ? code : make_descs(conv, err);
    code = code ? code : make_forward(conv, arena, err);
    if (conv->base.desc.training) {
        code = code || !conv->base.desc.needs_dx ? code : make_data(conv, err);
        code = code ? code : make_weights(conv, err);
    }
    return code;
}

static void destroy_call(struct call *call)
{
    for (int i = 0; i < call->n_args; i++) {
        dnnl_memory_destroy(call->args[i].memory);
    }
    if (call->primitive) {
        dnnl_primitive_destroy(call->primitive);
    }
}

static void conv_destroy(struct kernel_conv *base)
{
    struct conv *conv = (struct conv *)base;
    struct call *calls[] = {&conv->forward,         &conv->data,         &conv->weights,
                            &conv->reorder_forward, &conv->reorder_data, &conv->reorder_gradient};
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        destroy_call(calls[i]);
    }
    if (conv->forward_pd) {
        dnnl_primitive_desc_destroy(conv->forward_pd);
    }
    if (conv->attr) {
        dnnl_primitive_attr_destroy(conv->attr);
    }
    if (conv->attr_relu) {
        dnnl_primitive_attr_destroy(conv->attr_relu);
    }
    if (conv->stream) {
        dnnl_stream_destroy(conv->stream);
    }
    if (conv->engine) {
        dnnl_engine_destroy(conv->engine);
    }
    kernel_conv_destroy(conv->other);
}

static int conv_create(const struct kernel_conv_desc *desc, struct arena *arena,
                       struct kernel_conv **ret_conv, struct err *err)
{
    int code = kernel_conv_check(desc, err);
    if (code) {
        return code;
    }
    struct conv *conv = ARENA_NEW(arena, struct conv);
    conv->base.ops = &onednn_conv_always;
    conv->base.desc = *desc;
    conv->isa = blas_isa();
    code = blas_conv.create(desc, arena, &conv->other, err);
    code = code ? code : make_all(conv, arena, err);
    if (code) {
        conv_destroy(&conv->base);
        return code;
    }
    conv->own_bytes = blas_align(conv->own_bytes);
    size_t bytes = conv->own_bytes + 2 * conv->w_bytes;
    conv->base.scratch_bytes =
        bytes > conv->other->scratch_bytes ? bytes : conv->other->scratch_bytes;
    *ret_conv = &conv->base;
    return 0;
}

static void set_data(struct conv *conv, struct call *call, int arg, const void *data)
{
    for (int i = 0; i < call->n_args; i++) {
        if (call->args[i].arg == arg) {
            /* oneDNN has no const handle; inputs are not written */
            void *handle = (void *)(uintptr_t)data;
            dnnl_status_t status =
                dnnl_memory_set_data_handle_v2(call->args[i].memory, handle, conv->stream);
            BUG_ON(status != dnnl_success);
        }
    }
}

static void execute(struct conv *conv, struct call *call, void *scratch)
{
    set_data(conv, call, DNNL_ARG_SCRATCHPAD, scratch);
    dnnl_status_t status =
        dnnl_primitive_execute(call->primitive, conv->stream, call->n_args, call->args);
    if (status != dnnl_success) {
        BUG("oneDNN: executing %s gives status %d", conv->base.impl, (int)status);
    }
    dnnl_stream_wait(conv->stream);
}

/* The weights as a primitive wants them: w itself or a copy in `to`. */
static const float *reorder(struct conv *conv, struct call *call, const float *from, float *to,
                            void *scratch)
{
    if (!call->primitive) {
        return from;
    }
    set_data(conv, call, DNNL_ARG_FROM, from);
    set_data(conv, call, DNNL_ARG_TO, to);
    execute(conv, call, scratch);
    return to;
}

static void conv_forward(struct kernel_conv *base, int n, const float *x, const float *w,
                         const float *b, float *y, void *scratch)
{
    struct conv *conv = (struct conv *)base;
    const struct kernel_conv_desc *d = &base->desc;
    if (n != d->n) {
        kernel_conv_forward(conv->other, n, x, w, b, y, scratch);
        return;
    }
    char *at = scratch;
    void *own = blas_take(&at, conv->own_bytes);
    float *packed = blas_take(&at, conv->w_bytes);
    struct call *call = &conv->forward;
    set_data(conv, call, DNNL_ARG_WEIGHTS, reorder(conv, &conv->reorder_forward, w, packed, own));
    set_data(conv, call, DNNL_ARG_SRC, x);
    set_data(conv, call, DNNL_ARG_BIAS, b);
    set_data(conv, call, DNNL_ARG_DST, y);
    execute(conv, call, own);
    if (d->act.kind != KERNEL_ACT_LINEAR && d->act.kind != KERNEL_ACT_RELU) {
        conv->isa->act->forward(
            &d->act, (size_t)n * (size_t)d->out_h * (size_t)d->out_w * (size_t)d->k, y, y);
    }
}

static void conv_backward(struct kernel_conv *base, int n, const float *x, const float *w,
                          const float *y, float *dy, float *dx, float *dw, float *db, void *scratch)
{
    struct conv *conv = (struct conv *)base;
    const struct kernel_conv_desc *d = &base->desc;
    if (n != d->n || (!dw != !db && d->has_bias)) {
        kernel_conv_backward(conv->other, n, x, w, y, dy, dx, dw, db, scratch);
        return;
    }
    if (d->act.kind != KERNEL_ACT_LINEAR) {
        size_t out = (size_t)n * (size_t)d->out_h * (size_t)d->out_w * (size_t)d->k;
        conv->isa->act->backward(&d->act, out, NULL, y, dy, dy);
    }
    char *at = scratch;
    void *own = blas_take(&at, conv->own_bytes);
    float *packed = blas_take(&at, conv->w_bytes);
    if (dx) {
        set_data(conv, &conv->data, DNNL_ARG_WEIGHTS,
                 reorder(conv, &conv->reorder_data, w, packed, own));
        set_data(conv, &conv->data, DNNL_ARG_DIFF_DST, dy);
        set_data(conv, &conv->data, DNNL_ARG_DIFF_SRC, dx);
        execute(conv, &conv->data, own);
    }
    if (dw) {
        float *gradient = conv->reorder_gradient.primitive ? packed : dw;
        set_data(conv, &conv->weights, DNNL_ARG_SRC, x);
        set_data(conv, &conv->weights, DNNL_ARG_DIFF_DST, dy);
        set_data(conv, &conv->weights, DNNL_ARG_DIFF_WEIGHTS, gradient);
        set_data(conv, &conv->weights, DNNL_ARG_DIFF_BIAS, db);
        execute(conv, &conv->weights, own);
        reorder(conv, &conv->reorder_gradient, gradient, dw, own);
    }
}

const struct kernel_conv_ops onednn_conv_always = {
    .create = conv_create,
    .destroy = conv_destroy,
    .forward = conv_forward,
    .backward = conv_backward,
};
