/* Activations 8 at a time. The common ones are here, within 3 ulp of the true value (tanh 5); what
 * is rare goes to ref. No contraction in this file: every instruction set gives the same bits. */
#include "trainer/kernel/blas/blas.h"
#include "trainer/kernel/blas/fast_parts.h"
#include "trainer/kernel/blas/vec8.h"

/* e^x: x = n ln 2 + r, a polynomial for e^r (Cephes' expf), 2^n in two steps so that the ends of
 * the range are right. */
VEC8_INLINE vec8 vec_exp(vec8 x)
{
    vec8 top = vec8_set(89.0F);
    vec8 bottom = vec8_set(-104.0F);
    vec8 clipped = vec8_select(x > top, top, x); /* NaN stays */
    clipped = vec8_select(clipped < bottom, bottom, clipped);
    vec8 magic = vec8_set(12582912.0F); /* 1.5 * 2^23: the sum's low bits are the rounded integer */
    vec8 n = (clipped * 1.44269504F + magic) - magic;
    vec8 r = clipped - n * 0.693359375F;
    r = r - n * -2.12194440e-4F;
    vec8 p = vec8_set(1.9875691500e-4F);
    p = p * r + 1.3981999507e-3F;
    p = p * r + 8.3334519073e-3F;
    p = p * r + 4.1665795894e-2F;
    p = p * r + 1.6666665459e-1F;
    p = p * r + 5.0000001201e-1F;
    p = p * (r * r) + r + 1.0F;
    /* NaN must not reach the conversion to an integer */
    vec8i exponent = __builtin_convertvector(vec8_select(x == x, n, vec8_set(0.0F)), vec8i);
    vec8i half = exponent >> 1;
    vec8 scale1 = (vec8)((half + 127) << 23);
    vec8 scale2 = (vec8)((exponent - half + 127) << 23);
    return vec8_select(x == x, p * scale1 * scale2, x);
}

VEC8_INLINE vec8 vec_abs(vec8 x)
{
    return (vec8)((vec8i)x & 0x7fffffff);
}

VEC8_INLINE vec8 vec_sigmoid(vec8 x)
{
    vec8 e = vec_exp(-vec_abs(x));
    vec8 one = vec8_set(1.0F);
    return vec8_select(x < vec8_set(0.0F), e, one) / (one + e);
}

/* Cephes' tanhf below 0.625, else 1 - 2 / (e^2x + 1). */
VEC8_INLINE vec8 vec_tanh(vec8 x)
{
    vec8 a = vec_abs(x);
    vec8 s = x * x;
    vec8 p = vec8_set(-5.70498872745e-3F);
    p = p * s + 2.06390887954e-2F;
    p = p * s - 5.37397155531e-2F;
    p = p * s + 1.33314422036e-1F;
    p = p * s - 3.33332819422e-1F;
    vec8 small = p * s * x + x;
    vec8 big = vec8_set(1.0F) - vec8_set(2.0F) / (vec_exp(a + a) + 1.0F);
    big = vec8_select(x < vec8_set(0.0F), -big, big);
    return vec8_select(a < vec8_set(0.625F), small, big);
}

/* e^x - 1 for x <= 0 */
VEC8_INLINE vec8 vec_expm1(vec8 x)
{
    /* below 1/4 the difference would cancel: 7 terms of the series are exact to half an ulp there
     */
    vec8 p = vec8_set(1.0F / 5040.0F);
    p = p * x + 1.0F / 720.0F;
    p = p * x + 1.0F / 120.0F;
    p = p * x + 1.0F / 24.0F;
    p = p * x + 1.0F / 6.0F;
    p = p * x + 0.5F;
    p = p * (x * x) + x;
    return vec8_select(vec_abs(x) < vec8_set(0.25F), p, vec_exp(x) - 1.0F);
}

