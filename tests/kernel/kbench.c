/* kbench - speeds of the kernels, one JSON object a line: every backend, one call site at a time,
 * and sums over networks. Usage: kbench [--threads N] [NAME]: only rows whose name holds NAME. */
#include "trainer/kernel/kernel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS 5

struct bench {
    const struct kernel_backend *backend;
    struct arena arena;
    const char *only;
    double total_us; /* of the network so far, a batch */
};

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static float *floats(struct bench *b, size_t n)
{
    float *x = arena_alloc(&b->arena, n * sizeof(float) + 64);
    for (size_t i = 0; i < n; i++) {
        x[i] = (float)(i * 7919 % 1000) * 1e-3F - 0.5F;
    }
    return x;
}

typedef void (*step_fn)(void *arg);

/* The least time of a call over some rounds of 20 ms: what other processes do does not count. */
static double measure(step_fn step, void *arg)
{
    double best = 1e30;
    step(arg);
    for (int round = 0; round < ROUNDS; round++) {
        double start = now_us();
        int calls = 0;
        double spent;
        do {
            double before = now_us();
            step(arg);
            double took = now_us() - before;
            best = took < best ? took : best;
            calls++;
            spent = now_us() - start;
        } while (spent < 20e3);
    }
    return best;
}

static void row(struct bench *b, const char *name, const char *impl, const char *pass, double us,
                double flops)
{
    b->total_us += us;
    if (b->only && !strstr(name, b->only)) {
        return;
    }
    printf("{\"bench\": \"kernel\", \"row\": \"%s\", \"backend\": \"%s\", \"impl\": \"%s\", "
           "\"pass\": \"%s\", "
           "\"us\": %.1f, \"gflops\": %.1f}\n",
           name, b->backend->name, impl, pass, us, flops / us * 1e-3);
    (void)fflush(stdout);
}

struct conv_call {
    struct kernel_conv *conv;
    float *x, *w, *b, *y, *dy, *dx, *dw, *db;
    void *scratch;
};

static void conv_forward(void *arg)
{
    struct conv_call *c = arg;
    kernel_conv_forward(c->conv, c->conv->desc.n, c->x, c->w, c->b, c->y, c->scratch);
}

static void conv_backward(void *arg)
{
    struct conv_call *c = arg;
    kernel_conv_backward(c->conv, c->conv->desc.n, c->x, c->w, c->y, c->dy, c->dx, c->dw, c->db,
                         c->scratch);
}

static void bench_conv(struct bench *b, const char *name, struct kernel_conv_desc d,
                       enum kernel_pad pad)
{
    struct err err = {0};
    d.has_bias = d.training = true;
    d.act.kind = KERNEL_ACT_RELU;
    d.stride_h = d.stride_w = d.stride_h ? d.stride_h : 1;
    d.groups = d.dilation_h = d.dilation_w = 1;
    struct conv_call c;
    if (kernel_conv_shape(&d, pad, &err) ||
        b->backend->conv->create(&d, &b->arena, &c.conv, &err)) {
        fprintf(stderr, "%s: %s\n", name, err.text);
        return;
    }
    size_t nx = (size_t)d.n * (size_t)d.h * (size_t)d.w * (size_t)d.c;
    size_t ny = (size_t)d.n * (size_t)d.out_h * (size_t)d.out_w * (size_t)d.k;
    size_t nw = (size_t)d.r * (size_t)d.s * (size_t)d.c * (size_t)d.k;
    c.x = floats(b, nx);
    c.y = floats(b, ny);
    c.dy = floats(b, ny);
    c.dx = d.needs_dx ? floats(b, nx) : NULL;
    c.w = floats(b, nw);
    c.dw = floats(b, nw);
    c.b = floats(b, (size_t)d.k);
    c.db = floats(b, (size_t)d.k);
    c.scratch = arena_alloc(&b->arena, c.conv->scratch_bytes + 64);
    double flops = kernel_conv_flops(&d);
    row(b, name, c.conv->impl, "forward", measure(conv_forward, &c), flops);
    row(b, name, c.conv->impl, "backward", measure(conv_backward, &c),
        flops * (d.needs_dx ? 2.0 : 1.0));
    kernel_conv_destroy(c.conv);
    arena_reset(&b->arena);
}

