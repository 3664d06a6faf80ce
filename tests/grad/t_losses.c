/* Gradients of every loss against finite differences. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "tests/test.h"
#include "trainer/loss/loss.h"
#include "trainer/single.h"

static const struct loss_case {
    const char *loss, *config;
    bool sparse, probabilities;
} cases[] = {
    {"MeanSquaredError", "{}", false, false},
    {"MeanSquaredError", "{\"reduction\": \"sum\"}", false, false},
    {"MeanAbsoluteError", "{}", false, false},
    {"MeanAbsolutePercentageError", "{}", false, false},
    {"MeanSquaredLogarithmicError", "{}", false, true},
    {"Huber", "{\"delta\": 0.7}", false, false},
    {"LogCosh", "{}", false, false},
    {"Poisson", "{}", false, true},
    {"Hinge", "{}", false, false},
    {"SquaredHinge", "{}", false, false},
    {"CategoricalHinge", "{}", false, false},
    {"KLDivergence", "{}", false, true},
    {"CosineSimilarity", "{}", false, false},
    {"BinaryFocalCrossentropy", "{\"apply_class_balancing\": true}", false, true},
    {"BinaryFocalCrossentropy", "{\"from_logits\": true, \"gamma\": 1.5}", false, false},
    {"CategoricalFocalCrossentropy", "{}", false, true},
    {"CategoricalFocalCrossentropy", "{\"from_logits\": true}", false, false},
    {"BinaryCrossentropy", "{}", false, true},
    {"BinaryCrossentropy", "{\"from_logits\": true, \"label_smoothing\": 0.1}", false, false},
    {"CategoricalCrossentropy", "{\"label_smoothing\": 0.1}", false, true},
    {"CategoricalCrossentropy", "{\"from_logits\": true}", false, false},
    {"SparseCategoricalCrossentropy", "{}", true, true},
    {"SparseCategoricalCrossentropy", "{\"from_logits\": true, \"ignore_class\": 1}", true, false},
};
enum { N_CASES = sizeof(cases) / sizeof(cases[0]), ROWS = 4, COLS = 3 };

static struct arena arena;

static double run(const struct loss_case *row, float *pred, float *grad)
{
    static const int64_t labels[ROWS] = {2, 1, 0, 2};
    static const float targets[ROWS * COLS] = {0.2F, 0.5F, 0.3F, 0, 1, 0, 1, 0, 0, 0, 0.3F, 0.7F};
    static const float weights[ROWS] = {1.0F, 0.5F, 2.0F, 0.25F};
    struct tensor y_true = {row->sparse ? DTYPE_I64 : DTYPE_F32,
                            {.rank = row->sparse ? 1 : 2, .d = {ROWS, COLS}},
                            NULL};
    struct tensor y_pred = {DTYPE_F32, {.rank = 2, .d = {ROWS, COLS}}, pred};
    struct tensor weight = {DTYPE_F32, {.rank = 1, .d = {ROWS}}, NULL};
    struct single_loss loss;
    struct doc *config;
    struct err err = {0};
    y_true.data = arena_alloc(&arena, sizeof(labels) + sizeof(targets));
    weight.data = arena_alloc(&arena, sizeof(weights));
    memcpy(y_true.data, row->sparse ? (const void *)labels : (const void *)targets,
           row->sparse ? sizeof(labels) : sizeof(targets));
    /* Parts of labels of 0 are huge, and differences drown in them. */
    for (int i = 0; strcmp(row->loss, "MeanAbsolutePercentageError") == 0 && i < ROWS * COLS; i++) {
        ((float *)y_true.data)[i] += 0.5F;
    }
    memcpy(weight.data, weights, sizeof(weights));
    ck_assert_int_eq(
        doc_read_json(row->config, strlen(row->config), &doc_limits_default, &arena, &config, &err),
        0);
    int r =
        single_loss_run(row->loss, config, &y_true, &y_pred, &weight, "auto", &arena, &loss, &err);
    ck_assert_msg(r == 0, "%s: %s", err.path, err.text);
    if (grad) {
        memcpy(grad, loss.grad, sizeof(float) * ROWS * COLS);
    }
    return loss.value;
}

START_TEST(matches_differences)
{
    const struct loss_case *row = &cases[_i];
    float pred[ROWS * COLS], grad[ROWS * COLS];
    struct rng rng;
    arena_init(&arena);
    rng_init(&rng, 2, 1, 0, 0);
    for (int i = 0; i < ROWS * COLS; i++) {
        pred[i] = row->probabilities ? rng_range(&rng, 0.1F, 0.8F) : rng_range(&rng, -2.0F, 2.0F);
    }
    (void)run(row, pred, grad);
    for (int i = 0; i < ROWS * COLS; i++) {
        float old = pred[i], h = 2e-3F;
        pred[i] = old + h;
        double above = run(row, pred, NULL);
        pred[i] = old - h;
        double below = run(row, pred, NULL);
        pred[i] = old;
        double want = (above - below) / (2.0 * (double)h);
        ck_assert_msg(fabs((double)grad[i] - want) < 5e-3 * (1.0 + fabs(want)),
                      "%s %s: gradient[%d] is %g, differences say %g", row->loss, row->config, i,
                      (double)grad[i], want);
    }
    arena_fini(&arena);
}
END_TEST

/* More classes than fit on a stack: those of no share change nothing. */
START_TEST(takes_many_classes)
{
    enum { MANY = 20000 };
    static const char *const names[] = {"CategoricalCrossentropy", "CategoricalFocalCrossentropy"};
    double values[2][2];
    arena_init(&arena);
    for (size_t i = 0; i < 4; i++) {
        int64_t cols = i % 2 == 0 ? 2 : MANY;
        size_t bytes = (size_t)cols * sizeof(float);
        struct tensor y_true = {DTYPE_F32, {.rank = 2, .d = {1, cols}}, arena_alloc(&arena, bytes)};
        struct tensor y_pred = {DTYPE_F32, {.rank = 2, .d = {1, cols}}, arena_alloc(&arena, bytes)};
        float *truth = y_true.data, *guess = y_pred.data;
        memset(truth, 0, bytes);
        memset(guess, 0, bytes);
        truth[cols - 1] = 1.0F;
        guess[cols - 1] = 0.75F;
        guess[0] = 0.25F;
        struct single_loss loss;
        struct err err = {0};
        struct doc *config;
        ck_assert_int_eq(doc_read_json("{}", 2, &doc_limits_default, &arena, &config, &err), 0);
        int r = single_loss_run(names[i / 2], config, &y_true, &y_pred, NULL, "auto", &arena, &loss,
                                &err);
        ck_assert_msg(r == 0, "%s: %s", err.path, err.text);
        values[i / 2][i % 2] = loss.value;
    }
    for (size_t i = 0; i < 2; i++) {
        ck_assert_double_gt(values[i][0], 0.0);
        ck_assert_double_eq_tol(values[i][1], values[i][0], 1e-6);
    }
    arena_fini(&arena);
}
END_TEST

START_TEST(covers_every_loss)
{
    for (size_t i = 0; loss_at(i); i++) {
        bool found = false;
        for (size_t c = 0; c < N_CASES; c++) {
            found = found || strcmp(cases[c].loss, loss_at(i)->name) == 0;
        }
        ck_assert_msg(found, "no gradient case for %s", loss_at(i)->name);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loss gradients");
    TCase *tcase = tcase_create("losses");
    tcase_add_loop_test(tcase, matches_differences, 0, N_CASES);
    tcase_add_test(tcase, takes_many_classes);
    tcase_add_test(tcase, covers_every_loss);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
