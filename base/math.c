/* exp, log, sin, cos, expm1 and tanh follow fdlibm:
 *
 *   Copyright (C) 1993 by Sun Microsystems, Inc. All rights reserved.
 *   Developed at SunPro, a Sun Microsystems, Inc. business.
 *   Permission to use, copy, modify, and distribute this software is freely granted, provided that
 * this notice is preserved.
 *
 * pow is ours: log in two doubles, times y, exp of two doubles. Only + - * /, sqrt, floor and rint
 * are used, which IEEE 754 rounds in one way on every machine. */
#include "base/math.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

static const double ln2_hi =
    6.93147180369123816490e-01; /* 33 bits: times an exponent it is exact */
static const double ln2_lo = 1.90821492927058770002e-10;
static const double inverse_ln2 = 1.44269504088896338700e+00;

static uint64_t bits_of(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof(bits));
    return bits;
}

static double of_bits(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof(x));
    return x;
}

static int exponent_of(double x)
{
    return (int)(bits_of(x) >> 52 & 0x7FF);
}

static double power_of_2(int k)
{
    return of_bits((uint64_t)(1023 + k) << 52); /* -1022 <= k <= 1023 */
}

static double scale(double x, int k)
{
    if (k > 1023) {
        return x * 2.0 * power_of_2(k - 1);
    }
    if (k < -1022) {
        return x * power_of_2(k + 1000) * power_of_2(-1000);
    }
    return x * power_of_2(k);
}

/* exp(x + extra), |extra| below one ulp of x */
static double exp_two(double x, double extra)
{
    static const double P1 = 1.66666666666666019037e-01, P2 = -2.77777777770155933842e-03,
                        P3 = 6.61375632143793436117e-05, P4 = -1.65339022054652515390e-06,
                        P5 = 4.13813679705723846039e-08;
    if (isnan(x)) {
        return x;
    }
    if (x > 709.782712893383973096) {
        return HUGE_VAL;
    }
    if (x < -745.13321910194110842) {
        return 0.0;
    }
    double k = rint(x * inverse_ln2);
    double high = x - k * ln2_hi;
    double low = k * ln2_lo - extra;
    double r = high - low;
    double rr = r * r;
    double c = r - rr * (P1 + rr * (P2 + rr * (P3 + rr * (P4 + rr * P5))));
    double y = 1.0 + (r * c / (2.0 - c) - low + high);
    return scale(y, (int)k);
}

double math_exp(double x)
{
    return exp_two(x, 0.0);
}

/* x = m * 2^k with sqrt(1/2) <= m < sqrt(2); x > 0 and finite */
static double split(double x, int *ret_k)
{
    int k = 0;
    if (exponent_of(x) == 0) {
        x *= 0x1p54;
        k = -54;
    }
    uint64_t bits = bits_of(x);
    uint32_t high = (uint32_t)(bits >> 32);
    high += 0x3FF00000 - 0x3FE6A09E;
    k += (int)(high >> 20) - 1023;
    high = (high & 0x000FFFFF) + 0x3FE6A09E;
    *ret_k = k;
    return of_bits((uint64_t)high << 32 | (bits & 0xFFFFFFFF));
}

double math_log(double x)
{
    static const double Lg1 = 6.666666666666735130e-01, Lg2 = 3.999999999940941908e-01,
                        Lg3 = 2.857142874366239149e-01, Lg4 = 2.222219843214978396e-01,
                        Lg5 = 1.818357216161805012e-01, Lg6 = 1.531383769920937332e-01,
                        Lg7 = 1.479819860511658591e-01;
    if (!(x > 0.0)) {
        return x == 0.0 ? -HUGE_VAL : (double)NAN;
    }
    if (isinf(x)) {
        return x;
    }
    int k;
    double f = split(x, &k) - 1.0;
    double half_ff = 0.5 * f * f;
    double s = f / (2.0 + f);
    double z = s * s;
    double w = z * z;
    double even = w * (Lg2 + w * (Lg4 + w * Lg6));
    double odd = z * (Lg1 + w * (Lg3 + w * (Lg5 + w * Lg7)));
    double dk = (double)k;
    return s * (half_ff + (odd + even)) + dk * ln2_lo - half_ff + f + dk * ln2_hi;
}