struct dense_call {
    struct kernel_dense *dense;
    float *x, *w, *b, *y, *dy, *dx, *dw, *db;
    void *scratch;
};

static void dense_forward(void *arg)
{
    struct dense_call *c = arg;
    kernel_dense_forward(c->dense, c->dense->desc.n, c->x, c->w, c->b, c->y, c->scratch);
}

static void dense_backward(void *arg)
{
    struct dense_call *c = arg;
    kernel_dense_backward(c->dense, c->dense->desc.n, c->x, c->w, c->y, c->dy, c->dx, c->dw, c->db,
                          c->scratch);
}

static void bench_dense(struct bench *b, const char *name, int n, int in, int out)
{
    struct kernel_dense_desc d = {
        .n = n, .in = in, .out = out, .has_bias = true, .training = true, .needs_dx = true};
    struct dense_call c;
    if (b->backend->dense->create(&d, &b->arena, &c.dense, NULL)) {
        return;
    }
    size_t nx = (size_t)n * (size_t)in;
    size_t ny = (size_t)n * (size_t)out;
    size_t nw = (size_t)in * (size_t)out;
    c.x = floats(b, nx);
    c.dx = floats(b, nx);
    c.y = floats(b, ny);
    c.dy = floats(b, ny);
    c.w = floats(b, nw);
    c.dw = floats(b, nw);
    c.b = floats(b, (size_t)out);
    c.db = floats(b, (size_t)out);
    c.scratch = arena_alloc(&b->arena, c.dense->scratch_bytes + 64);
    double flops = 2.0 * n * in * out;
    row(b, name, c.dense->impl, "forward", measure(dense_forward, &c), flops);
    row(b, name, c.dense->impl, "backward", measure(dense_backward, &c), flops * 2.0);
    kernel_dense_destroy(c.dense);
    arena_reset(&b->arena);
}

struct pool_call {
    struct kernel_pool *pool;
    float *x, *y;
    void *state, *scratch;
};

static void pool_forward(void *arg)
{
    struct pool_call *c = arg;
    kernel_pool_forward(c->pool, c->pool->desc.n, c->x, c->y, c->state, c->scratch);
}

static void pool_backward(void *arg)
{
    struct pool_call *c = arg;
    kernel_pool_backward(c->pool, c->pool->desc.n, c->y, c->state, c->x, c->scratch);
}

static void bench_pool(struct bench *b, const char *name, enum kernel_pool_kind kind, int n, int h,
                       int w, int ch)
{
    struct kernel_pool_desc d = {.kind = kind,
                                 .n = n,
                                 .h = h,
                                 .w = w,
                                 .c = ch,
                                 .pool_h = 2,
                                 .pool_w = 2,
                                 .stride_h = 2,
                                 .stride_w = 2,
                                 .training = true};
    struct pool_call c;
    if (kernel_pool_shape(&d, KERNEL_PAD_VALID, NULL) ||
        b->backend->pool->create(&d, &b->arena, &c.pool, NULL)) {
        return;
    }
    size_t nx = (size_t)n * (size_t)h * (size_t)w * (size_t)ch;
    c.x = floats(b, nx);
    c.y = floats(b, nx / 4);
    c.state = arena_alloc(&b->arena, c.pool->state_bytes + 64);
    c.scratch = arena_alloc(&b->arena, c.pool->scratch_bytes + 64);
    row(b, name, c.pool->impl, "forward", measure(pool_forward, &c), (double)nx);
    row(b, name, c.pool->impl, "backward", measure(pool_backward, &c), (double)nx);
    kernel_pool_destroy(c.pool);
    arena_reset(&b->arena);
}

struct flat_call {
    const struct kernel_backend *backend;
    size_t n, rows, cols;
    float *a[6];
    int32_t *labels;
};

static void step_adam(void *arg)
{
    struct flat_call *c = arg;
    c->backend->optim->adam(c->n, 1e-3F, 0.9F, 0.999F, 1e-7F, c->a[0], c->a[1], c->a[2], NULL,
                            c->a[3]);
}

static void step_sgd(void *arg)
{
    struct flat_call *c = arg;
    c->backend->optim->sgd(c->n, 1e-3F, 0.9F, false, c->a[0], c->a[1], c->a[3]);
}

