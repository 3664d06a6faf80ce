/* The activations, each as its formula in double, rounded once. */
#include "base/math.h"
#include "trainer/kernel/backends.h"

#include <float.h>
#include <math.h>

#define SELU_SCALE 1.0507009873554804934193349852946
#define SELU_ALPHA 1.6732632423543772848170429916717

/* sum 2^n x^(2n+1) / (2n+1)!!: all terms have one sign, so nothing cancels. */
static double ref_erf(double x)
{
    if (fabs(x) > 6.0) {
        return x > 0.0 ? 1.0 : -1.0;
    }
    double term = x;
    double sum = x;
    for (int n = 1; n < 200 && fabs(term) > DBL_EPSILON * 0.25 * fabs(sum); n++) {
        term *= 2.0 * x * x / (2.0 * n + 1.0);
        sum += term;
    }
    return sum * math_exp(-x * x) * 1.12837916709551257390;
}

static double expm1_of(double x)
{
    if (fabs(x) < 1e-3) {
        return x * (1.0 + x * (0.5 + x * (1.0 / 6.0 + x * (1.0 / 24.0))));
    }
    return math_exp(x) - 1.0;
}

static double log1p_of(double x)
{
    return fabs(x) < 1e-4 ? x * (1.0 - x * (0.5 - x * (1.0 / 3.0 - 0.25 * x))) : math_log(1.0 + x);
}

static double sigmoid(double x)
{
    if (x < 0.0) {
        double e = math_exp(x);
        return e / (1.0 + e);
    }
    return 1.0 / (1.0 + math_exp(-x));
}

static double softplus(double x)
{
    return x > 0.0 ? x + log1p_of(math_exp(-x)) : log1p_of(math_exp(x));
}

/* Clips and lets NaN through. */
static double clip(double x, double lo, double hi)
{
    return x < lo ? lo : x > hi ? hi : x;
}

#define SQRT_2_OVER_PI 0.79788456080286535588
#define INV_SQRT_2     0.70710678118654752440
#define INV_SQRT_2PI   0.39894228040143267794

static double gelu_tanh_arg(double x)
{
    return SQRT_2_OVER_PI * (x + 0.044715 * x * x * x);
}

static double relu_general(const struct kernel_act *act, double x)
{
    if (x >= (double)act->max_value) {
        return (double)act->max_value;
    }
    /* At the threshold Keras is below it. */
    return x > (double)act->threshold ? x : (double)act->alpha * (x - (double)act->threshold);
}

/* Keras's: the greatest value still has a slope, a threshold other than 0 has none. */
static double slope_relu_general(const struct kernel_act *act, double x)
{
    double threshold = (double)act->threshold;
    if (x > (double)act->max_value) {
        return 0.0;
    }
    if (x > threshold) {
        return 1.0;
    }
    return x < threshold || threshold == 0.0 ? (double)act->alpha : 0.0;
}

static double value(const struct kernel_act *act, double x)
{
    double alpha = (double)act->alpha;
    switch (act->kind) {
    case KERNEL_ACT_LINEAR: return x;
    case KERNEL_ACT_RELU: return x < 0.0 ? 0.0 : x;
    case KERNEL_ACT_RELU6: return clip(x, 0.0, 6.0);
    case KERNEL_ACT_RELU_GENERAL: return relu_general(act, x);
    case KERNEL_ACT_LEAKY_RELU: return x > 0.0 ? x : alpha * x;
    case KERNEL_ACT_ELU: return x > 0.0 ? x : alpha * expm1_of(x);
    case KERNEL_ACT_CELU: return x > 0.0 ? x : alpha * expm1_of(x / alpha);
    case KERNEL_ACT_SELU: return SELU_SCALE * (x > 0.0 ? x : SELU_ALPHA * expm1_of(x));
    case KERNEL_ACT_SOFTPLUS: return softplus(x);
    case KERNEL_ACT_SOFTSIGN: return x / (1.0 + fabs(x));
    case KERNEL_ACT_TANH: return math_tanh(x);
    case KERNEL_ACT_SIGMOID: return sigmoid(x);
    case KERNEL_ACT_HARD_SIGMOID: return clip(x + 3.0, 0.0, 6.0) / 6.0;
    case KERNEL_ACT_SILU: return x * sigmoid(x);
    case KERNEL_ACT_HARD_SILU: return x * (clip(x + 3.0, 0.0, 6.0) / 6.0);
    case KERNEL_ACT_GELU: return 0.5 * x * (1.0 + ref_erf(x * INV_SQRT_2));
    case KERNEL_ACT_GELU_TANH: return 0.5 * x * (1.0 + math_tanh(gelu_tanh_arg(x)));
    case KERNEL_ACT_EXPONENTIAL: return math_exp(x);
    case KERNEL_ACT_MISH: return x * math_tanh(softplus(x));
    case KERNEL_ACT_LOG_SIGMOID: return -softplus(-x);
    case KERNEL_ACT_HARD_TANH: return clip(x, -1.0, 1.0);
    case KERNEL_ACT_HARD_SHRINK: return fabs(x) <= alpha ? 0.0 : x;
    case KERNEL_ACT_SOFT_SHRINK: return x > alpha ? x - alpha : x < -alpha ? x + alpha : x * 0.0;
    case KERNEL_ACT_TANH_SHRINK: return x - math_tanh(x);
    case KERNEL_ACT_SQUAREPLUS: return 0.5 * (x + sqrt(x * x + alpha));
    case KERNEL_ACT_SPARSE_PLUS:
        return x <= -1.0 ? 0.0 : x < 1.0 ? 0.25 * (x + 1.0) * (x + 1.0) : x;
    case KERNEL_ACT_SPARSE_SIGMOID: return clip(0.5 * (x + 1.0), 0.0, 1.0);
    case KERNEL_ACT_MAX_: break;
    }
    BUG("activation %d", (int)act->kind);
}

