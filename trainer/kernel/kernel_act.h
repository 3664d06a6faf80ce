/* kernel_act - activations: elementwise ones, the ones over the last axis, softmax with
 * cross-entropy.
 *
 * Owns:     nothing; all memory is the caller's.
 * Threads:  reentrant.
 * Errors:   none at run time; kernel_act_find gives NULL for an unknown name.
 * Lifetime: const tables.
 *
 * In place is allowed everywhere: y == x, dx == dy.
 */
#ifndef TRAINER_KERNEL_KERNEL_ACT_H
#define TRAINER_KERNEL_KERNEL_ACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* KERNEL_ACT_ROW(SYMBOL, Keras's name, default of alpha, from_output)
 * from_output: the derivative needs y alone, so the activation may be fused behind a convolution or
 * a dense layer. */
// clang-format off
#define KERNEL_ACT_LIST \
    KERNEL_ACT_ROW(LINEAR,         "linear",         0.0F,  true)  \
    KERNEL_ACT_ROW(RELU,           "relu",           0.0F,  true)  \
    KERNEL_ACT_ROW(RELU6,          "relu6",          0.0F,  true)  \
    KERNEL_ACT_ROW(RELU_GENERAL,   "relu_general",   0.0F,  false) /* alpha: negative_slope, max_value, threshold */ \
    KERNEL_ACT_ROW(LEAKY_RELU,     "leaky_relu",     0.2F,  false) \
    KERNEL_ACT_ROW(ELU,            "elu",            1.0F,  false) \
    KERNEL_ACT_ROW(CELU,           "celu",           1.0F,  false) \
    KERNEL_ACT_ROW(SELU,           "selu",           0.0F,  false) \
    KERNEL_ACT_ROW(SOFTPLUS,       "softplus",       0.0F,  false) \
    KERNEL_ACT_ROW(SOFTSIGN,       "softsign",       0.0F,  false) \
    KERNEL_ACT_ROW(TANH,           "tanh",           0.0F,  true)  \
    KERNEL_ACT_ROW(SIGMOID,        "sigmoid",        0.0F,  true)  \
    KERNEL_ACT_ROW(HARD_SIGMOID,   "hard_sigmoid",   0.0F,  true)  \
    KERNEL_ACT_ROW(SILU,           "silu",           0.0F,  false) /* also "swish" */ \
    KERNEL_ACT_ROW(HARD_SILU,      "hard_silu",      0.0F,  false) /* also "hard_swish" */ \
    KERNEL_ACT_ROW(GELU,           "gelu",           0.0F,  false) /* the erf form */ \
    KERNEL_ACT_ROW(GELU_TANH,      "gelu_tanh",      0.0F,  false) /* approximate=True */ \
    KERNEL_ACT_ROW(EXPONENTIAL,    "exponential",    0.0F,  true)  \
    KERNEL_ACT_ROW(MISH,           "mish",           0.0F,  false) \
    KERNEL_ACT_ROW(LOG_SIGMOID,    "log_sigmoid",    0.0F,  false) \
    KERNEL_ACT_ROW(HARD_TANH,      "hard_tanh",      0.0F,  false) \
    KERNEL_ACT_ROW(HARD_SHRINK,    "hard_shrink",    0.5F,  false) /* alpha: threshold */ \
    KERNEL_ACT_ROW(SOFT_SHRINK,    "soft_shrink",    0.5F,  false) /* alpha: threshold */ \
    KERNEL_ACT_ROW(TANH_SHRINK,    "tanh_shrink",    0.0F,  false) \
    KERNEL_ACT_ROW(SQUAREPLUS,     "squareplus",     4.0F,  false) /* alpha: b */ \
    KERNEL_ACT_ROW(SPARSE_PLUS,    "sparse_plus",    0.0F,  false) \
    KERNEL_ACT_ROW(SPARSE_SIGMOID, "sparse_sigmoid", 0.0F,  false)
// clang-format on

enum kernel_act_kind {
#define KERNEL_ACT_ROW(symbol, name, alpha, from_output) KERNEL_ACT_##symbol,
    KERNEL_ACT_LIST
#undef KERNEL_ACT_ROW
        KERNEL_ACT_MAX_
};

/* An activation with its parameters; {0} is linear. */
struct kernel_act {
    enum kernel_act_kind kind;
    float alpha;     /* slope, alpha, threshold or b, as the row says */
    float max_value; /* RELU_GENERAL only; INFINITY: none */
    float threshold; /* RELU_GENERAL only */
};

struct kernel_act_desc {
    const char *name;
    struct kernel_act defaults;
    bool from_output;
};

/* By Keras's name ("swish" and "hard_swish" too), or NULL; softmax and log_softmax are not
 * elementwise: kernel_rows_kind. */
const struct kernel_act_desc *kernel_act_find(const char *name);
const struct kernel_act_desc *kernel_act_row(enum kernel_act_kind kind);
/* Whether it may be fused (struct kernel_conv_desc.act, kernel_dense_desc.act). */
bool kernel_act_is_fusible(enum kernel_act_kind kind);

/* Functions over the last axis of (rows, cols). */
enum kernel_rows_kind {
    KERNEL_ROWS_SOFTMAX,
    KERNEL_ROWS_LOG_SOFTMAX,
    KERNEL_ROWS_SPARSEMAX, /* forward only: its gradient needs x, sparsemax_backward */
    KERNEL_ROWS_MAX_
};

/* Softmax and categorical cross-entropy in one, from logits, as Keras fuses them. Per row r:
 *   loss[r]     = -sum_j t_j log softmax(x)_j          (not weighted)
 *   dlogits[r,] = scale[r] * (softmax(x)_j * sum_j t_j - t_j)
 * The caller puts sample weight and the division by the batch into scale. Each of loss, probs,
 * dlogits may be NULL. */
struct kernel_xent_args {
    size_t rows, cols;
    const float *logits;   /* rows * cols */
    const float *targets;  /* rows * cols, or NULL: labels are used */
    const int32_t *labels; /* rows; each within 0..cols-1 (checked by the caller), or < 0: row is
                              ignored (loss 0, gradient 0) */
    const float *scale;    /* rows */
    float *loss;           /* rows */
    float *probs;          /* rows * cols; may be logits */
    float *dlogits;        /* rows * cols; may be logits if probs is not */
};

struct kernel_act_ops {
    void (*forward)(const struct kernel_act *act, size_t count, const float *x, float *y);
    /* dx = dy * f'(.); x may be NULL if the row is from_output, y may be NULL otherwise. */
    void (*backward)(const struct kernel_act *act, size_t count, const float *x, const float *y,
                     const float *dy, float *dx);
    void (*rows_forward)(enum kernel_rows_kind kind, size_t rows, size_t cols, const float *x,
                         float *y);
    void (*rows_backward)(enum kernel_rows_kind kind, size_t rows, size_t cols, const float *y,
                          const float *dy, float *dx);
    /* The gradient of sparsemax; dx may be dy, not x. */
    void (*sparsemax_backward)(size_t rows, size_t cols, const float *x, const float *dy,
                               float *dx);
    void (*xent)(const struct kernel_xent_args *args);
};

#endif
