/* expr_kernel - loops over a block of values; plain C that the compiler turns into vectors. */
#include <math.h>
#include <string.h>

#include "base/math.h"
#include "pipeline/expr_impl.h"

#define LOOP1(name, from, to, e)                                        \
    static void name(const void *const *in, void *out, size_t n, int k) \
    {                                                                   \
        const from *restrict x = in[0];                                 \
        to *restrict o = out;                                           \
        (void)k;                                                        \
        for (size_t i = 0; i < n; i++) {                                \
            const from a = x[i];                                        \
            o[i] = (to)(e);                                             \
        }                                                               \
    }
#define LOOP2(name, from, to, e)                                        \
    static void name(const void *const *in, void *out, size_t n, int k) \
    {                                                                   \
        const from *restrict x = in[0], *restrict y = in[1];            \
        to *restrict o = out;                                           \
        (void)k;                                                        \
        for (size_t i = 0; i < n; i++) {                                \
            const from a = x[i], b = y[i];                              \
            o[i] = (to)(e);                                             \
        }                                                               \
    }
#define LOOP3(name, from, to, e)                                                  \
    static void name(const void *const *in, void *out, size_t n, int k)           \
    {                                                                             \
        const from *restrict x = in[0], *restrict y = in[1], *restrict z = in[2]; \
        to *restrict o = out;                                                     \
        (void)k;                                                                  \
        for (size_t i = 0; i < n; i++) {                                          \
            const from a = x[i], b = y[i], c = z[i];                              \
            o[i] = (to)(e);                                                       \
        }                                                                         \
    }
#define WHERE_LOOP(name, type)                                          \
    static void name(const void *const *in, void *out, size_t n, int k) \
    {                                                                   \
        const uint8_t *restrict c = in[0];                              \
        const type *restrict x = in[1], *restrict y = in[2];            \
        type *restrict o = out;                                         \
        (void)k;                                                        \
        for (size_t i = 0; i < n; i++) {                                \
            o[i] = c[i] != 0 ? x[i] : y[i];                             \
        }                                                               \
    }

/* ---- numbers */

