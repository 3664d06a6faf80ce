/* expr_parse - from the text to nodes, each with its type. */
#include <stdio.h>
#include <string.h>

#include "pipeline/expr_impl.h"

enum { NAMES_MAX = 96, POWER_MAX = 64 };

struct parser {
    const char *text;
    const struct element_spec *spec;
    unsigned flags;
    struct expr_builder *b;
    struct expr_token token; /* the next one */
    int nesting;
};
/* Signs between two parts, weakest first; those of one level go from left to right. */
struct level {
    bool chains;
    struct {
        const char *sign;
        enum expr_code code;
    } signs[5];
};
static const struct level levels[] = {
    {true, {{"||", EXPR_OR}}},
    {true, {{"&&", EXPR_AND}}},
    {false, {{"==", EXPR_EQ}, {"!=", EXPR_NE}}},
    {false, {{"<", EXPR_LT}, {"<=", EXPR_LE}, {">", EXPR_GT}, {">=", EXPR_GE}}},
    {true, {{"+", EXPR_ADD}, {"-", EXPR_SUB}}},
    {true, {{"*", EXPR_MUL}, {"/", EXPR_DIV}, {"//", EXPR_FLOORDIV}, {"%", EXPR_MOD}}},
};
enum { N_LEVELS = sizeof levels / sizeof levels[0], SIGNS = 5 };

static int parse_whole(struct parser *p);
static int deeper(struct parser *p, int (*part)(struct parser *p));

static int next(struct parser *p)
{
    return expr_token(p->text, p->token.begin + p->token.length, &p->token, p->b->err);
}

static bool is_sign(const struct parser *p, const char *sign)
{
    return p->token.kind == EXPR_TOKEN_SIGN && p->token.length == (int)strlen(sign) &&
           memcmp(p->token.begin, sign, strlen(sign)) == 0;
}

static int expect(struct parser *p, const char *sign, const char *where)
{
    if (is_sign(p, sign)) {
        return next(p);
    }
    return p->token.kind == EXPR_TOKEN_END
               ? expr_fail(p->b->err, ERR_SYNTAX, p->token.column, "ends where '%s' %s belongs",
                           sign, where)
               : expr_fail(p->b->err, ERR_SYNTAX, p->token.column,
                           "'%.*s' stands where '%s' %s belongs", p->token.length, p->token.begin,
                           sign, where);
}

/* ---- names */

static bool is_name(const struct expr_token *token, const char *name)
{
    return (int)strlen(name) == token->length &&
           memcmp(token->begin, name, (size_t)token->length) == 0;
}

static int unknown(struct parser *p, const struct expr_token *token, bool is_call)
{
    const char *names[NAMES_MAX];
    char name[80], list[256] = "";
    size_t n = 0;
    for (const struct expr_function *f = expr_functions; is_call && f->name != NULL; f++) {
        BUG_ON(n == NAMES_MAX);
        names[n++] = f->name;
    }
    for (int i = 0; !is_call && i < p->spec->n; i++) {
        const size_t used = strlen(list);
        names[n++] = p->spec->fields[i].name;
        (void)snprintf(list + used, sizeof list - used, "%s%s", i > 0 ? ", " : "; there are ",
                       p->spec->fields[i].name);
    }
    (void)snprintf(name, sizeof name, "%.*s", token->length, token->begin);
    const char *nearest = err_nearest(name, names, n);
    return expr_fail(p->b->err, ERR_UNKNOWN, token->column, "no %s is called '%s'%s%s%s%s",
                     is_call ? "function" : "field", name, nearest ? "; did you mean '" : "",
                     nearest ? nearest : "", nearest ? "'?" : "", nearest ? "" : list);
}

static enum expr_type type_of(enum dtype dtype, unsigned flags)
{
    if (dtype == DTYPE_F32 || dtype == DTYPE_F64 || (flags & EXPR_FLOATS) != 0) {
        return EXPR_F32;
    }
    return dtype == DTYPE_BOOL ? EXPR_BOOL : EXPR_I64;
}

static int field(struct parser *p, const struct expr_token *name, int i)
{
    const enum dtype dtype = p->spec->fields[i].spec.dtype;
    if (dtype == DTYPE_STR) {
        return expr_fail(p->b->err, ERR_INVALID, name->column,
                         "field '%.*s' holds texts; only numbers are computed with", name->length,
                         name->begin);
    }
    return expr_node_field(p->b, name->column, i, type_of(dtype, p->flags));
}

static int parse_field(struct parser *p, const struct expr_token *name)
{
    for (int i = 0; i < p->spec->n; i++) {
        if (is_name(name, p->spec->fields[i].name)) {
            return field(p, name, i);
        }
    }
    if (is_name(name, "true") || is_name(name, "false")) {
        return expr_node_const(p->b, name->column, EXPR_BOOL,
                               (union expr_value){.b = is_name(name, "true")});
    }
    return unknown(p, name, false);
}

/* ---- calls */

struct call {
    struct expr_token name;
    int args[4], n;
    int k;            /* an axis */
    enum dtype dtype; /* of a cast */
};