static void step_xent(void *arg)
{
    struct flat_call *c = arg;
    struct kernel_xent_args args = {.rows = c->rows,
                                    .cols = c->cols,
                                    .logits = c->a[0],
                                    .labels = c->labels,
                                    .scale = c->a[1],
                                    .loss = c->a[2],
                                    .probs = c->a[3],
                                    .dlogits = c->a[4]};
    c->backend->act->xent(&args);
}

static void step_norm(void *arg)
{
    struct flat_call *c = arg;
    float *stats = c->a[2];
    c->backend->norm->forward_train(c->rows, c->cols, 1e-3F, c->a[0], NULL, NULL, c->a[1], stats,
                                    stats + c->cols, stats + 2 * c->cols);
}

static void step_norm_back(void *arg)
{
    struct flat_call *c = arg;
    float *stats = c->a[2];
    c->backend->norm->backward_train(c->rows, c->cols, c->a[0], NULL, stats, stats + 2 * c->cols,
                                     c->a[1], c->a[3], c->a[4], c->a[5]);
}

static void step_tanh(void *arg)
{
    struct flat_call *c = arg;
    struct kernel_act act = {.kind = KERNEL_ACT_TANH};
    c->backend->act->forward(&act, c->n, c->a[0], c->a[1]);
}

static void bench_flat(struct bench *b, const char *name, step_fn step, size_t rows, size_t cols)
{
    struct flat_call c = {.backend = b->backend, .n = rows * cols, .rows = rows, .cols = cols};
    for (size_t i = 0; i < 6; i++) {
        c.a[i] = floats(b, rows * cols + 3 * cols);
    }
    for (size_t i = 0; i < c.n; i++) {
        c.a[2][i] = c.a[2][i] + 0.5F;
    }
    c.labels = arena_array(&b->arena, rows, sizeof(int32_t));
    row(b, name, "", "", measure(step, &c), (double)c.n);
    arena_reset(&b->arena);
}

static void network(struct bench *b, const char *name, int batch)
{
    printf("{\"bench\": \"kernel\", \"row\": \"%s\", \"backend\": \"%s\", \"unit\": \"images/s\", "
           "\"threads\": %d, "
           "\"ours\": %.0f}\n",
           name, b->backend->name, kernel_threads(), batch * 1e6 / b->total_us);
    b->total_us = 0.0;
}

static void lenet(struct bench *b)
{
    b->total_us = 0.0;
    bench_conv(b, "lenet 28x28x1 k6 5x5",
               (struct kernel_conv_desc){.n = 64, .h = 28, .w = 28, .c = 1, .k = 6, .r = 5, .s = 5},
               KERNEL_PAD_SAME);
    bench_pool(b, "lenet pool 28x28x6", KERNEL_POOL_MAX, 64, 28, 28, 6);
    bench_conv(b, "lenet 14x14x6 k16 5x5",
               (struct kernel_conv_desc){
                   .n = 64, .h = 14, .w = 14, .c = 6, .k = 16, .r = 5, .s = 5, .needs_dx = true},
               KERNEL_PAD_VALID);
    bench_pool(b, "lenet pool 10x10x16", KERNEL_POOL_MAX, 64, 10, 10, 16);
    bench_dense(b, "lenet dense 400 120", 64, 400, 120);
    bench_dense(b, "lenet dense 120 84", 64, 120, 84);
    bench_dense(b, "lenet dense 84 10", 64, 84, 10);
    bench_flat(b, "lenet cross-entropy", step_xent, 64, 10);
    bench_flat(b, "lenet adam", step_adam, 1, 61706);
    network(b, "lenet 64", 64);
}

static void digits(struct bench *b)
{
    b->total_us = 0.0;
    bench_conv(
        b, "digits 28x28x1 k16 3x3",
        (struct kernel_conv_desc){.n = 64, .h = 28, .w = 28, .c = 1, .k = 16, .r = 3, .s = 3},
        KERNEL_PAD_SAME);
    bench_pool(b, "digits pool 28x28x16", KERNEL_POOL_MAX, 64, 28, 28, 16);
    bench_conv(b, "digits 14x14x16 k32 3x3",
               (struct kernel_conv_desc){
                   .n = 64, .h = 14, .w = 14, .c = 16, .k = 32, .r = 3, .s = 3, .needs_dx = true},
               KERNEL_PAD_SAME);
    bench_pool(b, "digits pool 14x14x32", KERNEL_POOL_MAX, 64, 14, 14, 32);
    bench_conv(b, "digits 7x7x32 k64 3x3",
               (struct kernel_conv_desc){
                   .n = 64, .h = 7, .w = 7, .c = 32, .k = 64, .r = 3, .s = 3, .needs_dx = true},
               KERNEL_PAD_SAME);
    bench_dense(b, "digits dense 3136 10", 64, 3136, 10);
    bench_flat(b, "digits cross-entropy", step_xent, 64, 10);
    bench_flat(b, "digits adam", step_adam, 1, 54666);
    network(b, "digits 64", 64);
}

