#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "pipeline/expr.h"
#include "pipeline/op.h"
#include "tests/test.h"

/* The element that the tables speak of. */
static float x[] = {-1.5f, 0, 2.25f, 3, 0.1f, -7}, h[] = {0.5f, 1.5f, -2.5f};
static uint8_t b[] = {1, 0};
static const struct {
    struct element_field field;
    void *data;
} given[] = {
    {{"x", ELEMENT_NUMERIC, {DTYPE_F32, {2, {2, 3}}}, false}, x},
    {{"h", ELEMENT_NUMERIC, {DTYPE_F32, {1, {3}}}, false}, h},
    {{"b", ELEMENT_MASK, {DTYPE_BOOL, {2, {2, 1}}}, false}, b},
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
    return t->dtype == DTYPE_F32    ? (double)((float *)t->data)[i]
           : t->dtype == DTYPE_BOOL ? (double)((uint8_t *)t->data)[i]
                                    : (double)((int64_t *)t->data)[i];
}

static struct tensor run(const char *text, const struct expr_key *key)
{
    struct expr *expr = NULL;
    struct tensor out = {.data = s.out};
    struct op_spec spec;
    ck_assert_msg(expr_compile(text, &s.spec, 0, &s.arena, &expr, &s.err) == 0, "%s: %s", text,
                  s.err.text);
    ck_assert_msg(expr_check(expr, &s.spec, &spec, &s.err) == 0, "%s: %s", text, s.err.text);
    ck_assert_msg(expr_run(expr, &s.element, key, &out, &s.scratch, &s.err) == 0, "%s: %s", text,
                  s.err.text);
    ck_assert_msg(spec.dtype == out.dtype && shape_equal(&spec.shape, &out.shape), "%s", text);
    return out;
}

/* ---- blocks: the program over many values equals the program over each of them alone */

static const char *const alone[] = {
    "a * 3 - c / 7 + 1",
    "a > 0 && c % 5 != 2 ? min(a, c) : clip(a, -0.5, 0.5)",
    "sqrt(abs(a)) + a ** 3 - round(a * 10) // 3",
    "cast(a * 1000, int8) * 2 + (c > 7)",
    "cast(exp(a) * 10 + log(c + 1), uint8)",
};
static const int64_t lengths[] = {0, 1, 7, 1023, 1024, 1025, 5000};

START_TEST(test_blocks)
{
    enum { MOST = 5000 };
    static float a[MOST];
    static int16_t c[MOST];
    static unsigned char many[MOST * 8];
    struct element_spec spec = {.n = 0};
    static const struct element_field fields[] = {
        {"a", ELEMENT_NUMERIC, {DTYPE_F32, {1, {-1}}}, true},
        {"c", ELEMENT_NUMERIC, {DTYPE_I16, {1, {-1}}}, true}};
    element_add(&spec, &fields[0]);
    element_add(&spec, &fields[1]);
    for (int i = 0; i < MOST; i++) {
        a[i] = (float)(i * 7919 % 2001 - 1000) / 300;
        c[i] = (int16_t)(i * 31 % 211);
    }
    for (size_t k = 0; k < sizeof lengths / sizeof lengths[0]; k++) {
        struct expr *expr = NULL;
        const struct expr_key key = {.seed = 1};
        const struct shape all = shape_make(1, &lengths[k]), one = {.rank = 0};
        struct element element = {.fields = {{DTYPE_F32, all, a}, {DTYPE_I16, all, c}}};
        struct tensor out = {.data = many};
        ck_assert_msg(expr_compile(alone[_i], &spec, 0, &s.arena, &expr, &s.err) == 0, "%s",
                      s.err.text);
        ck_assert_int_eq(expr_run(expr, &element, &key, &out, &s.scratch, &s.err), 0);
        ck_assert(shape_equal(&out.shape, &all));
        const size_t each = dtype_bytes(out.dtype);
        for (int64_t i = 0; i < lengths[k]; i++) {
            struct tensor single = {.data = s.out};
            element =
                (struct element){.fields = {{DTYPE_F32, one, a + i}, {DTYPE_I16, one, c + i}}};
            ck_assert_int_eq(expr_run(expr, &element, &key, &single, &s.scratch, &s.err), 0);
            ck_assert_msg(memcmp(many + (size_t)i * each, s.out, each) == 0,
                          "%s: value %lld of %lld", alone[_i], (long long)i, (long long)lengths[k]);
        }
    }
}
END_TEST

