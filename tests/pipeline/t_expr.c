#include <math.h>
#include <stdio.h>
#include <string.h>

#include "pipeline/expr.h"
#include "pipeline/op.h"
#include "tests/test.h"

/* The element that the tables speak of. */
static float x[] = {-1.5f, 0, 2.25f, 3, 0.1f, -7}, n[] = {NAN, 1, -INFINITY},
             h[] = {0.5f, 1.5f, -2.5f};
static uint8_t u[] = {0, 1, 2, 100, 200, 255}, b[] = {1, 0};
static int64_t y[] = {3};
static int32_t z[] = {-2, 0, 5};
static double d[] = {0.1};
static const struct {
    struct element_field field;
    void *data;
} given[] = {
    {{"x", ELEMENT_NUMERIC, {DTYPE_F32, {2, {2, 3}}}, false}, x},
    {{"n", ELEMENT_NUMERIC, {DTYPE_F32, {1, {3}}}, false}, n},
    {{"h", ELEMENT_NUMERIC, {DTYPE_F32, {1, {3}}}, false}, h},
    {{"u", ELEMENT_IMAGE, {DTYPE_U8, {2, {2, 3}}}, false}, u},
    {{"b", ELEMENT_MASK, {DTYPE_BOOL, {2, {2, 1}}}, false}, b},
    {{"y", ELEMENT_LABEL, {DTYPE_I64, {0, {0}}}, false}, y},
    {{"z", ELEMENT_NUMERIC, {DTYPE_I32, {1, {3}}}, false}, z},
    {{"d", ELEMENT_NUMERIC, {DTYPE_F64, {0, {0}}}, false}, d},
};
enum { GIVEN = sizeof given / sizeof given[0], OUT_MAX = 1 << 16 };

struct state {
    struct arena arena;
    struct op_scratch scratch;
    struct element_spec spec;
    struct element element;
    struct err err;
    unsigned char out[OUT_MAX];
};
static struct state s;

static void setup(void)
{
    memset(&s, 0, sizeof s);
    arena_init(&s.arena);
    for (int i = 0; i < GIVEN; i++) {
        element_add(&s.spec, &given[i].field);
        s.element.fields[i] =
            (struct tensor){given[i].field.spec.dtype, given[i].field.spec.shape, given[i].data};
    }
}

static void teardown(void)
{
    op_scratch_fini(&s.scratch);
    arena_fini(&s.arena);
}

static double at(const struct tensor *t, size_t i)
{
    switch (t->dtype) {
    case DTYPE_BOOL:
    case DTYPE_U8: return ((uint8_t *)t->data)[i];
    case DTYPE_I8: return ((int8_t *)t->data)[i];
    case DTYPE_U16: return ((uint16_t *)t->data)[i];
    case DTYPE_I16: return ((int16_t *)t->data)[i];
    case DTYPE_I32: return ((int32_t *)t->data)[i];
    case DTYPE_I64: return (double)((int64_t *)t->data)[i];
    case DTYPE_F32: return (double)((float *)t->data)[i];
    case DTYPE_F64: return ((double *)t->data)[i];
    case DTYPE_STR:
    case DTYPE_MAX_: break;
    }
    return 0;
}

static struct tensor run(const char *text, unsigned flags, const struct expr_key *key)
{
    static const struct expr_key none = {.seed = 1, .id = 2};
    struct expr *expr = NULL;
    struct tensor out = {.data = s.out};
    struct op_spec spec;
    ck_assert_msg(expr_compile(text, &s.spec, flags, &s.arena, &expr, &s.err) == 0, "%s: %s", text,
                  s.err.text);
    ck_assert_msg(expr_check(expr, &s.spec, &spec, &s.err) == 0, "%s: %s", text, s.err.text);
    ck_assert_msg(expr_run(expr, &s.element, key != NULL ? key : &none, &out, &s.scratch, &s.err) ==
                      0,
                  "%s: %s", text, s.err.text);
    ck_assert_msg(spec.dtype == out.dtype && shape_equal(&spec.shape, &out.shape), "%s", text);
    return out;
}