/* log of u in [1, 2]: Cephes' logf around the nearer of 1 and 2. */
VEC8_INLINE vec8 vec_log_1_2(vec8 u)
{
    vec8 one = vec8_set(1.0F);
    vec8i upper = u > vec8_set(1.41421356F);
    vec8 e = vec8_select(upper, one, vec8_set(0.0F));
    vec8 z = vec8_select(upper, u * 0.5F, u) - one;
    vec8 p = vec8_set(7.0376836292e-2F);
    p = p * z - 1.1514610310e-1F;
    p = p * z + 1.1676998740e-1F;
    p = p * z - 1.2420140846e-1F;
    p = p * z + 1.4249322787e-1F;
    p = p * z - 1.6668057665e-1F;
    p = p * z + 2.0000714765e-1F;
    p = p * z - 2.4999993993e-1F;
    p = p * z + 3.3333331174e-1F;
    vec8 y = p * z * (z * z) + e * -2.12194440e-4F - z * z * 0.5F;
    return z + y + e * 0.693359375F;
}

/* log(1 + e^x): the rounding of 1 + e is taken out again. */
VEC8_INLINE vec8 vec_softplus(vec8 x)
{
    vec8 one = vec8_set(1.0F);
    vec8 zero = vec8_set(0.0F);
    vec8 e = vec_exp(-vec_abs(x));
    vec8 u = e + one;
    vec8 d = u - one;
    vec8i is_tiny = d == zero;
    vec8 log1p = vec8_select(is_tiny, e, vec_log_1_2(u) * (e / vec8_select(is_tiny, one, d)));
    return vec8_select(x > zero, x, zero) + vec8_select(x == x, log1p, x);
}

/* Phi(x), the normal distribution: Cephes' erff and erfcf of |x| / sqrt 2. */
VEC8_INLINE vec8 vec_normal(vec8 x)
{
    vec8 one = vec8_set(1.0F);
    vec8 a = vec_abs(x) * 0.70710678118654752F;
    vec8 s = a * a;
    vec8 p = vec8_set(7.853861353153693e-5F);
    p = p * s - 8.010193625184903e-4F;
    p = p * s + 5.188327685732524e-3F;
    p = p * s - 2.685381193529856e-2F;
    p = p * s + 1.128358514861418e-1F;
    p = p * s - 3.761262582423300e-1F;
    p = p * s + 1.128379165726710F;
    vec8 small = one - a * p;
    vec8 q = one / vec8_select(a < one, one, a);
    vec8 t = q * q;
    vec8 m = vec8_set(2.326819970068386e-2F);
    m = m * t - 1.387039388740657e-1F;
    m = m * t + 3.687424674597105e-1F;
    m = m * t - 5.824733027278666e-1F;
    m = m * t + 6.210004621745983e-1F;
    m = m * t - 4.944515323274145e-1F;
    m = m * t + 3.404879937665872e-1F;
    m = m * t - 2.741127028184656e-1F;
    m = m * t + 5.638259427386472e-1F;
    vec8 r = vec8_set(-1.047766399936249e+1F);
    r = r * t + 1.297719955372516e+1F;
    r = r * t - 7.495518717768503F;
    r = r * t + 2.921019019210786F;
    r = r * t - 1.015265279202700F;
    r = r * t + 4.218463358204948e-1F;
    r = r * t - 2.820767439740514e-1F;
    r = r * t + 5.641895067754075e-1F;
    vec8 far = vec_exp(-s) * q * vec8_select(a < vec8_set(2.0F), m, r);
    vec8 tail = vec8_select(a < one, small, far) * 0.5F; /* Phi(-|x|) */
    return vec8_select(x < vec8_set(0.0F), tail, one - tail);
}

/* tanh(softplus(x)) = (n^2 + 2n) / (n^2 + 2n + 2) with n = e^x; 1 in float from 10 on. */
VEC8_INLINE vec8 vec_tanh_softplus(vec8 x)
{
    vec8 top = vec8_set(20.0F);
    vec8 n = vec_exp(vec8_select(x > top, top, x));
    vec8 m = n * (n + 2.0F);
    return m / (m + 2.0F);
}

VEC8_INLINE vec8 vec_clip(vec8 x, float lo, float hi)
{
    vec8 low = vec8_set(lo);
    vec8 high = vec8_set(hi);
    vec8 v = vec8_select(x < low, low, x);
    return vec8_select(v > high, high, v);
}

#define SELU_SCALE 1.05070098735548049342F
#define SELU_ALPHA 1.67326324235437728482F

#define GELU_TANH_ARG(x) (((x)*0.044715F * (x) * (x) + (x)) * 0.797884560802865F)

