/* kernel_pool - pooling windows, maximum and average, and global averages.
 *
 * Owns, Threads, Errors, Lifetime: as kernel_conv.
 *
 * x (n,h,w,c), y (n,out_h,out_w,c). The maximum's gradient goes to the first cell, in row-major
 * order, that holds it; the average divides by the cells that lie inside the image. Cells outside
 * the image never win.
 */
#ifndef TRAINER_KERNEL_KERNEL_POOL_H
#define TRAINER_KERNEL_KERNEL_POOL_H

#include "base/arena.h"
#include "base/err.h"
#include "trainer/kernel/kernel_conv.h" /* enum kernel_pad, kernel_conv_axis */

#include <stdbool.h>
#include <stddef.h>

enum kernel_pool_kind { KERNEL_POOL_MAX, KERNEL_POOL_AVERAGE };

struct kernel_pool_desc {
    enum kernel_pool_kind kind;
    int n; /* the greatest batch */
    int h, w, c;
    int pool_h, pool_w;
    int stride_h, stride_w;
    int pad_top, pad_left;
    int out_h, out_w;
    bool training;
};

/* Fills pads and output from the rest; checks the whole desc. */
int kernel_pool_shape(struct kernel_pool_desc *desc, enum kernel_pad pad, struct err *err);
int kernel_pool_check(const struct kernel_pool_desc *desc, struct err *err);

struct kernel_pool_ops;
struct kernel_pool {
    const struct kernel_pool_ops *ops;
    struct kernel_pool_desc desc;
    size_t scratch_bytes;
    size_t state_bytes; /* the caller keeps these from forward to backward (0: none needed), aligned
                           to 64 */
    const char *impl;
};

struct kernel_pool_ops {
    int (*create)(const struct kernel_pool_desc *desc, struct arena *arena,
                  struct kernel_pool **ret_pool, struct err *err);
    void (*destroy)(struct kernel_pool *pool);
    void (*forward)(struct kernel_pool *pool, int n, const float *x, float *y, void *state,
                    void *scratch);
    void (*backward)(struct kernel_pool *pool, int n, const float *dy, const void *state, float *dx,
                     void *scratch);
    /* y (n,c) = mean over hw of x (n,hw,c), and its gradient. */
    void (*global_average_forward)(int n, int hw, int c, const float *x, float *y);
    void (*global_average_backward)(int n, int hw, int c, const float *dy, float *dx);
};

/* state may be NULL when no backward follows. */
static inline void kernel_pool_forward(struct kernel_pool *pool, int n, const float *x, float *y,
                                       void *state, void *scratch)
{
    pool->ops->forward(pool, n, x, y, state, scratch);
}

/* dx is overwritten. */
static inline void kernel_pool_backward(struct kernel_pool *pool, int n, const float *dy,
                                        const void *state, float *dx, void *scratch)
{
    pool->ops->backward(pool, n, dy, state, dx, scratch);
}

static inline void kernel_pool_destroy(struct kernel_pool *pool)
{
    if (pool) {
        pool->ops->destroy(pool);
    }
}

#endif