static double slope_from_output(const struct kernel_act *act, double y)
{
    switch ((int)act->kind) {
    case KERNEL_ACT_RELU: return y > 0.0 ? 1.0 : 0.0;
    case KERNEL_ACT_RELU6: return y > 0.0 && y < 6.0 ? 1.0 : 0.0;
    case KERNEL_ACT_TANH: return 1.0 - y * y;
    case KERNEL_ACT_SIGMOID: return y * (1.0 - y);
    case KERNEL_ACT_HARD_SIGMOID: return y > 0.0 && y < 1.0 ? 1.0 / 6.0 : 0.0;
    case KERNEL_ACT_EXPONENTIAL: return y;
    default: return 1.0;
    }
}

static double slope_gelu(const struct kernel_act *act, double x)
{
    if (act->kind == KERNEL_ACT_GELU) {
        return 0.5 * (1.0 + ref_erf(x * INV_SQRT_2)) + x * INV_SQRT_2PI * math_exp(-0.5 * x * x);
    }
    double t = math_tanh(gelu_tanh_arg(x));
    return 0.5 * (1.0 + t) +
           0.5 * x * (1.0 - t * t) * SQRT_2_OVER_PI * (1.0 + 3.0 * 0.044715 * x * x);
}

static double slope_mish(double x)
{
    double t = math_tanh(softplus(x));
    return t + x * (1.0 - t * t) * sigmoid(x);
}

static double slope(const struct kernel_act *act, double x)
{
    double alpha = (double)act->alpha;
    double t;
    switch ((int)act->kind) {
    case KERNEL_ACT_RELU_GENERAL:
        return slope_relu_general(act, x);
    case KERNEL_ACT_LEAKY_RELU: return x > 0.0 ? 1.0 : alpha;
    case KERNEL_ACT_ELU: return x > 0.0 ? 1.0 : alpha * math_exp(x);
    case KERNEL_ACT_CELU: /* Keras: relu(x) + min(0, ...), and at 0 both have a slope */
        return x > 0.0 ? 1.0 : math_exp(x / alpha) + (x < 0.0 ? 0.0 : 1.0);
    case KERNEL_ACT_SELU: return SELU_SCALE * (x >= 0.0 ? 1.0 : SELU_ALPHA * math_exp(x));
    case KERNEL_ACT_SOFTPLUS: return sigmoid(x);
    case KERNEL_ACT_SOFTSIGN: t = 1.0 + fabs(x); return 1.0 / (t * t);
    case KERNEL_ACT_SILU: t = sigmoid(x); return t * (1.0 + x * (1.0 - t));
    case KERNEL_ACT_HARD_SILU:
        t = clip(x + 3.0, 0.0, 6.0) / 6.0;
        return t + (x > -3.0 && x < 3.0 ? x / 6.0 : 0.0);
    case KERNEL_ACT_GELU:
    case KERNEL_ACT_GELU_TANH: return slope_gelu(act, x);
    case KERNEL_ACT_MISH: return slope_mish(x);
    case KERNEL_ACT_LOG_SIGMOID: return sigmoid(-x);
    case KERNEL_ACT_HARD_TANH: return x >= -1.0 && x <= 1.0 ? 1.0 : 0.0;
    case KERNEL_ACT_HARD_SHRINK:
    case KERNEL_ACT_SOFT_SHRINK: return fabs(x) <= alpha ? 0.0 : 1.0;
    case KERNEL_ACT_TANH_SHRINK: t = math_tanh(x); return t * t;
    case KERNEL_ACT_SQUAREPLUS: return 0.5 * (1.0 + x / sqrt(x * x + alpha));
    case KERNEL_ACT_SPARSE_PLUS: return x <= -1.0 ? 0.0 : x < 1.0 ? 0.5 * (x + 1.0) : 1.0;
    case KERNEL_ACT_SPARSE_SIGMOID: return x > -1.0 && x < 1.0 ? 0.5 : 0.0;
    default: BUG("activation %d has no slope of its input", (int)act->kind);
    }
}

static void act_forward(const struct kernel_act *act, size_t count, const float *x, float *y)
{
    for (size_t i = 0; i < count; i++) {
        y[i] = (float)value(act, (double)x[i]);
    }
}

static void act_backward(const struct kernel_act *act, size_t count, const float *x, const float *y,
                         const float *dy, float *dx)
{
    bool from_output = kernel_act_is_fusible(act->kind);
    for (size_t i = 0; i < count; i++) {
        double d = from_output ? slope_from_output(act, (double)y[i]) : slope(act, (double)x[i]);
        dx[i] = (float)((double)dy[i] * d);
    }
}

const struct kernel_act_ops ref_act = {
    .forward = act_forward,
    .backward = act_backward,
    .rows_forward = ref_rows_forward,
    .rows_backward = ref_rows_backward,
    .sparsemax_backward = ref_rows_sparsemax_backward,
    .xent = ref_rows_xent,
};