/* ---- values: numpy gave them, in float32 and int64 */

static const struct value {
    const char *text;
    enum dtype dtype;
    const char *shape;
    double want[6];
} values[] = {
    {"255 - x", DTYPE_F32, "(2, 3)", {256.5, 255, 252.75, 252, 254.899994, 262}},
    {"255 - u", DTYPE_I64, "(2, 3)", {255, 254, 253, 155, 55, 0}},
    {"x + y", DTYPE_F32, "(2, 3)", {1.5, 3, 5.25, 6, 3.0999999, -4}},
    {"x * x - 2 * x + 1", DTYPE_F32, "(2, 3)", {6.25, 1, 1.5625, 4, 0.810000002, 64}},
    {"x + z", DTYPE_F32, "(2, 3)", {-3.5, 0, 7.25, 1, 0.100000001, -2}},
    {"u + z", DTYPE_I64, "(2, 3)", {-2, 1, 7, 98, 200, 260}},
    {"b + y", DTYPE_I64, "(2, 1)", {4, 3}},
    {"u * b", DTYPE_I64, "(2, 3)", {0, 1, 2, 0, 0, 0}},
    {"u / 3", DTYPE_F32, "(2, 3)", {0, 0.333333343, 0.666666687, 33.3333321, 66.6666641, 85}},
    {"y / 0", DTYPE_F32, "()", {INFINITY}},
    {"z / z", DTYPE_F32, "(3,)", {1, NAN, 1}},
    {"u // 7", DTYPE_I64, "(2, 3)", {0, 0, 0, 14, 28, 36}},
    {"z // 2", DTYPE_I64, "(3,)", {-1, 0, 2}},
    {"z % 3", DTYPE_I64, "(3,)", {1, 0, 2}},
    {"z % -3", DTYPE_I64, "(3,)", {-2, 0, -1}},
    {"z // -2", DTYPE_I64, "(3,)", {1, 0, -3}},
    {"z // 0", DTYPE_I64, "(3,)", {0, 0, 0}},
    {"z % 0", DTYPE_I64, "(3,)", {0, 0, 0}},
    {"x % 2", DTYPE_F32, "(2, 3)", {0.5, 0, 0.25, 1, 0.100000001, 1}},
    {"x % -2", DTYPE_F32, "(2, 3)", {-1.5, -0, -1.75, -1, -1.89999998, -1}},
    {"x // 2", DTYPE_F32, "(2, 3)", {-1, 0, 1, 1, 0, -4}},
    {"x ** 2", DTYPE_F32, "(2, 3)", {2.25, 0, 5.0625, 9, 0.0100000007, 49}},
    {"x ** 3", DTYPE_F32, "(2, 3)", {-3.375, 0, 11.390625, 27, 0.00100000005, -343}},
    {"x ** 0", DTYPE_F32, "(2, 3)", {1, 1, 1, 1, 1, 1}},
    {"z ** 3", DTYPE_I64, "(3,)", {-8, 0, 125}},
    {"2 ** 10", DTYPE_I64, "()", {1024}},
    {"-x ** 2", DTYPE_F32, "(2, 3)", {-2.25, -0, -5.0625, -9, -0.0100000007, -49}},
    {"h ** -2", DTYPE_F32, "(3,)", {4, 0.444444448, 0.159999996}},
    {"2 + 3 * 4", DTYPE_I64, "()", {14}},
    {"(2 + 3) * 4", DTYPE_I64, "()", {20}},
    {"7 - 2 - 1", DTYPE_I64, "()", {4}},
    {"-3 // 2", DTYPE_I64, "()", {-2}},
    {"- - 3", DTYPE_I64, "()", {3}},
    {"9223372036854775807 + y", DTYPE_I64, "()", {-9223372036854775806.0}},
    {"-9223372036854775807 - 2", DTYPE_I64, "()", {9223372036854775807.0}},
    {"9223372036854775807 * 2", DTYPE_I64, "()", {-2}},
    {"x < 0", DTYPE_BOOL, "(2, 3)", {1, 0, 0, 0, 0, 1}},
    {"x <= 0", DTYPE_BOOL, "(2, 3)", {1, 1, 0, 0, 0, 1}},
    {"u > 1", DTYPE_BOOL, "(2, 3)", {0, 0, 1, 1, 1, 1}},
    {"u >= z", DTYPE_BOOL, "(2, 3)", {1, 1, 0, 1, 1, 1}},
    {"x == 0", DTYPE_BOOL, "(2, 3)", {0, 1, 0, 0, 0, 0}},
    {"u != 1", DTYPE_BOOL, "(2, 3)", {1, 0, 1, 1, 1, 1}},
    {"b == true", DTYPE_BOOL, "(2, 1)", {1, 0}},
    {"z < x", DTYPE_BOOL, "(2, 3)", {1, 0, 0, 1, 1, 0}},
    {"y < 5 && mean(x) > 0.1", DTYPE_BOOL, "()", {0}},
    {"x > 0 || b", DTYPE_BOOL, "(2, 3)", {1, 1, 1, 1, 1, 0}},
    {"!b", DTYPE_BOOL, "(2, 1)", {0, 1}},
    {"!(x > 0) && b", DTYPE_BOOL, "(2, 3)", {1, 1, 0, 0, 0, 0}},
    {"x > 0 ? x : 0", DTYPE_F32, "(2, 3)", {0, 0, 2.25, 3, 0.100000001, 0}},
    {"where(b, x, z)", DTYPE_F32, "(2, 3)", {-1.5, 0, 2.25, -2, 0, 5}},
    {"where(b, u, z)", DTYPE_I64, "(2, 3)", {0, 1, 2, -2, 0, 5}},
    {"where(b, true, x > 1)", DTYPE_BOOL, "(2, 3)", {1, 1, 1, 1, 0, 0}},
    {"y > 1 ? y < 3 ? 1 : 2 : 3", DTYPE_I64, "()", {2}},
    {"min(x, 1)", DTYPE_F32, "(2, 3)", {-1.5, 0, 1, 1, 0.100000001, -7}},
    {"max(x, z)", DTYPE_F32, "(2, 3)", {-1.5, 0, 5, 3, 0.100000001, 5}},
    {"min(u, z)", DTYPE_I64, "(2, 3)", {-2, 0, 2, -2, 0, 5}},
    {"max(n, 0)", DTYPE_F32, "(3,)", {NAN, 1, 0}},
    {"min(0, n)", DTYPE_F32, "(3,)", {NAN, 0, -INFINITY}},
    {"clip(x, -1, 1)", DTYPE_F32, "(2, 3)", {-1, 0, 1, 1, 0.100000001, -1}},
    {"clip(u, 1, 100)", DTYPE_I64, "(2, 3)", {1, 1, 2, 100, 100, 100}},
    {"abs(x)", DTYPE_F32, "(2, 3)", {1.5, 0, 2.25, 3, 0.100000001, 7}},
    {"abs(z)", DTYPE_I64, "(3,)", {2, 0, 5}},
    {"sign(x)", DTYPE_F32, "(2, 3)", {-1, 0, 1, 1, 1, -1}},
    {"sign(z)", DTYPE_I64, "(3,)", {-1, 0, 1}},
    {"floor(x)", DTYPE_F32, "(2, 3)", {-2, 0, 2, 3, 0, -7}},
    {"ceil(x)", DTYPE_F32, "(2, 3)", {-1, 0, 3, 3, 1, -7}},
    {"round(h)", DTYPE_F32, "(3,)", {0, 2, -2}},
    {"round(z)", DTYPE_I64, "(3,)", {-2, 0, 5}},
    {"sqrt(abs(x))",
     DTYPE_F32,
     "(2, 3)",
     {1.22474492, 0, 1.5, 1.73205078, 0.316227764, 2.64575124}},
    {"sqrt(u)", DTYPE_F32, "(2, 3)", {0, 1, 1.41421354, 10, 14.1421356, 15.9687195}},
    {"sqrt(-1)", DTYPE_F32, "()", {NAN}},
    {"is_nan(n)", DTYPE_BOOL, "(3,)", {1, 0, 0}},
    {"is_finite(n)", DTYPE_BOOL, "(3,)", {0, 1, 0}},
    {"is_finite(u)", DTYPE_BOOL, "(2, 3)", {1, 1, 1, 1, 1, 1}},
    {"sum(x)", DTYPE_F32, "()", {-3.1500001}},
    {"reduce_sum(u)", DTYPE_I64, "()", {558}},
    {"sum(x > 0)", DTYPE_I64, "()", {3}},
    {"mean(x)", DTYPE_F32, "()", {-0.524999976}},
    {"reduce_mean(u)", DTYPE_F32, "()", {93}},
    {"mean(b)", DTYPE_F32, "()", {0.5}},
    {"min(x)", DTYPE_F32, "()", {-7}},
    {"reduce_max(x)", DTYPE_F32, "()", {3}},
    {"max(z)", DTYPE_I64, "()", {5}},
    {"reduce_min(u)", DTYPE_I64, "()", {0}},
    {"max(n)", DTYPE_F32, "()", {NAN}},
    {"min(n)", DTYPE_F32, "()", {NAN}},
    {"any(x > 2)", DTYPE_BOOL, "()", {1}},
    {"all(x > 2)", DTYPE_BOOL, "()", {0}},
    {"reduce_any(b)", DTYPE_BOOL, "()", {1}},
    {"reduce_all(u >= 0)", DTYPE_BOOL, "()", {1}},
    {"(x - mean(x)) / max(abs(x))",
     DTYPE_F32,
     "(2, 3)",
     {-0.139285713, 0.0749999955, 0.396428585, 0.503571451, 0.0892857164, -0.925000012}},
    {"mean((x - mean(x)) ** 2)", DTYPE_F32, "()", {10.6114588}},
    {"x - min(x) > sum(z)", DTYPE_BOOL, "(2, 3)", {1, 1, 1, 1, 1, 0}},
    {"size(x)", DTYPE_I64, "()", {6}},
    {"shape(x, 0) * 10 + shape(x, -1)", DTYPE_I64, "()", {23}},
    {"size(mean(x))", DTYPE_I64, "()", {1}},
    {"sum(x) / size(x)", DTYPE_F32, "()", {-0.525000036}},
    {"cast(x, int64)", DTYPE_I64, "(2, 3)", {-1, 0, 2, 3, 0, -7}},
    {"cast(x, uint8)", DTYPE_U8, "(2, 3)", {0, 0, 2, 3, 0, 0}},
    {"cast(300 + z, uint8)", DTYPE_U8, "(3,)", {42, 44, 49}},
    {"cast(u, int8)", DTYPE_I8, "(2, 3)", {0, 1, 2, 100, -56, -1}},
    {"cast(n, int16)", DTYPE_I16, "(3,)", {0, 1, -32768}},
    {"cast(1e30, int64)", DTYPE_I64, "()", {9223372036854775807.0}},
    {"cast(-1e30, int32)", DTYPE_I32, "()", {-2147483648.0}},
    {"cast(x, bool)", DTYPE_BOOL, "(2, 3)", {1, 0, 1, 1, 1, 1}},
    {"cast(n, bool)", DTYPE_BOOL, "(3,)", {1, 1, 1}},
    {"cast(u, float32)", DTYPE_F32, "(2, 3)", {0, 1, 2, 100, 200, 255}},
    {"cast(b, float32)", DTYPE_F32, "(2, 1)", {1, 0}},
    {"cast(u, uint8) + 1", DTYPE_I64, "(2, 3)", {1, 2, 3, 101, 201, 256}},
    {"cast(x > 0, uint8)", DTYPE_U8, "(2, 3)", {0, 0, 1, 1, 1, 0}},
    {"cast(y, uint16)", DTYPE_U16, "()", {3}},
    {"d", DTYPE_F32, "()", {0.100000001}},
    {"d + y", DTYPE_F32, "()", {3.0999999}},
    {"b", DTYPE_BOOL, "(2, 1)", {1, 0}},
    {"u", DTYPE_I64, "(2, 3)", {0, 1, 2, 100, 200, 255}},
    {"1.5e2", DTYPE_F32, "()", {150}},
    {".5", DTYPE_F32, "()", {0.5}},
    {"true", DTYPE_BOOL, "()", {1}},
    {"+x", DTYPE_F32, "(2, 3)", {-1.5, 0, 2.25, 3, 0.100000001, -7}},
    {"16777217 + 0.0", DTYPE_F32, "()", {16777216}},
    {"b ? !b : b", DTYPE_BOOL, "(2, 1)", {0, 0}},
    {"exp(0)", DTYPE_F32, "()", {1}},
    {"log(1)", DTYPE_F32, "()", {0}},
    {"log(0)", DTYPE_F32, "()", {-INFINITY}},
    {"tanh(0)", DTYPE_F32, "()", {0}},
};