static int parse_whole_number(struct parser *p, int limit, const char *what, int *ret)
{
    const bool is_negative = is_sign(p, "-");
    const int column = p->token.column;
    int r = is_negative || is_sign(p, "+") ? next(p) : 0;
    if (r < 0) {
        return r;
    }
    if (p->token.kind != EXPR_TOKEN_INT || p->token.value.i > limit) {
        return expr_fail(p->b->err, ERR_INVALID, column,
                         "%s is a whole number from %d to %d, "
                         "written out",
                         what, -limit, limit);
    }
    *ret = (int)(is_negative ? -p->token.value.i : p->token.value.i);
    return next(p);
}

static int parse_dtype(struct parser *p, enum dtype *ret)
{
    const char *names[DTYPE_MAX_];
    char name[80];
    (void)snprintf(name, sizeof name, "%.*s", p->token.length, p->token.begin);
    for (int i = 0; i < DTYPE_MAX_; i++) {
        names[i] = dtype_name((enum dtype)i);
    }
    const int found = p->token.kind == EXPR_TOKEN_NAME ? dtype_find(name) : -1;
    if (found < 0 || found >= DTYPE_F64) {
        const char *nearest = found == DTYPE_F64 ? "float32" : err_nearest(name, names, DTYPE_F64);
        return expr_fail(p->b->err, ERR_UNKNOWN, p->token.column,
                         "cast takes bool, uint8, int8, uint16, int16, int32, int64 or float32, "
                         "not '%s'%s%s%s",
                         name, nearest ? "; did you mean '" : "", nearest ? nearest : "",
                         nearest ? "'?" : "");
    }
    *ret = (enum dtype)found;
    return next(p);
}

static int parse_arg(struct parser *p, struct call *call)
{
    int r = 0;
    if (call->n == 1 && is_name(&call->name, "cast")) {
        r = parse_dtype(p, &call->dtype);
    } else if (call->n == 1 && is_name(&call->name, "shape")) {
        r = parse_whole_number(p, SHAPE_RANK_MAX, "an axis", &call->k);
    } else {
        r = parse_whole(p);
        if (call->n < 3) {
            call->args[call->n] = r;
        }
    }
    call->n++;
    return r;
}

static int parse_args(struct parser *p, struct call *call)
{
    int r = next(p);
    while (r >= 0 && !is_sign(p, ")")) {
        r = call->n > 0 ? expect(p, ",", "or ')'") : 0;
        r = r < 0 ? r : parse_arg(p, call);
    }
    return r < 0 ? r : next(p);
}

static int wrong_count(struct parser *p, const struct call *call)
{
    char counts[64] = "";
    for (const struct expr_function *f = expr_functions; f->name != NULL; f++) {
        if (is_name(&call->name, f->name)) {
            const size_t used = strlen(counts);
            (void)snprintf(counts + used, sizeof counts - used, "%s%d", used > 0 ? " or " : "",
                           f->least);
        }
    }
    return counts[0] == '\0' ? unknown(p, &call->name, true)
                             : expr_fail(p->b->err, ERR_INVALID, call->name.column,
                                         "%.*s is given %d arguments; it takes %s",
                                         call->name.length, call->name.begin, call->n, counts);
}

/* low + (high - low) * what was drawn */
static int spread(struct parser *p, const struct call *call, const int *bounds, int drawn)
{
    const int args[3] = {bounds[0], bounds[1], drawn};
    return drawn < 0 ? drawn : expr_node_op(p->b, EXPR_BETWEEN, call->name.column, args, 3, 0);
}

static int make_call(struct parser *p, const struct call *call)
{
    const int column = call->name.column;
    for (const struct expr_function *f = expr_functions; f->name != NULL; f++) {
        if (!is_name(&call->name, f->name) || call->n < f->least || call->n > f->most) {
            continue;
        }
        switch ((int)f->code) {
        case EXPR_CAST: return expr_node_cast(p->b, column, call->args[0], call->dtype);
        case EXPR_SHAPE: return expr_node_op(p->b, f->code, column, call->args, 1, call->k);
        case EXPR_RANDOM: {
            const int drawn = expr_node_op(p->b, f->code, column, NULL, 0, 0);
            return call->n == 0 ? drawn : spread(p, call, call->args, drawn);
        }
        case EXPR_RANDOM_LIKE: {
            const int drawn = expr_node_op(p->b, f->code, column, call->args, 1, 0);
            return call->n == 1 ? drawn : spread(p, call, call->args + 1, drawn);
        }
        default: return expr_node_op(p->b, f->code, column, call->args, call->n, 0);
        }
    }
    return wrong_count(p, call);
}

static int parse_name(struct parser *p)
{
    struct call call = {.name = p->token};
    int r = next(p);
    if (r < 0) {
        return r;
    }
    if (!is_sign(p, "(")) {
        return parse_field(p, &call.name);
    }
    r = parse_args(p, &call);
    return r < 0 ? r : make_call(p, &call);
}

/* ---- signs */