static double sin_kernel(double x, double y)
{
    static const double S1 = -1.66666666666666324348e-01, S2 = 8.33333333332248946124e-03,
                        S3 = -1.98412698298579493134e-04, S4 = 2.75573137070700676789e-06,
                        S5 = -2.50507602534068634195e-08, S6 = 1.58969099521155010221e-10;
    double z = x * x;
    double w = z * z;
    double r = S2 + z * (S3 + z * S4) + z * w * (S5 + z * S6);
    double v = z * x;
    return x - ((z * (0.5 * y - v * r) - y) - v * S1);
}

static double cos_kernel(double x, double y)
{
    static const double C1 = 4.16666666666666019037e-02, C2 = -1.38888888888741095749e-03,
                        C3 = 2.48015872894767294178e-05, C4 = -2.75573143513906633035e-07,
                        C5 = 2.08757232129817482790e-09, C6 = -1.13596475577881948265e-11;
    double z = x * x;
    double w = z * z;
    double r = z * (C1 + z * (C2 + z * C3)) + w * w * (C4 + z * (C5 + z * C6));
    double half = 0.5 * z;
    double head = 1.0 - half;
    return head + (((1.0 - head) - half) + (z * r - x * y));
}

/* x = n * pi/2 + y[0] + y[1], |y| <= pi/4; gives n modulo 4. The three parts of pi/2 have 33 bits
 * each. */
static unsigned reduce(double x, double y[2])
{
    static const double two_over_pi = 6.36619772367581382433e-01;
    static const double pio2_1 = 1.57079632673412561417e+00, pio2_1t = 6.07710050650619224932e-11,
                        pio2_2 = 6.07710050630396597660e-11, pio2_2t = 2.02226624879595063154e-21,
                        pio2_3 = 2.02226624871116645580e-21, pio2_3t = 8.47842766036889956997e-32;
    double n = rint(x * two_over_pi);
    double r = x - n * pio2_1;
    double w = n * pio2_1t;
    y[0] = r - w;
    if (exponent_of(x) - exponent_of(y[0]) > 16) {
        double t = r;
        w = n * pio2_2;
        r = t - w;
        w = n * pio2_2t - ((t - r) - w);
        y[0] = r - w;
        if (exponent_of(x) - exponent_of(y[0]) > 49) {
            t = r;
            w = n * pio2_3;
            r = t - w;
            w = n * pio2_3t - ((t - r) - w);
            y[0] = r - w;
        }
    }
    y[1] = (r - y[0]) - w;
    return (unsigned)(int64_t)n & 3;
}

/* sin(x + quarter turns * pi/2) */
static double sin_turned(double x, unsigned quarters)
{
    double y[2];
    if (!(fabs(x) <= 0x1p21)) {
        return (double)NAN;
    }
    quarters = (quarters + reduce(x, y)) & 3;
    double value = (quarters & 1) ? cos_kernel(y[0], y[1]) : sin_kernel(y[0], y[1]);
    return (quarters & 2) ? -value : value;
}

double math_sin(double x)
{
    return sin_turned(x, 0);
}

double math_cos(double x)
{
    return sin_turned(x, 1);
}

/* exp(x) - 1 for |x| < 64 */
static double expm1_small(double x)
{
    static const double Q1 = -3.33333333333331316428e-02, Q2 = 1.58730158725481460165e-03,
                        Q3 = -7.93650757867487942473e-05, Q4 = 4.00821782732936239552e-06,
                        Q5 = -2.01099218183624371326e-07;
    double dk = fabs(x) > 0.34657359027997264 ? rint(x * inverse_ln2) : 0.0;
    int k = (int)dk;
    double high = x - dk * ln2_hi;
    double low = dk * ln2_lo;
    double r = high - low;
    double c = (high - r) - low;
    double half = 0.5 * r;
    double hxs = r * half;
    double r1 = 1.0 + hxs * (Q1 + hxs * (Q2 + hxs * (Q3 + hxs * (Q4 + hxs * Q5))));
    double t = 3.0 - r1 * half;
    double e = hxs * ((r1 - t) / (6.0 - r * t));
    if (k == 0) {
        return r - (r * e - hxs);
    }
    e = r * (e - c) - c;
    e -= hxs;
    if (k == -1) {
        return 0.5 * (r - e) - 0.5;
    }
    if (k == 1) {
        return r < -0.25 ? -2.0 * (e - (r + 0.5)) : 1.0 + 2.0 * (r - e);
    }
    if (k < 0 || k > 56) {
        return (r - e + 1.0) * power_of_2(k) - 1.0;
    }
    double inverse = power_of_2(-k);
    return k < 20 ? (r - e + (1.0 - inverse)) * power_of_2(k)
                  : (r - (e + inverse) + 1.0) * power_of_2(k);
}