/* Sums over more than a block follow the law of eight parts, written out here. */
START_TEST(test_sums)
{
    enum { MOST = 3001 };
    static float a[MOST];
    double parts[8] = {0};
    struct element_spec spec = {.n = 0};
    static const struct element_field field = {
        "a", ELEMENT_NUMERIC, {DTYPE_F32, {1, {MOST}}}, false};
    element_add(&spec, &field);
    for (int i = 0; i < MOST; i++) {
        a[i] = (float)(i * 7919 % 2001) / 7 - 100;
        parts[i % 8] += (double)a[i];
    }
    for (int k = 1; k < 8; k++) {
        parts[0] += parts[k];
    }
    const float want[] = {(float)parts[0], (float)(parts[0] / MOST)};
    static const char *const texts[] = {"sum(a)", "mean(a)"};
    for (int i = 0; i < 2; i++) {
        struct expr *expr = NULL;
        const struct expr_key key = {.seed = 1};
        struct element element = {.fields = {{DTYPE_F32, field.spec.shape, a}}};
        struct tensor out = {.data = s.out};
        ck_assert_int_eq(expr_compile(texts[i], &spec, 0, &s.arena, &expr, &s.err), 0);
        ck_assert_int_eq(expr_run(expr, &element, &key, &out, &s.scratch, &s.err), 0);
        ck_assert_mem_eq(s.out, &want[i], sizeof want[i]);
    }
}
END_TEST

/* Broadcasting over more than a block, against index arithmetic. */
START_TEST(test_broadcast)
{
    enum { A = 37, B = 11, C = 3 };
    static float p[A * C], q[B], r[A * B * C];
    static const struct element_field fields[] = {
        {"p", ELEMENT_NUMERIC, {DTYPE_F32, {3, {A, 1, C}}}, false},
        {"q", ELEMENT_NUMERIC, {DTYPE_F32, {2, {B, 1}}}, false},
        {"r", ELEMENT_NUMERIC, {DTYPE_F32, {4, {1, A, B, C}}}, false}};
    struct element_spec spec = {.n = 0};
    struct element element = {.sample = 0};
    float *const data[] = {p, q, r};
    for (int i = 0; i < 3; i++) {
        int64_t count = 0;
        element_add(&spec, &fields[i]);
        element.fields[i] = (struct tensor){DTYPE_F32, fields[i].spec.shape, data[i]};
        ck_assert_int_eq(shape_count(&fields[i].spec.shape, &count), 0);
        for (int64_t k = 0; k < count; k++) {
            data[i][k] = (float)((k * 37 + i * 11) % 97);
        }
    }
    struct expr *expr = NULL;
    const struct expr_key key = {.seed = 1};
    struct tensor out = {.data = s.out};
    ck_assert_int_eq(expr_compile("p * 100 + q - r / 4", &spec, 0, &s.arena, &expr, &s.err), 0);
    ck_assert_int_eq(expr_run(expr, &element, &key, &out, &s.scratch, &s.err), 0);
    ck_assert_int_eq(out.shape.rank, 4);
    for (int i = 0; i < A * B * C; i++) {
        const float want = p[i / (B * C) * C + i % C] * 100 + q[i / C % B] - r[i] / 4;
        ck_assert_mem_eq(s.out + (size_t)i * sizeof want, &want, sizeof want);
    }
}
END_TEST

/* ---- draws */

