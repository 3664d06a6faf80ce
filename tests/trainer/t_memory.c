/* A step allocates nothing; memory is reused between layers; backends agree. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "tests/test.h"
#include "trainer/kernel/kernel.h"
#include "trainer/model.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTS 0
#else
#define COUNTS 1
#endif

static _Thread_local long n_allocations;

#if COUNTS
/* glibc's own, so that the libraries' calls are counted too. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void *malloc(size_t size)
{
    n_allocations++;
    return __libc_malloc(size);
}
void *calloc(size_t n, size_t size)
{
    n_allocations++;
    return __libc_calloc(n, size);
}
void *realloc(void *old, size_t size)
{
    n_allocations++;
    return __libc_realloc(old, size);
}
void *aligned_alloc(size_t alignment, size_t size)
{
    n_allocations++;
    return __libc_memalign(alignment, size);
}
int posix_memalign(void **ret, size_t alignment, size_t size)
{
    n_allocations++;
    *ret = __libc_memalign(alignment, size);
    return *ret ? 0 : 12;
}
#endif

enum { ROWS = 16, SIDE = 14, STEPS = 6 };

static const char *const net =
    "[{\"Rescaling\": {\"scale\": 0.01}},"
    " {\"Conv2D\": {\"filters\": 8, \"kernel_size\": 3, \"padding\": \"same\"}},"
    " \"BatchNormalization\", {\"Activation\": {\"activation\": \"gelu\"}}, {\"MaxPooling2D\": {}},"
    " {\"Conv2D\": {\"filters\": 16, \"kernel_size\": 3, \"activation\": \"relu\"}},"
    " {\"AveragePooling2D\": {\"pool_size\": 2}}, \"Flatten\", {\"Dropout\": {\"rate\": 0.2}},"
    " {\"Dense\": {\"units\": 16, \"activation\": \"relu\"}},"
    " {\"Dense\": {\"units\": 4, \"activation\": \"softmax\"}}]";
static const char *const training =
    "{\"optimizer\": {\"Adam\": {\"learning_rate\": 0.003, \"global_clipnorm\": 1.0}},"
    " \"loss\": \"SparseCategoricalCrossentropy\", \"metrics\": [\"accuracy\", \"ce\"]}";
static const char *const backends[] = {"ref", "blas", "dnnl"};

static struct arena arena;
static unsigned char x[ROWS * SIDE * SIDE];
static int32_t y[ROWS];

static const struct doc *parse(const char *text)
{
    struct doc *doc;
    struct err err;
    ck_assert_int_eq(doc_read_json(text, strlen(text), &doc_limits_default, &arena, &doc, &err), 0);
    return doc;
}

static struct model *make(const char *model, const char *backend)
{
    static const struct model_input in = {"x", DTYPE_U8, {.rank = 3, .d = {SIDE, SIDE, 1}}};
    static const struct model_input label = {"y", DTYPE_I32, {.rank = 0}};
    struct model_options options = {.model = parse(model),
                                    .compile = parse(training),
                                    .inputs = &in,
                                    .n_inputs = 1,
                                    .label = &label,
                                    .batch_rows = ROWS,
                                    .seed = 3,
                                    .backend = backend,
                                    .threads = 1};
    struct model *made;
    struct err err = {0};
    int r = model_compile(&options, &arena, &made, &err);
    ck_assert_msg(r == 0, "%s: %s", err.path, err.text);
    return made;
}

static void draw(int step)
{
    struct rng rng;
    rng_init(&rng, 1, 2, 0, (uint64_t)step);
    for (size_t i = 0; i < sizeof(x); i++) {
        x[i] = (unsigned char)rng_below(&rng, 200);
    }
    for (int r = 0; r < ROWS; r++) {
        y[r] = (int32_t)rng_below(&rng, 4);
    }
}

static double train(struct model *model, int steps)
{
    const void *inputs[] = {x};
    struct err err;
    int r = 0;
    /* check's own assertions allocate: none in the loop. */
    for (int i = 0; i < steps && r == 0; i++) {
        draw(i);
        r = model_train_step(model, inputs, y, NULL, ROWS, &err);
    }
    BUG_ON(r < 0);
    return model_loss_of_step(model);
}

START_TEST(allocates_nothing_in_a_step)
{
    const float *output;
    int64_t width;
    const void *inputs[] = {x};
    struct err err;
    if (!COUNTS || !kernel_find(backends[_i])) {
        return;
    }
    arena_init(&arena);
    struct model *model = make(net, backends[_i]);
    /* Libraries may set themselves up in the first step. */
    (void)train(model, 1);
    (void)model_predict(model, inputs, ROWS, &output, &width, &err);
    long before = n_allocations;
    (void)train(model, STEPS);
    (void)model_test_step(model, inputs, y, ROWS, &err);
    (void)model_predict(model, inputs, 3, &output, &width, &err);
    long after = n_allocations;
    ck_assert_int_eq(after - before, 0);
    model_destroy(model);
    arena_fini(&arena);
}
END_TEST

