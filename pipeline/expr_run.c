/* expr_run - the program over the values of an element, a block at a time. */
#include <string.h>

#include "base/rng.h"
#include "pipeline/expr_impl.h"
#include "pipeline/op.h"

enum { REGISTER_BYTES = EXPR_BLOCK * sizeof(int64_t) };

struct frame {
    const struct expr *expr;
    const struct element *in;
    const struct expr_key *key;
    struct shape *shapes;     /* one a node */
    union expr_value *slots;  /* one a node: what reductions gave */
    unsigned char *registers; /* REGISTER_BYTES each */
};

/* How the values of a part lie in a pass over a larger shape: neighbouring dimensions that step
 * alike are one. */
struct view {
    int rank;
    int64_t d[SHAPE_RANK_MAX], step[SHAPE_RANK_MAX];
};

static void make_view(const struct shape *pass, const struct shape *part, struct view *ret)
{
    int64_t step = 1;
    struct view v = {.rank = 0}; /* innermost first */
    for (int i = 0; i < pass->rank; i++) {
        const int64_t n = pass->d[pass->rank - 1 - i];
        const int64_t own = i < part->rank ? part->d[part->rank - 1 - i] : 1;
        const int64_t by = own == 1 ? 0 : step;
        step *= own;
        if (n == 1) {
            continue;
        }
        const int last = v.rank - 1;
        if (last >= 0 && by == v.step[last] * v.d[last]) {
            v.d[last] *= n;
        } else {
            v.d[v.rank] = n;
            v.step[v.rank++] = by;
        }
    }
    if (v.rank == 0) {
        v.d[v.rank++] = 1;
    }
    *ret = v;
}

/* ---- values of a part from number `from` on */

static void load_field(const struct frame *f, const struct expr_node *node, int64_t from, void *to,
                       size_t n)
{
    const struct tensor *x = &f->in->fields[node->k];
    const unsigned char *data = x->data;
    expr_kernel_load(x->dtype, node->type, data + (size_t)from * dtype_bytes(x->dtype), to, n);
}

static void draw(const struct frame *f, const struct expr_node *node, int64_t from, void *to,
                 size_t n)
{
    const bool is_normal = node->code == EXPR_NORMAL || node->code == EXPR_NORMAL_LIKE;
    const struct expr_key *key = f->key;
    float *values = to;
    struct rng rng;
    rng_init(&rng, key->seed, key->id + 1 + (uint64_t)node->k, key->epoch, key->position);
    rng_seek(&rng, (uint64_t)from * (is_normal ? 2 : 1));
    for (size_t i = 0; i < n; i++) {
        values[i] = is_normal ? rng_normal(&rng) : rng_f32(&rng);
    }
}

static void load(const struct frame *f, const struct expr_node *node, int64_t from, void *to,
                 size_t n)
{
    if (node->code == EXPR_FIELD) {
        load_field(f, node, from, to, n);
    } else {
        draw(f, node, from, to, n);
    }
}

/* Values of number `begin` on of the pass, of a part that may be smaller. */
static void spread(const struct frame *f, const struct expr_node *node, const struct shape *pass,
                   const struct shape *part, int64_t begin, unsigned char *to, size_t n)
{
    struct view v;
    int64_t index[SHAPE_RANK_MAX], at = 0, rest = begin;
    const size_t each = expr_type_bytes(node->type);
    make_view(pass, part, &v);
    for (int i = 0; i < v.rank; i++) {
        index[i] = rest % v.d[i];
        rest /= v.d[i];
        at += index[i] * v.step[i];
    }
    while (n > 0) {
        const size_t left = (size_t)(v.d[0] - index[0]), run = left < n ? left : n;
        load(f, node, at, to, v.step[0] == 0 ? 1 : run);
        if (v.step[0] == 0) {
            union expr_value value;
            memcpy(&value, to, each);
            expr_kernel_fill(node->type, &value, to, run);
        }
        to += run * each;
        n -= run;
        at -= index[0] * v.step[0];
        index[0] = 0;
        for (int i = 1; i < v.rank; i++) {
            at += v.step[i];
            if (++index[i] < v.d[i]) {
                break;
            }
            at -= index[i] * v.step[i];
            index[i] = 0;
        }
    }
}

/* ---- instructions */

static union expr_value measure(const struct frame *f, const struct expr_node *node)
{
    const struct shape *shape = &f->shapes[node->args[0]];
    int64_t n = 0;
    if (node->code == EXPR_SHAPE) {
        return (union expr_value){.i = shape->d[node->k < 0 ? shape->rank + node->k : node->k]};
    }
    BUG_ON(shape_count(shape, &n) < 0);
    return (union expr_value){.i = n};
}

