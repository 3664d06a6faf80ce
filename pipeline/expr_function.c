/* expr_function - what may stand before a bracket; the same name may take one argument or two. */
#include "pipeline/expr_impl.h"

const struct expr_function expr_functions[] = {
    {"where", EXPR_WHERE, 3, 3, "c, a, b", "a where c is true, else b; `c ? a : b` is the same."},
    {"min", EXPR_MIN, 2, 2, "a, b", "The smaller of both; NaN where there is one."},
    {"min", EXPR_REDUCE_MIN, 1, 1, "x", "The smallest value of x."},
    {"max", EXPR_MAX, 2, 2, "a, b", "The greater of both; NaN where there is one."},
    {"max", EXPR_REDUCE_MAX, 1, 1, "x", "The greatest value of x."},
    {"clip", EXPR_CLIP, 3, 3, "x, low, high", "min(max(x, low), high)."},
    {"abs", EXPR_ABS, 1, 1, "x", "Without its sign."},
    {"sign", EXPR_SIGN, 1, 1, "x", "-1, 0 or 1; NaN stays."},
    {"floor", EXPR_FLOOR, 1, 1, "x", "The whole number below."},
    {"ceil", EXPR_CEIL, 1, 1, "x", "The whole number above."},
    {"round", EXPR_ROUND, 1, 1, "x", "The nearest whole number, of two the even one."},
    {"sqrt", EXPR_SQRT, 1, 1, "x", "Square root, in float32."},
    {"exp", EXPR_EXP, 1, 1, "x", "e to the power of x, in float32, the same bits everywhere."},
    {"log", EXPR_LOG, 1, 1, "x", "Natural logarithm, in float32, the same bits everywhere."},
    {"tanh", EXPR_TANH, 1, 1, "x", "In float32, the same bits everywhere."},
    {"is_nan", EXPR_IS_NAN, 1, 1, "x", "Is it not a number?"},
    {"is_finite", EXPR_IS_FINITE, 1, 1, "x", "Is it neither infinite nor NaN?"},
    {"sum", EXPR_SUM, 1, 1, "x", "Of all values; how many are true, of a bool."},
    {"reduce_sum", EXPR_SUM, 1, 1, "x", "The same as sum."},
    {"mean", EXPR_MEAN, 1, 1, "x", "Of all values, in float32."},
    {"reduce_mean", EXPR_MEAN, 1, 1, "x", "The same as mean."},
    {"reduce_min", EXPR_REDUCE_MIN, 1, 1, "x", "The same as min(x)."},
    {"reduce_max", EXPR_REDUCE_MAX, 1, 1, "x", "The same as max(x)."},
    {"any", EXPR_ANY, 1, 1, "x", "Is one of them true?"},
    {"reduce_any", EXPR_ANY, 1, 1, "x", "The same as any."},
    {"all", EXPR_ALL, 1, 1, "x", "Are all of them true?"},
    {"reduce_all", EXPR_ALL, 1, 1, "x", "The same as all."},
    {"size", EXPR_SIZE, 1, 1, "x", "How many values x has."},
    {"shape", EXPR_SHAPE, 2, 2, "x, axis", "One dimension of x; from behind with a minus."},
    {"cast", EXPR_CAST, 2, 2, "x, type",
     "As bool, uint8, int8, uint16, int16, int32, int64 or float32."},
    {"random", EXPR_RANDOM, 0, 0, "", "One number of 0 <= u < 1 for the whole element."},
    {"random", EXPR_RANDOM, 2, 2, "low, high", "low + (high - low) * random()."},
    {"random_like", EXPR_RANDOM_LIKE, 1, 1, "x", "A number of 0 <= u < 1 for each value of x."},
    {"random_like", EXPR_RANDOM_LIKE, 3, 3, "x, low, high", "low + (high - low) * random_like(x)."},
    {"normal", EXPR_NORMAL, 0, 0, "", "One number of mean 0 and deviation 1 for the element."},
    {"normal_like", EXPR_NORMAL_LIKE, 1, 1, "x", "Such a number for each value of x."},
    {NULL, EXPR_CODE_MAX_, 0, 0, NULL, NULL},
};

void expr_reference(struct buf *out)
{
    buf_puts(out, "| function | what it gives |\n|---|---|\n");
    for (const struct expr_function *f = expr_functions; f->name != NULL; f++) {
        buf_printf(out, "| `%s(%s)` | %s |\n", f->name, f->arguments, f->help);
    }
}
