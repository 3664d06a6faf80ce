/* expr - a small language of formulas over the fields of an element: `255 - x`, `y < 5 && mean(x) >
 * 0.1`.
 *
 * Owns:     a compiled expression lives in the arena given; a scratch is its user's.
 * Threads:  a compiled expression is const; a scratch belongs to one thread.
 * Errors:   compile: ERR_SYNTAX, ERR_UNKNOWN, ERR_INVALID, ERR_RANGE, ERR_LIMIT, the column in the
 * text. check, run: ERR_SHAPE, ERR_LIMIT. Lifetime: the arena's.
 *
 * Grammar, strongest first: numbers, names of fields, true, false, f(...), (...);
 *   ** with a whole number to its right; unary - + !; * / // %; + -; < <= > >=; == !=; &&; ||; c ?
 * a : b. Comparisons do not chain. Functions: expr_function.c, docs/expressions.md. Types: bool,
 * int64, float32. A field of whole numbers is read as int64, one of float32 or float64 as float32;
 * with EXPR_FLOATS every field is float32. A number without point and exponent is
 * int64. Where types meet, bool becomes int64 and int64 becomes float32 (rounded to nearest).
 * Arithmetic: int64 wraps. / gives float32. // and % round down, as in Python; of whole numbers by
 * 0 they give 0. min and max give NaN where there is one. round goes half to even. x ** n is
 * repeated squaring. cast cuts fractions off; a float beyond the type's ends becomes its end, NaN
 * 0; whole numbers wrap. Sums: value i, row-major, goes to partial sum i mod 8, these are added in
 * order; in float64 for float32, rounded once. So every machine gives the same bits (law 3); no
 * libm function but exact ones. Shapes broadcast as in numpy. The result is bool, int64, float32,
 * or what an outermost cast names. Law 1: random draws are a function of (seed, id, epoch,
 * position) and of which random in the text it is; in the text each random draws anew. Nothing is
 * kept from one run to the next.
 */
#ifndef PIPELINE_EXPR_H
#define PIPELINE_EXPR_H

#include "base/arena.h"
#include "base/buf.h"
#include "pipeline/element.h"

enum {
    EXPR_TEXT_MAX = 4096,      /* bytes */
    EXPR_NODES_MAX = 512,      /* numbers, fields, operations, conversions */
    EXPR_NESTING_MAX = 48,     /* brackets, calls, signs inside each other */
    EXPR_VALUES_MAX = 1 << 28, /* of any part of it */
    EXPR_BLOCK = 1024,         /* values that are computed at a time */
};

enum expr_flag { EXPR_FLOATS = 1 };

struct expr;
struct op_scratch;
struct expr_key {
    uint64_t seed, id; /* of the op or stage */
    uint32_t epoch;
    uint64_t position;
};

/* Looks at the names and element types of spec, not at shapes. */
int expr_compile(const char *text, const struct element_spec *spec, unsigned flags,
                 struct arena *arena, struct expr **ret, struct err *err);
/* Element type and shape of the result; spec as in compile, its shapes known or not (-1). */
int expr_check(const struct expr *expr, const struct element_spec *spec, struct op_spec *ret,
               struct err *err);
/* Fields as in compile. ret->data holds the bytes of the result; its dtype and shape are set. */
int expr_run(const struct expr *expr, const struct element *in, const struct expr_key *key,
             struct tensor *ret, struct op_scratch *scratch, struct err *err);
bool expr_is_random(const struct expr *expr);
/* Does it end in a cast? */
bool expr_is_cast(const struct expr *expr);
/* Bit i: field i is in the text. */
uint32_t expr_fields(const struct expr *expr);
/* Markdown of all functions. */
void expr_reference(struct buf *out);

#endif