START_TEST(backends_agree)
{
    arena_init(&arena);
    struct model *ref = make(net, "ref");
    double want = train(ref, STEPS);
    model_destroy(ref);
    for (size_t b = 1; b < sizeof(backends) / sizeof(backends[0]); b++) {
        if (kernel_find(backends[b])) {
            struct model *model = make(net, backends[b]);
            ck_assert_double_eq_tol(train(model, STEPS), want, 1e-4);
            model_destroy(model);
        }
    }
    arena_fini(&arena);
}
END_TEST

static int64_t activations(const char *text)
{
    struct model *model = make(text, "ref");
    struct doc *summary = doc_new(&arena);
    model_summary(model, summary, &arena);
    int64_t bytes = doc_get(doc_get(summary, "memory"), "activations")->i;
    model_destroy(model);
    return bytes;
}

/* Gradients of layers that were passed make room for those before them: each further layer of a
 * chain costs its activation, not its gradient too. */
START_TEST(reuses_memory)
{
    char text[4096] = "[", more[128];
    const char *layer =
        "{\"Conv2D\": {\"filters\": 8, \"kernel_size\": 3, \"padding\": \"same\"}},";
    int64_t bytes[2];
    arena_init(&arena);
    for (int i = 0, n = 0; i < 2; i++) {
        for (; n < (i + 1) * 6; n++) {
            (void)snprintf(more, sizeof(more), "%s", layer);
            size_t used = strlen(text);
            (void)snprintf(text + used, sizeof(text) - used, "%s", more);
        }
        char whole[4400];
        (void)snprintf(whole, sizeof(whole), "%s \"Flatten\", {\"Dense\": {\"units\": 4}}]", text);
        bytes[i] = activations(whole);
    }
    int64_t one = (int64_t)ROWS * SIDE * SIDE * 8 * (int64_t)sizeof(float);
    ck_assert_int_le(bytes[1] - bytes[0], 6 * one + 4096);
    ck_assert_int_ge(bytes[1] - bytes[0], 6 * one - 4096);
    arena_fini(&arena);
}
END_TEST

/* Rows fewer than the greatest batch give what they give alone. */
START_TEST(takes_short_batches)
{
    const float *output;
    int64_t width;
    float whole[ROWS * 4];
    const void *inputs[] = {x};
    struct err err;
    arena_init(&arena);
    struct model *model = make(net, "auto");
    draw(0);
    ck_assert_int_eq(model_predict(model, inputs, ROWS, &output, &width, &err), 0);
    memcpy(whole, output, sizeof(whole));
    ck_assert_int_eq(model_predict(model, inputs, 5, &output, &width, &err), 0);
    for (int i = 0; i < 5 * 4; i++) {
        ck_assert_double_eq_tol((double)output[i], (double)whole[i], 1e-6);
    }
    model_destroy(model);
    arena_fini(&arena);
}
END_TEST

/* Two branches that read one layer: their gradients are added. */
START_TEST(refuses_two_outputs_in_training)
{
    arena_init(&arena);
    struct model *model;
    struct err err = {0};
    static const struct model_input in = {"x", DTYPE_F32, {.rank = 1, .d = {4}}};
    static const struct model_input label = {"y", DTYPE_I32, {.rank = 0}};
    struct model_options options = {
        .model = parse("[{\"Dense\": {\"units\": 4, \"name\": \"a\"}}, {\"Dense\": {\"units\": 2, "
                       "\"inputs\": \"a\"}}, {\"Dense\": {\"units\": 3, \"inputs\": \"a\"}}]"),
        .compile = parse(training),
        .inputs = &in,
        .n_inputs = 1,
        .label = &label,
        .batch_rows = 4,
        .backend = "ref"};
    ck_assert_int_eq(model_compile(&options, &arena, &model, &err), ERR_UNSUPPORTED);
    arena_fini(&arena);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("model memory");
    TCase *tcase = tcase_create("memory");
    tcase_add_loop_test(tcase, allocates_nothing_in_a_step, 0, 3);
    tcase_add_test(tcase, backends_agree);
    tcase_add_test(tcase, reuses_memory);
    tcase_add_test(tcase, takes_short_batches);
    tcase_add_test(tcase, refuses_two_outputs_in_training);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
