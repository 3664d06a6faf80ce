#include "pipeline/fuse.h"

#include <stdio.h>
#include <string.h>

enum { NAME_TEXT = 160 };

struct op_key fuse_key(const struct stream *stream, const struct stream_op *op,
                       const struct stream_places *places)
{
    const struct stage_place *at = &places->at[op->level];
    /* Iterations beyond 32 bits come of an endless repeat inside an epoch. */
    const uint64_t high = (uint64_t)at->iteration >> 32;
    return (struct op_key){
        .seed = stream->seed,
        .epoch = ((uint32_t)at->iteration ^ (uint32_t)(high * 0x9E3779B1u)) & ~RNG_BATCH_SCOPE,
        .position = (uint64_t)at->position,
        .sample = places->at[0].position,
        .batch_epoch = (uint32_t)places->epoch,
        .step = (uint64_t)places->step,
    };
}

static bool has(const struct stream_op *op, unsigned flag)
{
    return (op->op.flags & flag) != 0;
}

static int64_t channels_of(const struct op_spec *spec)
{
    return spec->shape.rank > 0 ? spec->shape.d[spec->shape.rank - 1] : -1;
}

/* Fill and interpolation of a geometric op; the same for every draw. */
static struct affine fill_of(const struct stream_op *op)
{
    const float drawn[OP_PARAMS_MAX] = {0};
    struct affine affine;
    op->op.desc->affine(op->op.ctx, drawn, 1, 1, &affine);
    return affine;
}

static bool same_fill(const struct affine *a, const struct affine *b)
{
    return a->fill == b->fill && a->interpolation == b->interpolation &&
           (a->fill != AFFINE_CONSTANT ||
            memcmp(&a->fill_value, &b->fill_value, sizeof a->fill_value) == 0);
}

/* A node while it grows. */
struct group {
    struct stream_node *node;
    bool has_fill; /* an op with a say in it */
    double factor[64], term[64];
    int64_t channels; /* 0 = no linear op yet */
    const char *why;  /* it does not take an op: of the last refusal */
};

static bool refuse(struct group *g, const char *why)
{
    g->why = why;
    return false;
}

static bool is_uniform(const struct group *g)
{
    for (int64_t c = 1; c < g->channels; c++) {
        if (g->factor[c] < g->factor[0] || g->factor[c] > g->factor[0] || g->term[c] < g->term[0] ||
            g->term[c] > g->term[0]) {
            return false;
        }
    }
    return g->channels == 0 || g->factor[0] < 0 || g->factor[0] > 0;
}

static bool takes_geometric(struct group *g, const struct stream_op *op)
{
    const struct affine fill = fill_of(op);
    const bool is_free = has(op, OP_EXACT_PLACES), has_linear = g->channels > 0;
    const enum dtype in = g->node->in.dtype;
    if (in != DTYPE_U8 && in != DTYPE_F32) {
        return refuse(g, "a resampling reads uint8 or float32");
    }
    if (!is_free && g->has_fill && !same_fill(&g->node->fill, &fill)) {
        return refuse(g, "one resampling has one fill_mode, fill_value and interpolation");
    }
    /* What was linear before now comes after: the constant beside the picture has to be the same
     * then. */
    if (has_linear && (g->has_fill || !is_free) && fill.fill == AFFINE_CONSTANT &&
        (g->node->is_geometric || !is_uniform(g))) {
        return refuse(g, "its constant border stands behind a product and a sum that would change "
                         "it");
    }
    if (!is_free && !g->has_fill) {
        g->node->fill = fill;
        g->has_fill = true;
        if (has_linear && fill.fill == AFFINE_CONSTANT) {
            g->node->fill.fill_value =
                (float)(((double)fill.fill_value - g->term[0]) / g->factor[0]);
        }
    } else if (!g->node->is_geometric) {
        g->node->fill = fill;
    }
    g->node->is_geometric = true;
    return true;
}

static bool takes_linear(struct group *g, const struct stream_op *op)
{
    float factor[64], term[64];
    const int64_t n = channels_of(&op->op.in);
    if (n < 1 || n > 64) {
        return refuse(g, "factors and terms of 1 to 64 channels are fused");
    }
    op->op.desc->linear(op->op.ctx, n, factor, term);
    for (int64_t c = 0; c < n; c++) {
        const double a = (double)factor[c], b = (double)term[c];
        g->term[c] = g->channels > 0 ? g->term[c] * a + b : b;
        g->factor[c] = g->channels > 0 ? g->factor[c] * a : a;
    }
    g->channels = n;
    return true;
}