static void check_value(const struct value *v, const struct tensor *out)
{
    char shape[96];
    int64_t count = 0;
    shape_format(&out->shape, shape, sizeof shape);
    ck_assert_msg(out->dtype == v->dtype, "%s is %s", v->text, dtype_name(out->dtype));
    ck_assert_msg(strcmp(shape, v->shape) == 0, "%s is %s", v->text, shape);
    ck_assert_int_eq(shape_count(&out->shape, &count), 0);
    for (size_t i = 0; i < (size_t)count; i++) {
        const double got = at(out, i),
                     want = v->dtype == DTYPE_F32 ? (double)(float)v->want[i] : v->want[i];
        ck_assert_msg(isnan(want) ? isnan(got) : got <= want && got >= want,
                      "%s: value %zu is %.9g, not %.9g", v->text, i, got, want);
    }
}

START_TEST(test_value)
{
    const struct tensor out = run(values[_i].text, 0, NULL);
    check_value(&values[_i], &out);
}
END_TEST

/* With EXPR_FLOATS all is float32 but a cast at the end. */
START_TEST(test_floats)
{
    static const struct value cases[] = {
        {"255 - u", DTYPE_F32, "(2, 3)", {255, 254, 253, 155, 55, 0}},
        {"z / 2", DTYPE_F32, "(3,)", {-1, 0, 2.5}},
        {"u > 1", DTYPE_F32, "(2, 3)", {0, 0, 1, 1, 1, 1}},
        {"b", DTYPE_F32, "(2, 1)", {1, 0}},
        {"size(u)", DTYPE_F32, "()", {6}},
        {"cast(u, bool)", DTYPE_BOOL, "(2, 3)", {0, 1, 1, 1, 1, 1}},
        {"cast(u, uint8)", DTYPE_U8, "(2, 3)", {0, 1, 2, 100, 200, 255}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct tensor out = run(cases[i].text, EXPR_FLOATS, NULL);
        check_value(&cases[i], &out);
    }
}
END_TEST

/* ---- what is refused */

static const struct wrong {
    const char *text;
    int code;
    const char *says;
} wrongs[] = {
    {"", ERR_SYNTAX, "column 1: ends where a number, a field or a function belongs"},
    {"x +", ERR_SYNTAX, "column 4: ends where"},
    {"(x", ERR_SYNTAX, "column 3: ends where ')' of a bracket belongs"},
    {"x y", ERR_SYNTAX, "column 3: 'y' stands where it should end"},
    {"x < y < z", ERR_SYNTAX, "column 7: comparisons do not chain"},
    {"x & y", ERR_SYNTAX, "column 3: '&' has no meaning here; and, or, equal are"},
    {"x = y", ERR_SYNTAX, "column 3: '=' has no meaning here"},
    {"x \xff", ERR_SYNTAX, "column 3: byte 0xff"},
    {"12ab", ERR_SYNTAX, "column 3: 'a' behind the number 12"},
    {"1.2.3", ERR_SYNTAX, "column 4: '.' behind the number 1.2"},
    {"9223372036854775808", ERR_RANGE, "column 1: 9223372036854775808 is above int64's"},
    {"1e39", ERR_RANGE, "column 1: 1e39 is above float32's"},
    {"lable < 3", ERR_UNKNOWN, "column 1: no field is called 'lable'; there are x, n, h, u"},
    {"meam(x)", ERR_UNKNOWN, "column 1: no function is called 'meam'; did you mean 'mean'?"},
    {"mean(x, 2)", ERR_INVALID, "column 1: mean is given 2 arguments; it takes 1"},
    {"max()", ERR_INVALID, "column 1: max is given 0 arguments; it takes 2 or 1"},
    {"y && b", ERR_INVALID, "column 1: '&&' takes a bool, not int64; compare it"},
    {"!x", ERR_INVALID, "column 2: '!' takes a bool, not float32"},
    {"x ? 1 : 2", ERR_INVALID, "column 1: 'where' takes a bool, not float32"},
    {"b ? 1", ERR_SYNTAX, "column 6: ends where ':' of '?' belongs"},
    {"any(x)", ERR_INVALID, "column 5: 'any' takes a bool"},
    {"x ** y", ERR_INVALID, "column 6: the exponent of ** is a whole number from -64 to 64"},
    {"x ** 65", ERR_INVALID, "column 6: the exponent"},
    {"y ** -1", ERR_RANGE, "column 3: int64 ** -1 is no whole number"},
    {"x ** 2 ** 3", ERR_SYNTAX, "column 8: two ** in a row"},
    {"cast(x, float46)", ERR_UNKNOWN, "column 9: cast takes bool, uint8"},
    {"cast(x, float64)", ERR_UNKNOWN, "did you mean 'float32'?"},
    {"cast(x)", ERR_INVALID, "column 1: cast is given 1 arguments; it takes 2"},
    {"shape(x, y)", ERR_INVALID, "column 10: an axis is a whole number"},
    {"shape(x, 2)", ERR_RANGE, "column 1: axis 2 of shape (2, 3); from -2 to 1"},
    {"x + wide", ERR_SHAPE, "column 3: shapes (2, 3) and (4,) do not fit together at '+'"},
    {"max(none)", ERR_SHAPE, "column 1: 'max' of no values at all"},
    {"b && text", ERR_INVALID, "column 6: field 'text' holds texts"},
    {"tall * wide", ERR_LIMIT, "column 6: '*' has more than 268435456 values"},
};

static int compile_and_check(const char *text, struct op_spec *ret)
{
    struct expr *expr = NULL;
    int r = expr_compile(text, &s.spec, 0, &s.arena, &expr, &s.err);
    return r < 0 ? r : expr_check(expr, &s.spec, ret, &s.err);
}

START_TEST(test_wrong)
{
    static const struct element_field more[] = {
        {"wide", ELEMENT_NUMERIC, {DTYPE_F32, {1, {4}}}, false},
        {"none", ELEMENT_NUMERIC, {DTYPE_F32, {2, {3, 0}}}, false},
        {"tall", ELEMENT_NUMERIC, {DTYPE_F32, {2, {1 << 27, 1}}}, false},
        {"text", ELEMENT_TEXT, {DTYPE_STR, {0, {0}}}, false},
    };
    struct op_spec spec;
    for (int i = 0; i < 4; i++) {
        element_add(&s.spec, &more[i]);
    }
    ck_assert_int_eq(compile_and_check(wrongs[_i].text, &spec), wrongs[_i].code);
    ck_assert_msg(strstr(s.err.text, wrongs[_i].says) != NULL, "%s: %s", wrongs[_i].text,
                  s.err.text);
}
END_TEST

/* `count` times `open`, then 1, then as many times `close`. */
static int nested(const char *open, int count, const char *close)
{
    struct buf text = {0};
    struct op_spec spec;
    for (int i = 0; i < count; i++) {
        buf_puts(&text, open);
    }
    buf_puts(&text, "1");
    for (int i = 0; i < count; i++) {
        buf_puts(&text, close);
    }
    const int r = compile_and_check(text.data, &spec);
    buf_fini(&text);
    return r;
}

START_TEST(test_limits)
{
    ck_assert_int_eq(nested("(", EXPR_NESTING_MAX - 1, ")"), 0);
    ck_assert_int_eq(nested("(", EXPR_NESTING_MAX, ")"), ERR_LIMIT);
    ck_assert_int_eq(nested("-", EXPR_NESTING_MAX - 1, ""), 0);
    ck_assert_int_eq(nested("-", EXPR_NESTING_MAX, ""), ERR_LIMIT);
    ck_assert_int_eq(nested("1 + ", EXPR_NODES_MAX / 2 - 1, ""), 0);
    ck_assert_int_eq(nested("1 + ", EXPR_NODES_MAX / 2, ""), ERR_LIMIT);
    ck_assert_int_eq(nested(" ", EXPR_TEXT_MAX - 1, ""), 0);
    ck_assert_int_eq(nested(" ", EXPR_TEXT_MAX, ""), ERR_LIMIT);
    ck_assert_int_eq(nested("1 + (y - ", 20, ")"), 0);
}
END_TEST

/* ---- shapes that are not known when it is compiled */

START_TEST(test_unknown_shapes)
{
    static const struct {
        const char *text, *shape;
    } cases[] = {
        {"img * 2", "(None, None, 3)"},
        {"img + x", NULL}, /* (2, 3) against (None, 3) */
        {"img - mean(img)", "(None, None, 3)"},
        {"img * n", "(None, None, 3)"},
        {"any(img > 3)", "()"},
        {"shape(img, 1)", "()"},
    };
    static const struct element_field img = {
        "img", ELEMENT_IMAGE, {DTYPE_U8, {3, {-1, -1, 3}}}, true};
    element_add(&s.spec, &img);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct op_spec spec = {.dtype = DTYPE_F32};
        char shape[96];
        ck_assert_msg(compile_and_check(cases[i].text, &spec) == 0, "%s", s.err.text);
        shape_format(&spec.shape, shape, sizeof shape);
        ck_assert_str_eq(shape, cases[i].shape != NULL ? cases[i].shape : "(None, 2, 3)");
    }
}
END_TEST

