#include <math.h>
#include <string.h>

#include "base/math.h"
#include "base/rng.h"
#include "tests/test.h"

/* Against long double, whose 64 bits are enough to see an error of a tenth of an ulp. */
static double ulps(double got, long double want)
{
    double rounded = (double)want;
    if (!isfinite(rounded) || rounded == 0.0) {
        return got == rounded ? 0.0 : HUGE_VAL;
    }
    long double ulp = (long double)(nextafter(fabs(rounded), HUGE_VAL) - fabs(rounded));
    return (double)(fabsl((long double)got - want) / ulp);
}

struct unary {
    const char *name;
    double (*ours)(double x);
    long double (*want)(long double x);
    double lo, hi, limit;
};
static const struct unary unaries[] = {
    {"exp", math_exp, expl, -744.0, 709.7, 1.0},
    {"exp near 0", math_exp, expl, -1.0, 1.0, 1.0},
    {"log", math_log, logl, 1e-300, 1e6, 1.0},
    {"log near 1", math_log, logl, 0.5, 2.0, 1.0},
    {"sin", math_sin, sinl, -10.0, 10.0, 1.0},
    {"sin of large", math_sin, sinl, -1048576.0, 1048576.0, 1.0},
    {"cos", math_cos, cosl, -10.0, 10.0, 1.0},
    {"cos of large", math_cos, cosl, -1048576.0, 1048576.0, 1.0},
    {"tanh", math_tanh, tanhl, -25.0, 25.0, 2.5},
    {"tanh near 0", math_tanh, tanhl, -1.0, 1.0, 2.5},
};
enum { N_UNARIES = sizeof(unaries) / sizeof(unaries[0]) };

START_TEST(test_accuracy)
{
    const struct unary *unary = &unaries[_i];
    struct rng rng;
    rng_init(&rng, 1, rng_id(unary->name), 0, 0);
    for (int i = 0; i < 200000; i++) {
        double x = unary->lo + (unary->hi - unary->lo) * rng_f64(&rng);
        double off = ulps(unary->ours(x), unary->want((long double)x));
        ck_assert_msg(off <= unary->limit, "%s(%.17g) is off by %.3f ulp", unary->name, x, off);
    }
}
END_TEST

START_TEST(test_quarter_turns)
{
    for (int i = 1; i < 600000; i += 7) {
        double x = i * 1.5707963267948966;
        ck_assert(ulps(math_sin(x), sinl((long double)x)) <= 1.0);
        ck_assert(ulps(math_cos(x), cosl((long double)x)) <= 1.0);
    }
}
END_TEST

START_TEST(test_pow)
{
    struct rng rng;
    rng_init(&rng, 2, 0, 0, 0);
    for (int i = 0; i < 400000; i++) {
        double wide = i % 2 == 0 ? 20.0 : 2.0;
        double x = math_exp((rng_f64(&rng) - 0.5) * wide);
        double y = (rng_f64(&rng) - 0.5) * 1200.0 / wide;
        double off = ulps(math_pow(x, y), powl((long double)x, (long double)y));
        ck_assert_msg(off <= 1.0, "pow(%.17g, %.17g) is off by %.3f ulp", x, y, off);
    }
}
END_TEST

START_TEST(test_edges)
{
    ck_assert(math_exp(0.0) == 1.0);
    ck_assert(math_exp(1000.0) == HUGE_VAL);
    ck_assert(math_exp(-1000.0) == 0.0);
    ck_assert(math_exp(-745.0) == 4.9406564584124654e-324);
    ck_assert(math_exp(HUGE_VAL) == HUGE_VAL);
    ck_assert(math_exp(-HUGE_VAL) == 0.0);
    ck_assert(isnan(math_exp((double)NAN)));
    ck_assert(math_log(1.0) == 0.0);
    ck_assert(math_log(0.0) == -HUGE_VAL);
    ck_assert(math_log(HUGE_VAL) == HUGE_VAL);
    ck_assert(isnan(math_log(-1.0)));
    ck_assert(ulps(math_log(5e-324), logl((long double)5e-324)) <= 1.0);
    ck_assert(math_sin(0.0) == 0.0);
    ck_assert(math_cos(0.0) == 1.0);
    ck_assert(isnan(math_sin(HUGE_VAL)));
    ck_assert(math_tanh(0.0) == 0.0);
    ck_assert(signbit(math_tanh(-0.0)));
    ck_assert(math_tanh(HUGE_VAL) == 1.0);
    ck_assert(math_tanh(-HUGE_VAL) == -1.0);
    ck_assert(isnan(math_tanh((double)NAN)));
    ck_assert(math_pow(2.0, 10.0) == 1024.0);
    ck_assert(math_pow(4.0, 0.5) == 2.0);
    ck_assert(math_pow(3.0, 0.0) == 1.0);
    ck_assert(math_pow(2.0, 2000.0) == HUGE_VAL);
    ck_assert(math_pow(2.0, -2000.0) == 0.0);
    ck_assert(math_pow(0.5, HUGE_VAL) == 0.0);
    ck_assert(math_pow(0.0, 2.0) == 0.0);
    ck_assert(math_pow(0.0, -2.0) == HUGE_VAL);
    ck_assert(isnan(math_pow(-2.0, 0.5)));
}
END_TEST

/* The bits themselves: whatever machine runs this must get them. */
START_TEST(test_bits)
{
    ck_assert(math_exp(1.0) == 0x1.5bf0a8b14576ap+1);
    ck_assert(math_log(10.0) == 0x1.26bb1bbb55516p+1);
    ck_assert(math_sin(1.0) == 0x1.aed548f090ceep-1);
    ck_assert(math_cos(1.0) == 0x1.14a280fb5068cp-1);
    ck_assert(math_tanh(1.0) == 0x1.85efab514f394p-1);
    ck_assert(math_pow(10.0, -5.0) == 0x1.4f8b588e368fp-17);
}
END_TEST

START_TEST(test_bits_of_many)
{
    uint64_t sum = 0;
    for (int i = 0; i < 200000; i++) {
        double x = i * 1e-3 - 100;
        double values[] = {math_exp(x),
                           math_sin(x),
                           math_cos(x),
                           math_tanh(x / 50),
                           math_log(x * x + 1e-9),
                           math_pow(i + 1.5, x / 40)};
        for (size_t k = 0; k < sizeof(values) / sizeof(values[0]); k++) {
            uint64_t bits;
            memcpy(&bits, &values[k], sizeof(bits));
            sum = sum * 1000003 + bits;
        }
    }
    ck_assert_uint_eq(sum, 0x0a983fb4e51aa72du);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("math");
    TCase *cases = tcase_create("math");
    tcase_add_loop_test(cases, test_accuracy, 0, N_UNARIES);
    tcase_add_test(cases, test_quarter_turns);
    tcase_add_test(cases, test_pow);
    tcase_add_test(cases, test_edges);
    tcase_add_test(cases, test_bits);
    tcase_add_test(cases, test_bits_of_many);
    suite_add_tcase(suite, cases);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