static bool takes(struct group *g, const struct stream_op *op)
{
    if (op->exact || g->node->ops[0].exact) {
        return refuse(g, "exact: true");
    }
    if (has(op, OP_GEOMETRIC)) {
        return takes_geometric(g, op);
    }
    return has(op, OP_CHANNELS)
               ? takes_linear(g, op)
               : refuse(g, "neither a map of the plane nor a factor and a term a channel");
}

static void finish(struct group *g, struct arena *arena)
{
    struct stream_node *node = g->node;
    struct op_spec *out = &node->out;
    char name[NAME_TEXT] = "";
    for (int i = 0; i < node->n_ops; i++) {
        const size_t used = strlen(name);
        (void)snprintf(name + used, sizeof name - used, "%s%s", i > 0 ? "+" : "",
                       node->ops[i].op.desc->name);
    }
    node->name = arena_strdup(arena, name);
    *out = node->ops[node->n_ops - 1].op.out;
    if (shape_bytes(&out->shape, out->dtype, &node->out_bytes) < 0) {
        node->out_bytes = 0;
    }
    if (node->n_ops > 1 && g->channels > 0) {
        node->factor = arena_array(arena, (size_t)g->channels, sizeof *node->factor);
        node->term = arena_array(arena, (size_t)g->channels, sizeof *node->term);
        for (int64_t c = 0; c < g->channels; c++) {
            node->factor[c] = (float)g->factor[c];
            node->term[c] = (float)g->term[c];
        }
        node->fill.factor = node->factor;
        node->fill.term = node->term;
    }
}

void fuse_nodes(struct stream_chain *chain, struct arena *arena)
{
    chain->nodes = arena_array(arena, (size_t)chain->n_ops + 1, sizeof *chain->nodes);
    for (int i = 0; i < chain->n_ops;) {
        struct stream_node *node = &chain->nodes[chain->n_nodes++];
        const struct stream_op *first = &chain->ops[i];
        *node = (struct stream_node){.ops = first, .in = first->op.in, .n_ops = 1};
        struct group group = {.node = node};
        bool may = takes(&group, first);
        for (i++; may && i < chain->n_ops && takes(&group, &chain->ops[i]); i++) {
            node->n_ops++;
        }
        if (i < chain->n_ops) {
            const struct stream_op *about = may ? &chain->ops[i] : first;
            node->apart = arena_printf(arena, "%s: %s", about->op.desc->name, group.why);
        }
        finish(&group, arena);
    }
}

static void linear_bytes(const struct stream_node *node, const uint8_t *in, int64_t n,
                         int64_t channels, float *out)
{
    for (int64_t i = 0; i < n; i += channels) {
        for (int64_t c = 0; c < channels; c++) {
            out[i + c] = (float)in[i + c] * node->factor[c] + node->term[c];
        }
    }
}

static void linear_any(const struct stream_node *node, const struct tensor *in, int64_t n,
                       int64_t channels, float *out)
{
    op_to_floats(in, n, out);
    for (int64_t i = 0; i < n; i += channels) {
        for (int64_t c = 0; c < channels; c++) {
            out[i + c] = out[i + c] * node->factor[c] + node->term[c];
        }
    }
}

static int run_linear(const struct stream_node *node, const struct tensor *in, struct tensor *out,
                      struct err *err)
{
    int64_t n;
    int r = shape_count(&in->shape, &n);
    if (r < 0) {
        return err_set(err, r, "the sample is too large");
    }
    const int64_t channels = in->shape.d[in->shape.rank - 1];
    if (in->dtype == DTYPE_U8) {
        linear_bytes(node, in->data, n, channels, out->data);
    } else {
        linear_any(node, in, n, channels, out->data);
    }
    return 0;
}

int fuse_run(const struct stream *stream, const struct stream_node *node, const struct tensor *in,
             const struct stream_places *places, struct tensor *out, struct err *err)
{
    out->dtype = DTYPE_F32;
    out->shape = in->shape;
    if (!node->is_geometric) {
        return run_linear(node, in, out, err);
    }
    const struct affine_image image = {in->dtype, in->shape.d[0], in->shape.d[1], in->shape.d[2],
                                       in->data};
    const struct op_spec spec = {.dtype = in->dtype, .shape = in->shape};
    struct affine all = node->fill;
    affine_identity(all.m);
    for (int i = 0; i < node->n_ops; i++) {
        const struct stream_op *op = &node->ops[i];
        if (has(op, OP_GEOMETRIC)) {
            const struct op_key key = fuse_key(stream, op, places);
            float drawn[OP_PARAMS_MAX] = {0}, before[8];
            struct affine one;
            op_draw(&op->op, &spec, &key, drawn);
            op->op.desc->affine(op->op.ctx, drawn, image.height, image.width, &one);
            memcpy(before, all.m, sizeof before);
            affine_compose(before, one.m, all.m);
        }
    }
    affine_run(&all, &image, out->data);
    return 0;
}