VEC8_INLINE vec8 value(const enum kernel_act_kind kind, float alpha, vec8 x)
{
    vec8 zero = vec8_set(0.0F);
    switch ((int)kind) {
    case KERNEL_ACT_RELU: return vec8_select(x < zero, zero, x);
    case KERNEL_ACT_RELU6: return vec_clip(x, 0.0F, 6.0F);
    case KERNEL_ACT_LEAKY_RELU: return vec8_select(x > zero, x, x * alpha);
    case KERNEL_ACT_ELU: return vec8_select(x > zero, x, vec_expm1(x) * alpha);
    case KERNEL_ACT_SELU: return vec8_select(x > zero, x, vec_expm1(x) * SELU_ALPHA) * SELU_SCALE;
    case KERNEL_ACT_TANH: return vec_tanh(x);
    case KERNEL_ACT_SIGMOID: return vec_sigmoid(x);
    case KERNEL_ACT_HARD_SIGMOID: return vec_clip(x + 3.0F, 0.0F, 6.0F) / 6.0F;
    case KERNEL_ACT_SILU: return x * vec_sigmoid(x);
    case KERNEL_ACT_HARD_SILU: return x * (vec_clip(x + 3.0F, 0.0F, 6.0F) / 6.0F);
    case KERNEL_ACT_GELU_TANH: return x * 0.5F * (vec_tanh(GELU_TANH_ARG(x)) + 1.0F);
    case KERNEL_ACT_EXPONENTIAL: return vec_exp(x);
    case KERNEL_ACT_SOFTPLUS: return vec_softplus(x);
    case KERNEL_ACT_LOG_SIGMOID: return -vec_softplus(-x);
    case KERNEL_ACT_SOFTSIGN: return x / (vec_abs(x) + 1.0F);
    case KERNEL_ACT_GELU: return x * vec_normal(x);
    case KERNEL_ACT_MISH: return x * vec_tanh_softplus(x);
    default: return x;
    }
}

VEC8_INLINE vec8 slope_gelu_tanh(vec8 x)
{
    vec8 t = vec_tanh(GELU_TANH_ARG(x));
    vec8 inner = (x * x * (3.0F * 0.044715F) + 1.0F) * 0.797884560802865F;
    return (t + 1.0F) * 0.5F + x * 0.5F * (1.0F - t * t) * inner;
}

/* v is x or, for a fusible one, y. */
VEC8_INLINE vec8 slope(const enum kernel_act_kind kind, float alpha, vec8 v)
{
    vec8 zero = vec8_set(0.0F);
    vec8 one = vec8_set(1.0F);
    vec8 t;
    switch ((int)kind) {
    case KERNEL_ACT_RELU: return vec8_select(v > zero, one, zero);
    case KERNEL_ACT_RELU6: return vec8_select((v > zero) & (v < vec8_set(6.0F)), one, zero);
    case KERNEL_ACT_LEAKY_RELU: return vec8_select(v > zero, one, vec8_set(alpha));
    case KERNEL_ACT_ELU: return vec8_select(v > zero, one, vec_exp(v) * alpha);
    case KERNEL_ACT_SELU: return vec8_select(v >= zero, one, vec_exp(v) * SELU_ALPHA) * SELU_SCALE;
    case KERNEL_ACT_TANH: return one - v * v;
    case KERNEL_ACT_SIGMOID: return v * (one - v);
    case KERNEL_ACT_HARD_SIGMOID:
        return vec8_select((v > zero) & (v < one), vec8_set(1.0F / 6.0F), zero);
    case KERNEL_ACT_SILU: t = vec_sigmoid(v); return t * (one + v * (one - t));
    case KERNEL_ACT_HARD_SILU:
        t = vec_clip(v + 3.0F, 0.0F, 6.0F) / 6.0F;
        return t + vec8_select((v > vec8_set(-3.0F)) & (v < vec8_set(3.0F)), v / 6.0F, zero);
    case KERNEL_ACT_GELU_TANH: return slope_gelu_tanh(v);
    case KERNEL_ACT_EXPONENTIAL: return v;
    case KERNEL_ACT_SOFTPLUS: return vec_sigmoid(v);
    case KERNEL_ACT_LOG_SIGMOID: return vec_sigmoid(-v);
    case KERNEL_ACT_SOFTSIGN: t = vec_abs(v) + 1.0F; return one / (t * t);
    case KERNEL_ACT_GELU: return vec_normal(v) + v * vec_exp(v * v * -0.5F) * 0.39894228040143268F;
    case KERNEL_ACT_MISH: t = vec_tanh_softplus(v); return t + v * (one - t * t) * vec_sigmoid(v);
    default: return one;
    }
}

