/* expr_node - which types an operation takes and gives; conversions are nodes of their own. */
#include <stdio.h>

#include "pipeline/expr_impl.h"

enum rule {
    RULE_LEAF,
    RULE_NUMBERS,  /* arguments of one type, int64 or float32, which it gives too */
    RULE_FLOATS,   /* float32 */
    RULE_COMPARES, /* of one type; gives bool */
    RULE_TESTS,    /* float32; gives bool */
    RULE_BOOLS,
    RULE_WHERE, /* a bool, then two of any one type */
    RULE_MEAN,  /* int64 or float32; gives float32 */
    RULE_SIZES, /* anything; gives int64 */
    RULE_DRAWS, /* anything; gives float32 */
};
static const struct {
    const char *sign;
    enum rule rule;
} codes[] = {
#define EXPR_CODE(symbol, sign, rule) [EXPR_##symbol] = {(sign), RULE_##rule},
#include "pipeline/expr_codes.h"
#undef EXPR_CODE
};

int expr_fail(struct err *err, int code, int column, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return err_set(err, code, "column %d: %s", column, text);
}

const char *expr_sign(enum expr_code code)
{
    return codes[code].sign;
}

const char *expr_type_name(enum expr_type type)
{
    static const char *const names[] = {"bool", "int64", "float32"};
    return names[type];
}

static int add(struct expr_builder *b, const struct expr_node *node)
{
    if (b->n == EXPR_NODES_MAX) {
        return expr_fail(b->err, ERR_LIMIT, node->column,
                         "more than %d numbers, fields, operations and conversions",
                         EXPR_NODES_MAX);
    }
    b->nodes[b->n] = *node;
    return b->n++;
}

int expr_node_const(struct expr_builder *b, int column, enum expr_type type, union expr_value value)
{
    return add(
        b, &(struct expr_node){.code = EXPR_CONST, .type = type, .column = column, .value = value});
}

int expr_node_field(struct expr_builder *b, int column, int field, enum expr_type type)
{
    return add(b,
               &(struct expr_node){.code = EXPR_FIELD, .type = type, .column = column, .k = field});
}

/* To a type further on in bool, int64, float32. A number is converted where it stands. */
static int convert(struct expr_builder *b, int arg, enum expr_type type)
{
    struct expr_node *node = &b->nodes[arg];
    if (node->type == type) {
        return arg;
    }
    if (node->code == EXPR_CONST) {
        const int64_t whole = node->type == EXPR_BOOL ? node->value.b : node->value.i;
        node->value = type == EXPR_F32 ? (union expr_value){.f = (float)whole}
                                       : (union expr_value){.i = whole};
        node->type = type;
        return arg;
    }
    return add(b, &(struct expr_node){.code = EXPR_CONVERT,
                                      .type = type,
                                      .of = node->type,
                                      .dtype = type == EXPR_F32 ? DTYPE_F32 : DTYPE_I64,
                                      .n_args = 1,
                                      .args = {arg},
                                      .column = node->column});
}

int expr_node_cast(struct expr_builder *b, int column, int arg, enum dtype dtype)
{
    const enum expr_type type = dtype == DTYPE_BOOL  ? EXPR_BOOL
                                : dtype == DTYPE_F32 ? EXPR_F32
                                                     : EXPR_I64;
    return add(b, &(struct expr_node){.code = EXPR_CAST,
                                      .type = type,
                                      .of = b->nodes[arg].type,
                                      .dtype = dtype,
                                      .n_args = 1,
                                      .args = {arg},
                                      .column = column});
}

static int want_bool(struct expr_builder *b, const struct expr_node *node, int arg)
{
    const struct expr_node *given = &b->nodes[arg];
    return given->type == EXPR_BOOL
               ? 0
               : expr_fail(b->err, ERR_INVALID, given->column,
                           "'%s' takes a bool, not %s; compare it, as in x != 0",
                           expr_sign(node->code), expr_type_name(given->type));
}

/* The type that the arguments from `first` on are brought to. */
static enum expr_type common(const struct expr_builder *b, const struct expr_node *node, int first,
                             enum rule rule)
{
    enum expr_type type = rule == RULE_FLOATS || rule == RULE_TESTS   ? EXPR_F32
                          : rule == RULE_NUMBERS || rule == RULE_MEAN ? EXPR_I64
                                                                      : EXPR_BOOL;
    for (int i = first; i < node->n_args; i++) {
        const enum expr_type of = b->nodes[node->args[i]].type;
        type = of > type ? of : type;
    }
    return type;
}

static enum expr_type gives(enum rule rule, enum expr_type of)
{
    switch (rule) {
    case RULE_COMPARES:
    case RULE_TESTS:
    case RULE_BOOLS: return EXPR_BOOL;
    case RULE_MEAN:
    case RULE_DRAWS: return EXPR_F32;
    case RULE_SIZES: return EXPR_I64;
    case RULE_LEAF:
    case RULE_NUMBERS:
    case RULE_FLOATS:
    case RULE_WHERE: return of;
    }
    BUG("no rule %d", (int)rule);
}

int expr_node_op(struct expr_builder *b, enum expr_code code, int column, const int *args, int n,
                 int k)
{
    const enum rule rule = codes[code].rule;
    struct expr_node node = {.code = code, .column = column, .n_args = n, .k = k};
    int r = 0;
    for (int i = 0; i < n; i++) {
        node.args[i] = args[i];
        r = rule == RULE_BOOLS || (rule == RULE_WHERE && i == 0) ? want_bool(b, &node, args[i]) : 0;
        if (r < 0) {
            return r;
        }
    }
    const int first = rule == RULE_WHERE;
    node.of = common(b, &node, first, rule);
    for (int i = first; i < n && rule != RULE_SIZES && rule != RULE_DRAWS; i++) {
        node.args[i] = convert(b, node.args[i], node.of);
        if (node.args[i] < 0) {
            return node.args[i];
        }
    }
    node.type = gives(rule, node.of);
    if (code == EXPR_POW && k < 0 && node.of == EXPR_I64) {
        return expr_fail(b->err, ERR_RANGE, column,
                         "int64 ** %d is no whole number; cast(x, float32) ** %d", k, k);
    }
    node.k = rule == RULE_DRAWS ? b->n_draws++ : k;
    return add(b, &node);
}