static void others(struct bench *b)
{
    static const struct {
        const char *name;
        struct kernel_conv_desc d;
    } convs[] = {
        {"resnet 56x56x64 k64 3x3", {.n = 8, .h = 56, .w = 56, .c = 64, .k = 64, .r = 3, .s = 3}},
        {"resnet 56x56x64 k256 1x1", {.n = 8, .h = 56, .w = 56, .c = 64, .k = 256, .r = 1, .s = 1}},
        {"resnet 14x14x256 k256 3x3",
         {.n = 8, .h = 14, .w = 14, .c = 256, .k = 256, .r = 3, .s = 3}},
        {"resnet 7x7x512 k512 3x3", {.n = 8, .h = 7, .w = 7, .c = 512, .k = 512, .r = 3, .s = 3}},
        {"resnet 7x7x512 k2048 1x1", {.n = 8, .h = 7, .w = 7, .c = 512, .k = 2048, .r = 1, .s = 1}},
        {"resnet 7x7x2048 k512 1x1", {.n = 8, .h = 7, .w = 7, .c = 2048, .k = 512, .r = 1, .s = 1}},
        {"resnet 56x56x256 k512 1x1 s2",
         {.n = 8, .h = 56, .w = 56, .c = 256, .k = 512, .r = 1, .s = 1, .stride_h = 2}},
        {"resnet20 32x32x16 k16 3x3",
         {.n = 32, .h = 32, .w = 32, .c = 16, .k = 16, .r = 3, .s = 3}},
        {"resnet20 16x16x32 k32 3x3",
         {.n = 32, .h = 16, .w = 16, .c = 32, .k = 32, .r = 3, .s = 3}},
        {"resnet20 8x8x64 k64 3x3", {.n = 32, .h = 8, .w = 8, .c = 64, .k = 64, .r = 3, .s = 3}},
        {"vgg 112x112x64 k128 3x3",
         {.n = 2, .h = 112, .w = 112, .c = 64, .k = 128, .r = 3, .s = 3}},
        {"vgg 28x28x512 k512 3x3", {.n = 2, .h = 28, .w = 28, .c = 512, .k = 512, .r = 3, .s = 3}},
    };
    for (size_t i = 0; i < sizeof(convs) / sizeof(convs[0]); i++) {
        if (!b->only || strstr(convs[i].name, b->only)) {
            struct kernel_conv_desc d = convs[i].d;
            d.needs_dx = true;
            bench_conv(b, convs[i].name, d, KERNEL_PAD_SAME);
        }
    }
    bench_flat(b, "flat adam 1M", step_adam, 1, 1 << 20);
    bench_flat(b, "flat sgd momentum 1M", step_sgd, 1, 1 << 20);
    bench_flat(b, "flat tanh 64k", step_tanh, 1, 1 << 16);
    bench_flat(b, "flat batchnorm 64k x 16", step_norm, 1 << 16, 16);
    bench_flat(b, "flat batchnorm backward 64k x 16", step_norm_back, 1 << 16, 16);
}

int main(int argc, char **argv)
{
    int threads = 1;
    struct bench b = {0};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc) {
            threads = (int)strtol(argv[++i], NULL, 10);
        } else {
            b.only = argv[i];
        }
    }
    kernel_set_threads(threads);
    arena_init(&b.arena);
    for (size_t i = 0; (b.backend = kernel_at(i)); i++) {
        if (strcmp(b.backend->name, "ref") == 0 && !getenv("KBENCH_REF")) {
            continue;
        }
        lenet(&b);
        digits(&b);
        others(&b);
    }
    arena_fini(&b.arena);
    return 0;
}
