/* Optimizer updates: the operations of ref_vec.c in one pass, the same bits. */
#include "trainer/kernel/blas/blas.h"
#include "trainer/kernel/blas/fast_parts.h"
#include "trainer/kernel/blas/vec8.h"

#include <math.h>

static void sgd_momentum(size_t count, float rate, float momentum, const float *restrict g,
                         float *restrict velocity, float *restrict w)
{
    for (size_t i = 0; i < count; i++) {
        velocity[i] = momentum * velocity[i] - rate * g[i];
        w[i] += velocity[i];
    }
}

static void sgd_nesterov(size_t count, float rate, float momentum, const float *restrict g,
                         float *restrict velocity, float *restrict w)
{
    for (size_t i = 0; i < count; i++) {
        float step = rate * g[i];
        velocity[i] = momentum * velocity[i] - step;
        w[i] += momentum * velocity[i] - step;
    }
}

static void sgd_part(size_t count, float rate, float momentum, bool nesterov, const float *g,
                     float *velocity, float *w)
{
    if (velocity && nesterov) {
        sgd_nesterov(count, rate, momentum, g, velocity, w);
    } else if (velocity) {
        sgd_momentum(count, rate, momentum, g, velocity, w);
    } else {
#pragma omp simd
        for (size_t i = 0; i < count; i++) {
            w[i] -= rate * g[i];
        }
    }
}

static void adam_plain(size_t count, float alpha, float beta1, float beta2, float epsilon,
                       const float *restrict g, float *restrict m, float *restrict v,
                       float *restrict w)
{
    for (size_t i = 0; i < count; i++) {
        m[i] += (g[i] - m[i]) * (1.0F - beta1);
        v[i] += (g[i] * g[i] - v[i]) * (1.0F - beta2);
        w[i] -= m[i] * alpha / (sqrtf(v[i]) + epsilon);
    }
}

static void adam_part(size_t count, float alpha, float beta1, float beta2, float epsilon,
                      const float *g, float *m, float *v, float *vhat, float *w)
{
    if (vhat) {
        ref_optim.adam(count, alpha, beta1, beta2, epsilon, g, m, v, vhat, w);
    } else {
        adam_plain(count, alpha, beta1, beta2, epsilon, g, m, v, w);
    }
}

static void sgd(size_t count, float rate, float momentum, bool nesterov, const float *g,
                float *velocity, float *w)
{
    int parts = fast_parts(count);
#pragma omp parallel for schedule(static, 1) num_threads(parts) if (parts > 1)
    for (int p = 0; p < parts; p++) {
        size_t at = fast_parts_at(count, p, parts, 16);
        sgd_part(fast_parts_at(count, p + 1, parts, 16) - at, rate, momentum, nesterov, g + at,
                 velocity ? velocity + at : NULL, w + at);
    }
}

static void adam(size_t count, float alpha, float beta1, float beta2, float epsilon, const float *g,
                 float *m, float *v, float *vhat, float *w)
{
    int parts = fast_parts(count);
#pragma omp parallel for schedule(static, 1) num_threads(parts) if (parts > 1)
    for (int p = 0; p < parts; p++) {
        size_t at = fast_parts_at(count, p, parts, 16);
        adam_part(fast_parts_at(count, p + 1, parts, 16) - at, alpha, beta1, beta2, epsilon, g + at,
                  m + at, v + at, vhat ? vhat + at : NULL, w + at);
    }
}

const struct kernel_optim_ops VEC8_NAME(fast_optim) = {.sgd = sgd, .adam = adam};
