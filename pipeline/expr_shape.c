/* expr_shape - shapes of all parts, broadcast as in numpy; -1 where not known. */
#include "pipeline/expr_impl.h"

bool expr_is_reduction(enum expr_code code)
{
    return code >= EXPR_SUM && code <= EXPR_ALL;
}

bool expr_takes_shape(enum expr_code code)
{
    return code == EXPR_SIZE || code == EXPR_SHAPE || code == EXPR_RANDOM_LIKE ||
           code == EXPR_NORMAL_LIKE;
}

static int64_t at(const struct shape *shape, int from_behind)
{
    return from_behind < shape->rank ? shape->d[shape->rank - 1 - from_behind] : 1;
}

/* b into a */
static bool broadcast(struct shape *a, const struct shape *b)
{
    struct shape both = {.rank = a->rank > b->rank ? a->rank : b->rank};
    for (int i = 0; i < both.rank; i++) {
        const int64_t m = at(a, i), n = at(b, i);
        if (m != n && m != 1 && n != 1 && m >= 0 && n >= 0) {
            return false;
        }
        /* What is not known gives way to a number that is not 1. */
        both.d[both.rank - 1 - i] = m == 1 || (m < 0 && n != 1) ? n : m;
    }
    *a = both;
    return true;
}

static int fail_shapes(const struct expr_node *node, const struct shape *a, const struct shape *b,
                       struct err *err)
{
    char one[96], other[96];
    shape_format(a, one, sizeof one);
    shape_format(b, other, sizeof other);
    return expr_fail(err, ERR_SHAPE, node->column, "shapes %s and %s do not fit together at '%s'",
                     one, other, expr_sign(node->code));
}

static int check_count(const struct expr_node *node, const struct shape *shape, bool is_all,
                       struct err *err)
{
    int64_t n = 1;
    bool is_known = true, is_empty = false;
    for (int i = 0; i < shape->rank; i++) {
        is_known = is_known && shape->d[i] >= 0;
        is_empty = is_empty || shape->d[i] == 0;
    }
    const int r = is_known ? shape_count(shape, &n) : 0;
    if (r < 0 || n > EXPR_VALUES_MAX) {
        return expr_fail(err, ERR_LIMIT, node->column, "'%s' has more than %d values",
                         expr_sign(node->code), EXPR_VALUES_MAX);
    }
    return is_all && is_empty ? expr_fail(err, ERR_SHAPE, node->column, "'%s' of no values at all",
                                          expr_sign(node->code))
                              : 0;
}

static int check_axis(const struct expr_node *node, const struct shape *shape, struct err *err)
{
    if (node->k >= -shape->rank && node->k < shape->rank) {
        return 0;
    }
    char text[96];
    shape_format(shape, text, sizeof text);
    return expr_fail(err, ERR_RANGE, node->column, "axis %d of shape %s; from %d to %d", node->k,
                     text, -shape->rank, shape->rank - 1);
}

static int of_node(const struct expr_node *node, const struct shape *const *fields,
                   const struct shape *done, struct shape *ret, struct err *err)
{
    *ret = (struct shape){.rank = 0};
    if (node->code == EXPR_FIELD) {
        *ret = *fields[node->k];
    }
    if (node->code == EXPR_SHAPE) {
        return check_axis(node, &done[node->args[0]], err);
    }
    if (node->code == EXPR_REDUCE_MIN || node->code == EXPR_REDUCE_MAX) {
        return check_count(node, &done[node->args[0]], true, err);
    }
    if (node->code == EXPR_SIZE || expr_is_reduction(node->code)) {
        return 0;
    }
    for (int i = 0; i < node->n_args; i++) {
        const struct shape before = *ret;
        if (!broadcast(ret, &done[node->args[i]])) {
            return fail_shapes(node, &before, &done[node->args[i]], err);
        }
    }
    return check_count(node, ret, false, err);
}

int expr_shapes(const struct expr *expr, const struct shape *const *fields, struct shape *ret,
                struct err *err)
{
    int r = 0;
    for (int i = 0; i < expr->n_nodes && r == 0; i++) {
        r = of_node(&expr->nodes[i], fields, ret, &ret[i], err);
    }
    return r;
}