static void *reg(const struct frame *f, int i)
{
    return f->registers + (size_t)i * REGISTER_BYTES;
}

static void compute(const struct frame *f, const struct expr_instr *instr, size_t n)
{
    const struct expr_node *node = &f->expr->nodes[instr->node];
    const void *const from[] = {reg(f, instr->from[0]), reg(f, instr->from[1]),
                                reg(f, instr->from[2])};
    const bool is_cast = node->code == EXPR_CAST || node->code == EXPR_CONVERT;
    const struct expr_kernel *kernel =
        is_cast ? expr_kernel_cast(node->dtype, node->of) : expr_kernel(node->code, node->of);
    kernel->run(from, reg(f, instr->to), n, node->k);
}

static void step(const struct frame *f, const struct expr_pass *pass,
                 const struct expr_instr *instr, int64_t begin, size_t n)
{
    const struct expr_node *node = &f->expr->nodes[instr->node];
    void *to = reg(f, instr->to);
    union expr_value value = node->code == EXPR_CONST ? node->value : f->slots[instr->node];
    switch ((int)node->code) {
    case EXPR_FIELD:
    case EXPR_RANDOM_LIKE:
    case EXPR_NORMAL_LIKE:
        spread(f, node, &f->shapes[pass->root], &f->shapes[instr->node], begin, to, n);
        return;
    case EXPR_RANDOM:
    case EXPR_NORMAL: draw(f, node, 0, &value.f, 1); break;
    case EXPR_SIZE:
    case EXPR_SHAPE: value = measure(f, node); break;
    case EXPR_CONST: break;
    default:
        if (!expr_is_reduction(node->code)) {
            compute(f, instr, n);
            return;
        }
    }
    expr_kernel_fill(node->type, &value, to, n);
}

static void run_pass(const struct frame *f, const struct expr_pass *pass, int64_t count,
                     unsigned char *out)
{
    const struct expr *expr = f->expr;
    const struct expr_node *sink = pass->sink < 0 ? NULL : &expr->nodes[pass->sink];
    const enum expr_type type = expr->nodes[pass->root].type;
    struct expr_sum sum = {.n = 0};
    for (int64_t begin = 0; begin < count; begin += EXPR_BLOCK) {
        const size_t n = count - begin < EXPR_BLOCK ? (size_t)(count - begin) : EXPR_BLOCK;
        for (int i = pass->begin; i < pass->end; i++) {
            if (begin == 0 || !expr->instrs[i].is_uniform) {
                step(f, pass, &expr->instrs[i], begin, n);
            }
        }
        if (sink != NULL) {
            expr_sum_add(&sum, sink->code, type, reg(f, pass->reg), n);
        } else {
            expr_kernel_store(type, expr->dtype, reg(f, pass->reg),
                              out + (size_t)begin * dtype_bytes(expr->dtype), n);
        }
    }
    if (sink != NULL) {
        f->slots[pass->sink] = expr_sum_end(&sum, sink->code, type);
    }
}

static size_t rounded(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

int expr_run(const struct expr *expr, const struct element *in, const struct expr_key *key,
             struct tensor *ret, struct op_scratch *scratch, struct err *err)
{
    const struct shape *fields[ELEMENT_FIELDS_MAX];
    const size_t n_nodes = (size_t)expr->n_nodes;
    const size_t shapes = rounded(n_nodes * sizeof(struct shape)),
                 slots = rounded(n_nodes * sizeof(union expr_value));
    unsigned char *memory =
        op_scratch_need(scratch, shapes + slots + (size_t)expr->n_regs * REGISTER_BYTES);
    const struct frame f = {.expr = expr,
                            .in = in,
                            .key = key,
                            .shapes = (void *)memory,
                            .slots = (void *)(memory + shapes),
                            .registers = memory + shapes + slots};
    for (int i = 0; i < ELEMENT_FIELDS_MAX; i++) {
        fields[i] = &in->fields[i].shape;
    }
    int r = expr_shapes(expr, fields, f.shapes, err);
    if (r < 0) {
        return r;
    }
    ret->dtype = expr->dtype;
    ret->shape = f.shapes[expr->n_nodes - 1];
    for (int i = 0; i < expr->n_passes; i++) {
        int64_t count = 0;
        r = shape_count(&f.shapes[expr->passes[i].root], &count);
        if (r < 0) {
            return err_set(err, r, "an element of unknown shape");
        }
        run_pass(&f, &expr->passes[i], count, ret->data);
    }
    return 0;
}