double math_tanh(double x)
{
    double a = fabs(x);
    double y = a; /* NaN, and below 2^-28 where tanh is x */
    if (a > 22.0) {
        y = 1.0;
    } else if (a > 0.5493061443340548) {
        y = 1.0 - 2.0 / (expm1_small(2.0 * a) + 2.0);
    } else if (a > 0.2554128118829953) {
        double t = expm1_small(2.0 * a);
        y = t / (t + 2.0);
    } else if (a > 0x1p-28) {
        double t = expm1_small(-2.0 * a);
        y = -t / (t + 2.0);
    }
    return copysign(y, x);
}

/* A number as the unevaluated sum of two doubles. */
struct two {
    double high, low;
};

static struct two two_sum(double a, double b)
{
    double sum = a + b;
    double part = sum - a;
    return (struct two){sum, (a - (sum - part)) + (b - part)};
}

/* Dekker's product: without FMA the factors are cut into halves of 26 bits. */
static struct two two_product(double a, double b)
{
    double ca = 134217729.0 * a, cb = 134217729.0 * b;
    double ah = ca - (ca - a), bh = cb - (cb - b);
    double al = a - ah, bl = b - bh;
    double product = a * b;
    return (struct two){product, ((ah * bh - product) + ah * bl + al * bh) + al * bl};
}

static struct two two_times(struct two a, struct two b)
{
    struct two product = two_product(a.high, b.high);
    product.low += a.high * b.low + a.low * b.high;
    return two_sum(product.high, product.low);
}

static struct two two_plus(struct two a, struct two b)
{
    struct two sum = two_sum(a.high, b.high);
    sum.low += a.low + b.low;
    return two_sum(sum.high, sum.low);
}

/* log(x) to about 2^-65: log m = 2s + 2/3 s^3 + 2/5 s^5 ... with s = (m - 1) / (m + 1); the first
 * two terms need two doubles, the rest one. */
static struct two log_two(double x)
{
    static const struct two two_thirds = {6.66666666666666629659e-01, 3.70074341541718826257e-17};
    int k;
    double m = split(x, &k);
    double f = m - 1.0;
    struct two d = two_sum(m, 1.0);
    double s = f / d.high;
    struct two back = two_product(s, d.high);
    struct two ss = {s, ((f - back.high) - back.low - s * d.low) / d.high};
    ss = two_sum(ss.high, ss.low);
    struct two z = two_times(ss, ss);
    double rest = 0.0;
    for (int i = 27; i >= 5; i -= 2) {
        rest = rest * z.high + 2.0 / (double)i;
    }
    struct two cube = two_times(two_times(z, ss), two_thirds);
    cube.low += rest * z.high * z.high * ss.high;
    struct two log_m = two_plus((struct two){2.0 * ss.high, 2.0 * ss.low}, cube);
    return two_plus((struct two){(double)k * ln2_hi, (double)k * ln2_lo}, log_m);
}

double math_pow(double x, double y)
{
    if (y == 0.0 || x == 1.0) {
        return 1.0;
    }
    if (isnan(x) || isnan(y) || x < 0.0) {
        return (double)NAN;
    }
    if (x == 0.0 || isinf(x)) {
        return (x == 0.0) == (y > 0.0) ? 0.0 : HUGE_VAL;
    }
    if (fabs(y) > 1e25) {
        return (x > 1.0) == (y > 0.0) ? HUGE_VAL : 0.0; /* |log x| is above 1e-16 */
    }
    struct two product = log_two(x);
    double low = product.low * y;
    product = two_product(product.high, y);
    product = two_sum(product.high, product.low + low);
    return exp_two(product.high, product.low);
}