START_TEST(test_random_law)
{
    const struct expr_key keys[] = {
        {1, 2, 3, 4}, {2, 2, 3, 4}, {1, 3, 3, 4}, {1, 2, 4, 4}, {1, 2, 3, 5}};
    float first[6], other[6];
    for (int i = 0; i < 5; i++) {
        const struct tensor out = run("random_like(x)", &keys[i]);
        memcpy(i == 0 ? first : other, out.data, sizeof first);
        ck_assert(i == 0 || memcmp(first, other, sizeof first) != 0);
    }
    struct tensor out = run("random_like(x)", &keys[0]);
    ck_assert_mem_eq(out.data, first, sizeof first);
    /* The draws are Philox's, number after number. */
    struct rng rng;
    rng_init(&rng, 1, 2 + 1, 3, 4);
    for (int i = 0; i < 6; i++) {
        ck_assert(first[i] >= 0 && first[i] < 1 && first[i] <= rng_f32(&rng));
    }
    /* Each random draws for itself; one draw stands for the whole element. */
    out = run("random() == random()", &keys[0]);
    ck_assert(at(&out, 0) < 1);
    out = run("max(x * 0 + random()) == min(x * 0 + random())", &keys[0]);
    ck_assert(at(&out, 0) < 1);
    out = run("sum((x * 0 + random()) != 2)", &keys[0]);
    ck_assert(at(&out, 0) > 5);
    /* A smaller part keeps its numbers when it is spread over a larger one. */
    out = run("random_like(h) + 0 * x", &keys[0]);
    for (int i = 0; i < 6; i++) {
        ck_assert_mem_eq((char *)out.data + i * (int)sizeof(float), &first[i % 3], sizeof(float));
    }
    out = run("normal_like(b) + 0 * x", &keys[0]);
    rng_init(&rng, 1, 2 + 1, 3, 4);
    for (int i = 0; i < 2; i++) {
        const float want = rng_normal(&rng);
        ck_assert_mem_eq((char *)out.data + i * 3 * (int)sizeof(float), &want, sizeof want);
    }
}
END_TEST

/* Moments of 100,000 draws: within four deviations of theirs. */
START_TEST(test_random_moments)
{
    static const struct {
        const char *text;
        double mean, variance;
    } cases[] = {
        {"random()", 0.5, 1.0 / 12},
        {"random(-1, 3)", 1, 16.0 / 12},
        {"normal()", 0, 1},
    };
    enum { DRAWS = 100000 };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct expr *expr = NULL;
        double sum = 0, square = 0;
        ck_assert_int_eq(expr_compile(cases[i].text, &s.spec, 0, &s.arena, &expr, &s.err), 0);
        ck_assert(expr_is_random(expr));
        for (uint64_t k = 0; k < DRAWS; k++) {
            const struct expr_key key = {.seed = 5, .id = 6, .position = k};
            struct tensor out = {.data = s.out};
            ck_assert_int_eq(expr_run(expr, &s.element, &key, &out, &s.scratch, &s.err), 0);
            sum += at(&out, 0) / DRAWS;
            square += at(&out, 0) * at(&out, 0) / DRAWS;
        }
        ck_assert_msg(fabs(sum - cases[i].mean) < 4 * sqrt(cases[i].variance / DRAWS), "%s: %g",
                      cases[i].text, sum);
        ck_assert_msg(fabs(square - sum * sum - cases[i].variance) < 0.02 * cases[i].variance,
                      "%s: %g", cases[i].text, square - sum * sum);
    }
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("expr_run");
    TCase *c = tcase_create("expr_run");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_loop_test(c, test_blocks, 0, sizeof alone / sizeof alone[0]);
    tcase_add_test(c, test_sums);
    tcase_add_test(c, test_broadcast);
    tcase_add_test(c, test_random_law);
    tcase_add_test(c, test_random_moments);
    suite_add_tcase(suite, c);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