#define FOR_KINDS(X)                                                                        \
    X(RELU)                                                                                 \
    X(RELU6)                                                                                \
    X(LEAKY_RELU)                                                                           \
    X(ELU)                                                                                  \
    X(SELU)                                                                                 \
    X(TANH)                                                                                 \
    X(SIGMOID) X(HARD_SIGMOID) X(SILU) X(HARD_SILU) X(GELU_TANH) X(EXPONENTIAL) X(SOFTPLUS) \
        X(LOG_SIGMOID) X(SOFTSIGN) X(GELU) X(MISH)

/* The tail goes through the same vector code: a value's bits do not depend on where it stands. */
VEC8_INLINE void forward_kind(const enum kernel_act_kind kind, float alpha, size_t count,
                              const float *x, float *y)
{
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        vec8_store(y + i, value(kind, alpha, vec8_load(x + i)));
    }
    if (i < count) {
        vec8_store_part(y + i, value(kind, alpha, vec8_load_part(x + i, count - i)), count - i);
    }
}

VEC8_INLINE void backward_kind(const enum kernel_act_kind kind, float alpha, size_t count,
                               const float *v, const float *dy, float *dx)
{
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        vec8_store(dx + i, vec8_load(dy + i) * slope(kind, alpha, vec8_load(v + i)));
    }
    if (i < count) {
        size_t n = count - i;
        vec8_store_part(
            dx + i, vec8_load_part(dy + i, n) * slope(kind, alpha, vec8_load_part(v + i, n)), n);
    }
}

static void forward_part(const struct kernel_act *act, size_t count, const float *x, float *y)
{
    switch ((int)act->kind) {
    case KERNEL_ACT_LINEAR:
        if (x != y) {
            memcpy(y, x, sizeof(float) * count);
        }
        break;
#define X(kind) \
    case KERNEL_ACT_##kind: forward_kind(KERNEL_ACT_##kind, act->alpha, count, x, y); break;
        FOR_KINDS(X)
#undef X
    default: ref_act.forward(act, count, x, y);
    }
}

static void backward_part(const struct kernel_act *act, size_t count, const float *x,
                          const float *y, const float *dy, float *dx)
{
    const float *v = kernel_act_is_fusible(act->kind) ? y : x;
    switch ((int)act->kind) {
    case KERNEL_ACT_LINEAR:
        if (dx != dy) {
            memcpy(dx, dy, sizeof(float) * count);
        }
        break;
#define X(kind) \
    case KERNEL_ACT_##kind: backward_kind(KERNEL_ACT_##kind, act->alpha, count, v, dy, dx); break;
        FOR_KINDS(X)
#undef X
    default: ref_act.backward(act, count, x, y, dy, dx);
    }
}

static void act_forward(const struct kernel_act *act, size_t count, const float *x, float *y)
{
    int parts = fast_parts(count);
#pragma omp parallel for schedule(static, 1) num_threads(parts) if (parts > 1)
    for (int p = 0; p < parts; p++) {
        size_t first = fast_parts_at(count, p, parts, 16);
        forward_part(act, fast_parts_at(count, p + 1, parts, 16) - first, x + first, y + first);
    }
}

static void act_backward(const struct kernel_act *act, size_t count, const float *x, const float *y,
                         const float *dy, float *dx)
{
    int parts = fast_parts(count);
#pragma omp parallel for schedule(static, 1) num_threads(parts) if (parts > 1)
    for (int p = 0; p < parts; p++) {
        size_t first = fast_parts_at(count, p, parts, 16);
        backward_part(act, fast_parts_at(count, p + 1, parts, 16) - first, x ? x + first : NULL,
                      y ? y + first : NULL, dy + first, dx + first);
    }
}

const struct kernel_act_ops VEC8_NAME(fast_act) = {
    .forward = act_forward,
    .backward = act_backward,
    .rows_forward = ref_rows_forward,
    .rows_backward = ref_rows_backward,
    .sparsemax_backward = ref_rows_sparsemax_backward,
    .xent = ref_rows_xent,
};
