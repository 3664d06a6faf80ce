/* Activations 8 at a time. The common ones are here, within 3 ulp of the true value (tanh 5); what
 * is rare goes to ref. No contraction in this file: every instruction set gives the same bits. */
#include "trainer/kernel/blas/blas.h"
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
    default: return one;
    }
}

#define FOR_KINDS(X) \
    X(RELU)          \
    X(RELU6)         \
    X(LEAKY_RELU)    \
    X(ELU)           \
    X(SELU) X(TANH) X(SIGMOID) X(HARD_SIGMOID) X(SILU) X(HARD_SILU) X(GELU_TANH) X(EXPONENTIAL)

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

static void act_forward(const struct kernel_act *act, size_t count, const float *x, float *y)
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

static void act_backward(const struct kernel_act *act, size_t count, const float *x, const float *y,
                         const float *dy, float *dx)
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

const struct kernel_act_ops VEC8_NAME(fast_act) = {
    .forward = act_forward,
    .backward = act_backward,
    .rows_forward = ref_rows_forward,
    .rows_backward = ref_rows_backward,
    .sparsemax_backward = ref_rows_sparsemax_backward,
    .xent = ref_rows_xent,
};