static int64_t floor_div(int64_t a, int64_t b)
{
    if (b == 0) {
        return 0;
    }
    if (b == -1) {
        return (int64_t)(0 - (uint64_t)a);
    }
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

static int64_t floor_mod(int64_t a, int64_t b)
{
    if (b == 0 || b == -1) {
        return 0;
    }
    const int64_t rest = a % b;
    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

/* fmod is exact, so it has one value. */
static float float_mod(float a, float b)
{
    const float rest = fmodf(a, b);
    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

static uint64_t power_i64(uint64_t base, int k)
{
    uint64_t y = 1;
    for (unsigned e = (unsigned)k; e > 0; e >>= 1) {
        y = (e & 1) != 0 ? y * base : y;
        base *= base;
    }
    return y;
}

static float power_f32(float base, int k)
{
    float y = 1;
    for (unsigned e = k < 0 ? (unsigned)-k : (unsigned)k; e > 0; e >>= 1) {
        y = (e & 1) != 0 ? y * base : y;
        base *= base;
    }
    return k < 0 ? 1 / y : y;
}

#define U(x)         ((uint64_t)(x))
#define LESS_F(a, b) ((a) < (b) || (a) != (a) ? (a) : (b))
#define MORE_F(a, b) ((a) > (b) || (a) != (a) ? (a) : (b))
LOOP2(add_i, int64_t, int64_t, U(a) + U(b))
LOOP2(add_f, float, float, a + b)
LOOP2(sub_i, int64_t, int64_t, U(a) - U(b))
LOOP2(sub_f, float, float, a - b)
LOOP2(mul_i, int64_t, int64_t, U(a) * U(b))
LOOP2(mul_f, float, float, a *b)
LOOP2(floordiv_i, int64_t, int64_t, floor_div(a, b))
LOOP2(floordiv_f, float, float, floorf(a / b))
LOOP2(mod_i, int64_t, int64_t, floor_mod(a, b))
LOOP2(mod_f, float, float, float_mod(a, b))
LOOP2(div_f, float, float, a / b)
LOOP1(pow_i, int64_t, int64_t, power_i64(U(a), k))
LOOP1(pow_f, float, float, power_f32(a, k))
LOOP1(neg_i, int64_t, int64_t, 0 - U(a))
LOOP1(neg_f, float, float, -a)
LOOP2(min_i, int64_t, int64_t, a < b ? a : b)
LOOP2(min_f, float, float, LESS_F(a, b))
LOOP2(max_i, int64_t, int64_t, a > b ? a : b)
LOOP2(max_f, float, float, MORE_F(a, b))
LOOP1(abs_i, int64_t, int64_t, a < 0 ? 0 - U(a) : U(a))
LOOP1(abs_f, float, float, fabsf(a))
LOOP1(sign_i, int64_t, int64_t, (a > 0) - (a < 0))
LOOP1(sign_f, float, float, a > 0 ? 1 : a < 0 ? -1 : a)
LOOP1(same_i, int64_t, int64_t, a)
LOOP1(floor_f, float, float, floorf(a))
LOOP1(ceil_f, float, float, ceilf(a))
LOOP1(round_f, float, float, rintf(a))
LOOP1(sqrt_f, float, float, sqrtf(a))
LOOP1(exp_f, float, float, math_exp((double)a))
LOOP1(log_f, float, float, math_log((double)a))
LOOP1(tanh_f, float, float, math_tanh((double)a))
LOOP3(between_f, float, float, a + (b - a) * c)

static void clip_i(const void *const *in, void *out, size_t n, int k)
{
    int64_t block[EXPR_BLOCK];
    const void *const low[] = {in[0], in[1]}, *const high[] = {block, in[2]};
    max_i(low, block, n, k);
    min_i(high, out, n, k);
}

static void clip_f(const void *const *in, void *out, size_t n, int k)
{
    float block[EXPR_BLOCK];
    const void *const low[] = {in[0], in[1]}, *const high[] = {block, in[2]};
    max_f(low, block, n, k);
    min_f(high, out, n, k);
}

/* ---- comparisons and logic */

#define COMPARE(name, sign)                     \
    LOOP2(name##_b, uint8_t, uint8_t, a sign b) \
    LOOP2(name##_i, int64_t, uint8_t, a sign b) \
    LOOP2(name##_f, float, uint8_t, a sign b)
COMPARE(lt, <)
COMPARE(le, <=)
COMPARE(gt, >)
COMPARE(ge, >=)
COMPARE(eq, ==)
COMPARE(ne, !=)
LOOP2(and_b, uint8_t, uint8_t, a &b)
LOOP2(or_b, uint8_t, uint8_t, a | b)
LOOP1(not_b, uint8_t, uint8_t, a ^ 1)
LOOP1(is_nan_f, float, uint8_t, a != a)
LOOP1(is_finite_f, float, uint8_t, fabsf(a) <= 3.4028234663852886e38f)
WHERE_LOOP(where_b, uint8_t)
WHERE_LOOP(where_i, int64_t)
WHERE_LOOP(where_f, float)

#define NUMBERS(name)       \
    {                       \
        {NULL}, {name##_i}, \
        {                   \
            name##_f        \
        }                   \
    }
#define FLOATS(name)    \
    {                   \
        {NULL}, {NULL}, \
        {               \
            name##_f    \
        }               \
    }
#define ALL(name)               \
    {                           \
        {name##_b}, {name##_i}, \
        {                       \
            name##_f            \
        }                       \
    }
#define WHOLE(name)       \
    {                     \
        {NULL}, {same_i}, \
        {                 \
            name##_f      \
        }                 \
    }
#define BOOLS(name)         \
    {                       \
        {name##_b}, {NULL}, \
        {                   \
            NULL            \
        }                   \
    }
static const struct expr_kernel kernels[EXPR_CODE_MAX_][EXPR_TYPE_MAX_] = {
    [EXPR_ADD] = NUMBERS(add),
    [EXPR_SUB] = NUMBERS(sub),
    [EXPR_MUL] = NUMBERS(mul),
    [EXPR_FLOORDIV] = NUMBERS(floordiv),
    [EXPR_MOD] = NUMBERS(mod),
    [EXPR_DIV] = FLOATS(div),
    [EXPR_POW] = NUMBERS(pow),
    [EXPR_NEG] = NUMBERS(neg),
    [EXPR_LT] = ALL(lt),
    [EXPR_LE] = ALL(le),
    [EXPR_GT] = ALL(gt),
    [EXPR_GE] = ALL(ge),
    [EXPR_EQ] = ALL(eq),
    [EXPR_NE] = ALL(ne),
    [EXPR_AND] = BOOLS(and),
    [EXPR_OR] = BOOLS(or),
    [EXPR_NOT] = BOOLS(not ),
    [EXPR_WHERE] = ALL(where),
    [EXPR_MIN] = NUMBERS(min),
    [EXPR_MAX] = NUMBERS(max),
    [EXPR_CLIP] = NUMBERS(clip),
    [EXPR_ABS] = NUMBERS(abs),
    [EXPR_SIGN] = NUMBERS(sign),
    [EXPR_FLOOR] = WHOLE(floor),
    [EXPR_CEIL] = WHOLE(ceil),
    [EXPR_ROUND] = WHOLE(round),
    [EXPR_SQRT] = FLOATS(sqrt),
    [EXPR_EXP] = FLOATS(exp),
    [EXPR_LOG] = FLOATS(log),
    [EXPR_TANH] = FLOATS(tanh),
    [EXPR_IS_NAN] = FLOATS(is_nan),
    [EXPR_IS_FINITE] = FLOATS(is_finite),
    [EXPR_BETWEEN] = FLOATS(between),
};

const struct expr_kernel *expr_kernel(enum expr_code code, enum expr_type of)
{
    const struct expr_kernel *kernel = &kernels[code][of];
    BUG_ON(kernel->run == NULL);
    return kernel;
}

/* ---- casts: the value as the narrow type holds it, kept as int64 */

/* The ends are exact in float but for int64's upper one, which is 2^63 there and not reached. */
static int64_t whole(float a, int64_t low, int64_t high)
{
    if (!(a >= (float)low)) {
        return a != a ? 0 : low;
    }
    return a >= (float)high ? high : (int64_t)a;
}

#define CASTS(name, type, low, high)              \
    LOOP1(name##_b, uint8_t, int64_t, a)          \
    LOOP1(name##_i, int64_t, int64_t, (type)U(a)) \
    LOOP1(name##_f, float, int64_t, whole(a, (low), (high)))
CASTS(to_u8, uint8_t, 0, UINT8_MAX)
CASTS(to_i8, int8_t, INT8_MIN, INT8_MAX)
CASTS(to_u16, uint16_t, 0, UINT16_MAX)
CASTS(to_i16, int16_t, INT16_MIN, INT16_MAX)
CASTS(to_i32, int32_t, INT32_MIN, INT32_MAX)
CASTS(to_i64, int64_t, INT64_MIN, INT64_MAX)
LOOP1(to_bool_b, uint8_t, uint8_t, a)
LOOP1(to_bool_i, int64_t, uint8_t, a != 0)
LOOP1(to_bool_f, float, uint8_t, a<0 || a> 0 || a != a)
LOOP1(to_f32_b, uint8_t, float, a)
LOOP1(to_f32_i, int64_t, float, a)
LOOP1(to_f32_f, float, float, a)

const struct expr_kernel *expr_kernel_cast(enum dtype dtype, enum expr_type of)
{
    static const struct expr_kernel casts[DTYPE_MAX_][EXPR_TYPE_MAX_] = {
        [DTYPE_BOOL] = ALL(to_bool), [DTYPE_U8] = ALL(to_u8),   [DTYPE_I8] = ALL(to_i8),
        [DTYPE_U16] = ALL(to_u16),   [DTYPE_I16] = ALL(to_i16), [DTYPE_I32] = ALL(to_i32),
        [DTYPE_I64] = ALL(to_i64),   [DTYPE_F32] = ALL(to_f32),
    };
    const struct expr_kernel *kernel = &casts[dtype][of];
    BUG_ON(kernel->run == NULL);
    return kernel;
}

/* ---- into and out of blocks */

#define COPY(name, from, to, e)                           \
    static void name(const void *in, void *out, size_t n) \
    {                                                     \
        const from *restrict x = in;                      \
        to *restrict o = out;                             \
        for (size_t i = 0; i < n; i++) {                  \
            const from a = x[i];                          \
            o[i] = (to)(e);                               \
        }                                                 \
    }
#define COPIES(name, type)                  \
    COPY(load_##name##_i, type, int64_t, a) \
    COPY(load_##name##_f, type, float, a)   \
    COPY(store_##name##_i, int64_t, type, a)
COPIES(u8, uint8_t)
COPIES(i8, int8_t)
COPIES(u16, uint16_t)
COPIES(i16, int16_t)
COPIES(i32, int32_t)
COPIES(i64, int64_t)
COPY(copy_f, float, float, a)
COPY(load_f64_f, double, float, a)
COPY(load_bool, uint8_t, uint8_t, a != 0)
COPY(load_bool_f, uint8_t, float, a != 0 ? 1 : 0)
COPY(store_bool_f, uint8_t, float, a)

struct copy {
    void (*run)(const void *in, void *out, size_t n);
};

void expr_kernel_load(enum dtype dtype, enum expr_type type, const void *in, void *out, size_t n)
{
    static const struct copy loads[DTYPE_MAX_][EXPR_TYPE_MAX_] = {
        [DTYPE_BOOL] = {{load_bool}, {NULL}, {load_bool_f}},
        [DTYPE_U8] = {{NULL}, {load_u8_i}, {load_u8_f}},
        [DTYPE_I8] = {{NULL}, {load_i8_i}, {load_i8_f}},
        [DTYPE_U16] = {{NULL}, {load_u16_i}, {load_u16_f}},
        [DTYPE_I16] = {{NULL}, {load_i16_i}, {load_i16_f}},
        [DTYPE_I32] = {{NULL}, {load_i32_i}, {load_i32_f}},
        [DTYPE_I64] = {{NULL}, {load_i64_i}, {load_i64_f}},
        [DTYPE_F32] = {{NULL}, {NULL}, {copy_f}},
        [DTYPE_F64] = {{NULL}, {NULL}, {load_f64_f}},
    };
    const struct copy *load = &loads[dtype][type];
    BUG_ON(load->run == NULL);
    load->run(in, out, n);
}

void expr_kernel_store(enum expr_type type, enum dtype dtype, const void *in, void *out, size_t n)
{
    static const struct copy stores[DTYPE_MAX_][EXPR_TYPE_MAX_] = {
        [DTYPE_BOOL] = {{load_bool}, {NULL}, {NULL}},
        [DTYPE_U8] = {{NULL}, {store_u8_i}, {NULL}},
        [DTYPE_I8] = {{NULL}, {store_i8_i}, {NULL}},
        [DTYPE_U16] = {{NULL}, {store_u16_i}, {NULL}},
        [DTYPE_I16] = {{NULL}, {store_i16_i}, {NULL}},
        [DTYPE_I32] = {{NULL}, {store_i32_i}, {NULL}},
        [DTYPE_I64] = {{NULL}, {store_i64_i}, {NULL}},
        [DTYPE_F32] = {{store_bool_f}, {load_i64_f}, {copy_f}},
    };
    const struct copy *store = &stores[dtype][type];
    BUG_ON(store->run == NULL);
    store->run(in, out, n);
}

#define FILL(type)                               \
    for (size_t i = 0; i < n; i++) {             \
        ((type *)out)[i] = *(const type *)value; \
    }                                            \
    break

void expr_kernel_fill(enum expr_type type, const void *value, void *out, size_t n)
{
    switch (type) {
    case EXPR_BOOL: FILL(uint8_t);
    case EXPR_I64: FILL(int64_t);
    case EXPR_F32: FILL(float);
    case EXPR_TYPE_MAX_: BUG("no type");
    }
}

size_t expr_type_bytes(enum expr_type type)
{
    static const size_t bytes[] = {sizeof(uint8_t), sizeof(int64_t), sizeof(float)};
    return bytes[type];
}
