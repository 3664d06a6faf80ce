/* expr - from nodes to a flat program: a pass for each reduction, then one for the result. */
#include "pipeline/expr_impl.h"

#include <string.h>

/* While it is compiled. */
struct compiler {
    struct expr *expr;
    struct expr_instr *instrs;
    struct expr_pass *passes;
    int n_instrs, n_passes;
    int free[EXPR_NODES_MAX], n_free; /* registers of this pass that hold nothing now */
    int n_regs;                       /* of this pass */
};

/* One value, whatever the shapes are. */
static bool is_uniform(const struct expr_node *nodes, const bool *uniform, int i)
{
    const struct expr_node *node = &nodes[i];
    if (node->code == EXPR_FIELD || node->code == EXPR_RANDOM_LIKE ||
        node->code == EXPR_NORMAL_LIKE) {
        return false;
    }
    if (expr_is_reduction(node->code) || expr_takes_shape(node->code)) {
        return true;
    }
    bool all = true;
    for (int k = 0; k < node->n_args; k++) {
        all = all && uniform[node->args[k]];
    }
    return all;
}

static bool is_leaf(const struct expr_node *node)
{
    return node->n_args == 0 || expr_takes_shape(node->code) || expr_is_reduction(node->code);
}

static int take_register(struct compiler *c, bool is_kept)
{
    if (c->n_free > 0 && !is_kept) {
        return c->free[--c->n_free];
    }
    return c->n_regs++;
}

/* Values that are the same for all blocks keep their register. The depth is that of the tree. */
static int emit(struct compiler *c, const bool *uniform, int node)
{
    const struct expr_node *n = &c->expr->nodes[node];
    struct expr_instr instr = {.node = node, .is_uniform = uniform[node]};
    const bool leaf = is_leaf(n);
    for (int i = 0; i < n->n_args && !leaf; i++) {
        instr.from[i] = emit(c, uniform, n->args[i]);
    }
    instr.to = take_register(c, instr.is_uniform);
    for (int i = 0; i < n->n_args && !leaf; i++) {
        if (!uniform[n->args[i]]) {
            c->free[c->n_free++] = instr.from[i];
        }
    }
    c->instrs[c->n_instrs++] = instr;
    return instr.to;
}

static void emit_pass(struct compiler *c, const bool *uniform, int root, int sink)
{
    struct expr_pass *pass = &c->passes[c->n_passes++];
    *pass = (struct expr_pass){.root = root, .sink = sink, .begin = c->n_instrs};
    c->n_free = c->n_regs = 0;
    pass->reg = emit(c, uniform, root);
    pass->end = c->n_instrs;
    if (c->n_regs > c->expr->n_regs) {
        c->expr->n_regs = c->n_regs;
    }
}

/* Nodes whose values are needed: an argument that is only measured is not. */
static void mark_live(const struct expr *expr, bool *live)
{
    live[expr->n_nodes - 1] = true;
    for (int i = expr->n_nodes - 1; i >= 0; i--) {
        const struct expr_node *node = &expr->nodes[i];
        for (int k = 0; k < node->n_args; k++) {
            live[node->args[k]] = live[node->args[k]] || (live[i] && !expr_takes_shape(node->code));
        }
    }
}

static void make_program(struct expr *expr, struct arena *arena)
{
    bool live[EXPR_NODES_MAX] = {false}, uniform[EXPR_NODES_MAX] = {false};
    struct compiler c = {.expr = expr};
    const int root = expr->n_nodes - 1;
    /* A reduction is an instruction in one pass and the end of another. */
    c.instrs = arena_array(arena, (size_t)expr->n_nodes, sizeof *c.instrs);
    c.passes = arena_array(arena, (size_t)expr->n_nodes + 1, sizeof *c.passes);
    mark_live(expr, live);
    for (int i = 0; i < expr->n_nodes; i++) {
        const struct expr_node *node = &expr->nodes[i];
        uniform[i] = is_uniform(expr->nodes, uniform, i);
        expr->fields |= node->code == EXPR_FIELD ? 1u << node->k : 0;
        if (live[i] && expr_is_reduction(node->code)) {
            emit_pass(&c, uniform, node->args[0], i);
        }
    }
    emit_pass(&c, uniform, root, -1);
    expr->instrs = c.instrs;
    expr->passes = c.passes;
    expr->n_passes = c.n_passes;
}

int expr_compile(const char *text, const struct element_spec *spec, unsigned flags,
                 struct arena *arena, struct expr **ret, struct err *err)
{
    static const enum dtype dtypes[] = {DTYPE_BOOL, DTYPE_I64, DTYPE_F32};
    struct expr_node nodes[EXPR_NODES_MAX];
    struct expr_builder b = {.nodes = nodes, .err = err};
    const size_t length = strnlen(text, EXPR_TEXT_MAX + 1);
    if (length > EXPR_TEXT_MAX) {
        return err_set(err, ERR_LIMIT, "an expression of more than %d bytes", EXPR_TEXT_MAX);
    }
    int r = expr_parse(text, spec, flags, &b);
    if (r < 0) {
        return r;
    }
    struct expr *expr = ARENA_NEW(arena, struct expr);
    struct expr_node *own = arena_array(arena, (size_t)b.n, sizeof *own);
    memcpy(own, nodes, (size_t)b.n * sizeof *own);
    *expr = (struct expr){.nodes = own, .n_nodes = b.n, .n_draws = b.n_draws};
    const struct expr_node *root = &own[b.n - 1];
    expr->dtype = root->code == EXPR_CAST      ? root->dtype
                  : (flags & EXPR_FLOATS) != 0 ? DTYPE_F32
                                               : dtypes[root->type];
    make_program(expr, arena);
    *ret = expr;
    return 0;
}

int expr_check(const struct expr *expr, const struct element_spec *spec, struct op_spec *ret,
               struct err *err)
{
    struct shape shapes[EXPR_NODES_MAX];
    const struct shape *fields[ELEMENT_FIELDS_MAX];
    for (int i = 0; i < spec->n; i++) {
        fields[i] = &spec->fields[i].spec.shape;
        if ((expr->fields >> i & 1) != 0 && spec->fields[i].spec.dtype == DTYPE_STR) {
            return err_set(err, ERR_SHAPE, "field '%s' holds texts; only numbers are computed with",
                           spec->fields[i].name);
        }
    }
    int r = expr_shapes(expr, fields, shapes, err);
    if (r == 0) {
        *ret = (struct op_spec){.dtype = expr->dtype, .shape = shapes[expr->n_nodes - 1]};
    }
    return r;
}

bool expr_is_random(const struct expr *expr)
{
    return expr->n_draws > 0;
}

bool expr_is_cast(const struct expr *expr)
{
    return expr->nodes[expr->n_nodes - 1].code == EXPR_CAST;
}

uint32_t expr_fields(const struct expr *expr)
{
    return expr->fields;
}