static int parse_primary(struct parser *p)
{
    const struct expr_token token = p->token;
    if (token.kind == EXPR_TOKEN_NAME) {
        return parse_name(p);
    }
    if (token.kind == EXPR_TOKEN_INT || token.kind == EXPR_TOKEN_FLOAT) {
        const int r = next(p);
        const enum expr_type type = token.kind == EXPR_TOKEN_INT ? EXPR_I64 : EXPR_F32;
        return r < 0 ? r : expr_node_const(p->b, token.column, type, token.value);
    }
    if (is_sign(p, "(")) {
        int r = next(p);
        const int node = r < 0 ? r : parse_whole(p);
        r = node < 0 ? node : expect(p, ")", "of a bracket");
        return r < 0 ? r : node;
    }
    if (token.kind == EXPR_TOKEN_END) {
        return expr_fail(p->b->err, ERR_SYNTAX, token.column,
                         "ends where a number, a field or a function belongs");
    }
    return expr_fail(p->b->err, ERR_SYNTAX, token.column,
                     "'%.*s' stands where a number, a field or a function belongs", token.length,
                     token.begin);
}

static int parse_power(struct parser *p)
{
    const int base = parse_primary(p), column = p->token.column;
    int k = 0;
    if (base < 0 || !is_sign(p, "**")) {
        return base;
    }
    int r = next(p);
    r = r < 0 ? r : parse_whole_number(p, POWER_MAX, "the exponent of **", &k);
    if (r >= 0 && is_sign(p, "**")) {
        r = expr_fail(p->b->err, ERR_SYNTAX, p->token.column, "two ** in a row; put brackets");
    }
    return r < 0 ? r : expr_node_op(p->b, EXPR_POW, column, &base, 1, k);
}

static int parse_sign(struct parser *p)
{
    const int column = p->token.column;
    const bool is_not = is_sign(p, "!"), is_minus = is_sign(p, "-");
    if (!is_not && !is_minus && !is_sign(p, "+")) {
        return parse_power(p);
    }
    int r = next(p);
    const int arg = r < 0 ? r : deeper(p, parse_sign);
    if (arg < 0 || (!is_not && !is_minus)) {
        return arg;
    }
    return expr_node_op(p->b, is_not ? EXPR_NOT : EXPR_NEG, column, &arg, 1, 0);
}

static int deeper(struct parser *p, int (*part)(struct parser *p))
{
    if (p->nesting == EXPR_NESTING_MAX) {
        return expr_fail(p->b->err, ERR_LIMIT, p->token.column,
                         "more than %d brackets, calls and signs inside each other",
                         EXPR_NESTING_MAX);
    }
    p->nesting++;
    const int node = part(p);
    p->nesting--;
    return node;
}

static const enum expr_code *code_at(const struct parser *p, int level)
{
    for (int i = 0; i < SIGNS && levels[level].signs[i].sign != NULL; i++) {
        if (is_sign(p, levels[level].signs[i].sign)) {
            return &levels[level].signs[i].code;
        }
    }
    return NULL;
}

static int parse_level(struct parser *p, int level)
{
    if (level == N_LEVELS) {
        return parse_sign(p);
    }
    int node = parse_level(p, level + 1);
    const enum expr_code *code;
    for (int n = 0; node >= 0 && (code = code_at(p, level)) != NULL; n++) {
        const int column = p->token.column;
        if (n > 0 && !levels[level].chains) {
            return expr_fail(p->b->err, ERR_SYNTAX, column,
                             "comparisons do not chain; write a < b && b < c");
        }
        int args[2] = {node, next(p)};
        args[1] = args[1] < 0 ? args[1] : parse_level(p, level + 1);
        node = args[1] < 0 ? args[1] : expr_node_op(p->b, *code, column, args, 2, 0);
    }
    return node;
}

static int parse_choice(struct parser *p)
{
    int args[3];
    args[0] = parse_level(p, 0);
    const int column = p->token.column;
    if (args[0] < 0 || !is_sign(p, "?")) {
        return args[0];
    }
    int r = next(p);
    args[1] = r < 0 ? r : parse_whole(p);
    r = args[1] < 0 ? args[1] : expect(p, ":", "of '?'");
    args[2] = r < 0 ? r : parse_whole(p);
    return args[2] < 0 ? args[2] : expr_node_op(p->b, EXPR_WHERE, column, args, 3, 0);
}

static int parse_whole(struct parser *p)
{
    return deeper(p, parse_choice);
}

int expr_parse(const char *text, const struct element_spec *spec, unsigned flags,
               struct expr_builder *b)
{
    struct parser p = {.text = text, .spec = spec, .flags = flags, .b = b};
    p.token.begin = text;
    int r = next(&p);
    const int node = r < 0 ? r : parse_whole(&p);
    if (node >= 0 && p.token.kind != EXPR_TOKEN_END) {
        return expr_fail(b->err, ERR_SYNTAX, p.token.column, "'%.*s' stands where it should end",
                         p.token.length, p.token.begin);
    }
    return node;
}
