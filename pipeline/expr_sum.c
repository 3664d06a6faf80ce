/* expr_sum - reductions: value i goes to part i mod 8, and the parts are joined in order. */
#include <math.h>

#include "pipeline/expr_impl.h"

/* Fills lanes with what changes nothing. */
static void begin(struct expr_sum *s, enum expr_code code)
{
    const bool is_min = code == EXPR_REDUCE_MIN, is_max = code == EXPR_REDUCE_MAX;
    for (int k = 0; k < EXPR_LANES; k++) {
        s->d[k] = 0;
        s->f[k] = is_min ? (float)INFINITY : (float)-INFINITY;
        s->i[k] = is_min ? (uint64_t)INT64_MAX : is_max ? (uint64_t)INT64_MIN : code == EXPR_ALL;
    }
}

/* What is joined to `lane` by value i; whole eights first, so that the compiler sees vectors. */
#define LANES(type, e)                                 \
    do {                                               \
        const type *restrict x = in;                   \
        size_t i = 0;                                  \
        for (; i + EXPR_LANES <= n; i += EXPR_LANES) { \
            for (size_t k = 0; k < EXPR_LANES; k++) {  \
                const type a = x[i + k];               \
                e;                                     \
            }                                          \
        }                                              \
        for (size_t k = 0; i < n; i++, k++) {          \
            const type a = x[i];                       \
            e;                                         \
        }                                              \
    } while (0)
#define LESS(a, b) ((b) < (a) || (b) != (b) ? (b) : (a))
#define MORE(a, b) ((b) > (a) || (b) != (b) ? (b) : (a))

static void add_f32(struct expr_sum *s, enum expr_code code, const void *in, size_t n)
{
    if (code == EXPR_REDUCE_MIN) {
        LANES(float, s->f[k] = LESS(s->f[k], a));
    } else if (code == EXPR_REDUCE_MAX) {
        LANES(float, s->f[k] = MORE(s->f[k], a));
    } else {
        LANES(float, s->d[k] += (double)a);
    }
}

static void add_i64(struct expr_sum *s, enum expr_code code, const void *in, size_t n)
{
    if (code == EXPR_REDUCE_MIN) {
        LANES(int64_t, s->i[k] = (uint64_t)(a < (int64_t)s->i[k] ? a : (int64_t)s->i[k]));
    } else if (code == EXPR_REDUCE_MAX) {
        LANES(int64_t, s->i[k] = (uint64_t)(a > (int64_t)s->i[k] ? a : (int64_t)s->i[k]));
    } else {
        LANES(int64_t, s->i[k] += (uint64_t)a);
    }
}

static void add_bool(struct expr_sum *s, enum expr_code code, const void *in, size_t n)
{
    if (code == EXPR_ALL) {
        LANES(uint8_t, s->i[k] &= a);
    } else {
        LANES(uint8_t, s->i[k] |= a);
    }
}

void expr_sum_add(struct expr_sum *sum, enum expr_code code, enum expr_type of, const void *in,
                  size_t n)
{
    if (sum->n == 0) {
        begin(sum, code);
    }
    sum->n += (int64_t)n;
    switch (of) {
    case EXPR_F32: add_f32(sum, code, in, n); break;
    case EXPR_I64: add_i64(sum, code, in, n); break;
    case EXPR_BOOL: add_bool(sum, code, in, n); break;
    case EXPR_TYPE_MAX_: BUG("no type");
    }
}

static union expr_value end_float(struct expr_sum *s, enum expr_code code)
{
    for (int k = 1; k < EXPR_LANES; k++) {
        s->d[0] += s->d[k];
        s->f[0] = code == EXPR_REDUCE_MIN ? LESS(s->f[0], s->f[k]) : MORE(s->f[0], s->f[k]);
    }
    if (code == EXPR_MEAN) {
        return (union expr_value){.f = s->n > 0 ? (float)(s->d[0] / (double)s->n) : (float)NAN};
    }
    return (union expr_value){.f = code == EXPR_SUM ? (float)s->d[0] : s->f[0]};
}

static union expr_value end_whole(struct expr_sum *s, enum expr_code code)
{
    for (int k = 1; k < EXPR_LANES; k++) {
        const int64_t a = (int64_t)s->i[0], b = (int64_t)s->i[k];
        s->i[0] = code == EXPR_REDUCE_MIN   ? (uint64_t)(b < a ? b : a)
                  : code == EXPR_REDUCE_MAX ? (uint64_t)(b > a ? b : a)
                                            : s->i[0] + s->i[k];
    }
    if (code == EXPR_MEAN) {
        const double sum = (double)(int64_t)s->i[0];
        return (union expr_value){.f = s->n > 0 ? (float)(sum / (double)s->n) : (float)NAN};
    }
    return (union expr_value){.i = (int64_t)s->i[0]};
}

union expr_value expr_sum_end(const struct expr_sum *sum, enum expr_code code, enum expr_type of)
{
    struct expr_sum s = *sum;
    if (s.n == 0) {
        begin(&s, code);
    }
    if (of == EXPR_F32) {
        return end_float(&s, code);
    }
    if (of == EXPR_I64) {
        return end_whole(&s, code);
    }
    uint64_t joined = s.i[0];
    for (int k = 1; k < EXPR_LANES; k++) {
        joined = code == EXPR_ALL ? joined & s.i[k] : joined | s.i[k];
    }
    return (union expr_value){.b = (uint8_t)joined};
}