START_TEST(test_asks)
{
    static const struct {
        const char *text;
        bool is_random, is_cast;
        uint32_t fields;
    } cases[] = {
        {"x + y", false, false, 1 << 0 | 1 << 5},
        {"cast(u, uint8)", false, true, 1 << 3},
        {"cast(u, uint8) + random()", true, false, 1 << 3},
        {"normal_like(x)", true, false, 1 << 0},
        {"3", false, false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct expr *expr = NULL;
        ck_assert_int_eq(expr_compile(cases[i].text, &s.spec, 0, &s.arena, &expr, &s.err), 0);
        ck_assert_int_eq(expr_is_random(expr), cases[i].is_random);
        ck_assert_int_eq(expr_is_cast(expr), cases[i].is_cast);
        ck_assert_uint_eq(expr_fields(expr), cases[i].fields);
    }
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("expr");
    TCase *c = tcase_create("expr");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_loop_test(c, test_value, 0, sizeof values / sizeof values[0]);
    tcase_add_test(c, test_floats);
    tcase_add_loop_test(c, test_wrong, 0, sizeof wrongs / sizeof wrongs[0]);
    tcase_add_test(c, test_limits);
    tcase_add_test(c, test_unknown_shapes);
    tcase_add_test(c, test_asks);
    suite_add_tcase(suite, c);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
