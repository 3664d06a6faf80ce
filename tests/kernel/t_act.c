/* Activations, softmax, cross-entropy: every backend against ref, in place, slopes against
 * differences. */
#include "tests/kernel/ktest.h"

#include <math.h>
#include <string.h>

static struct kernel_act act_of(int kind)
{
    struct kernel_act act = kernel_act_row((enum kernel_act_kind)kind)->defaults;
    if (kind == KERNEL_ACT_RELU_GENERAL) {
        act.alpha = 0.1F;
        act.max_value = 0.75F;
        act.threshold = 0.25F;
    }
    return act;
}

START_TEST(test_names)
{
    ck_assert_ptr_eq(kernel_act_find("swish"), kernel_act_row(KERNEL_ACT_SILU));
    ck_assert_ptr_eq(kernel_act_find("relu"), kernel_act_row(KERNEL_ACT_RELU));
    ck_assert_ptr_null(kernel_act_find("rleu"));
    for (int i = 0; i < KERNEL_ACT_MAX_; i++) {
        ck_assert_int_eq((int)kernel_act_row((enum kernel_act_kind)i)->defaults.kind, i);
    }
}
END_TEST

/* Values from -12 to 12, zeros, huge ones, infinities and NaN. */
static float *inputs(struct ktest *k, size_t n)
{
    float *x = ktest_random(k, n);
    static const float special[] = {0.0F, -0.0F, 1e-8F, -1e-8F, 50.0F, -50.0F,
                                    3.0F, -3.0F, 6.0F,  1.0F,   -1.0F, 0.5F};
    for (size_t i = 0; i < n; i++) {
        x[i] = i < sizeof(special) / sizeof(special[0]) ? special[i] : x[i] * 12.0F;
    }
    return x;
}

START_TEST(test_elementwise)
{
    struct kernel_act act = act_of(_i);
    const char *name = kernel_act_row(act.kind)->name;
    const struct kernel_backend *backend;
    struct ktest k;
    ktest_init(&k, (uint64_t)_i);
    for (size_t n = 12; n < 40; n++) {
        float *x = inputs(&k, n);
        float *dy = ktest_random(&k, n);
        float *want_y = ktest_floats(&k, n);
        float *want_dx = ktest_floats(&k, n);
        kernel_find("ref")->act->forward(&act, n, x, want_y);
        kernel_find("ref")->act->backward(&act, n, x, want_y, dy, want_dx);
        for (size_t i = 0; (backend = kernel_at(i)); i++) {
            float *y = ktest_copy(&k, x, n);
            float *dx = ktest_copy(&k, dy, n);
            backend->act->forward(&act, n, y, y);
            backend->act->backward(&act, n, x, y, dx, dx);
            for (size_t j = 0; j < n; j++) {
                double scale = fabs((double)want_y[j]) * 1e-6 + 1e-7;
                double scale_dx = (fabs((double)want_dx[j]) + fabs((double)dy[j])) * 2e-6 + 1e-7;
                if (fabs((double)y[j] - (double)want_y[j]) > scale ||
                    fabs((double)dx[j] - (double)want_dx[j]) > scale_dx) {
                    ck_abort_msg("%s %s(%.9g) = %.9g instead of %.9g, slope %.9g instead of %.9g",
                                 backend->name, name, (double)x[j], (double)y[j], (double)want_y[j],
                                 (double)dx[j], (double)want_dx[j]);
                }
            }
        }
    }
    ktest_fini(&k);
}
END_TEST

/* The slope is that of the value, away from kinks. */
START_TEST(test_slopes)
{
    struct kernel_act act = act_of(_i);
    const struct kernel_act_ops *ops = kernel_find("ref")->act;
    for (float x = -4.97F; x < 5.0F; x += 0.1F) {
        float step = 0x1p-8F;
        float in[3] = {x - step, x, x + step};
        float y[3];
        float dx;
        float one = 1.0F;
        ops->forward(&act, 3, in, y);
        ops->backward(&act, 1, &in[1], &y[1], &one, &dx);
        double slope = ((double)y[2] - (double)y[0]) / ((double)in[2] - (double)in[0]);
        if (fabs(slope - (double)dx) > 1e-3 * (1.0 + fabs(slope))) {
            ck_abort_msg("%s at %g: slope %g, differences %g", kernel_act_row(act.kind)->name,
                         (double)x, (double)dx, slope);
        }
    }
}
END_TEST

START_TEST(test_special)
{
    float x[9] = {INFINITY, -INFINITY, NAN, 88.9F, -104.5F, 1e30F, -1e30F, 0.0F, 1.0F};
    float want[9];
    const struct kernel_backend *backend;
    struct kernel_act act = act_of(_i);
    kernel_find("ref")->act->forward(&act, 9, x, want);
    ck_assert(isnan(want[2]));
    for (size_t i = 0; (backend = kernel_at(i)); i++) {
        float y[9];
        backend->act->forward(&act, 9, x, y);
        for (int j = 0; j < 9; j++) {
            bool same =
                (isnan(y[j]) && isnan(want[j])) || y[j] == want[j] ||
                fabs((double)y[j] - (double)want[j]) <= 1e-6 * (1.0 + fabs((double)want[j]));
            if (!same) {
                ck_abort_msg("%s %s(%g) = %g instead of %g", backend->name,
                             kernel_act_row(act.kind)->name, (double)x[j], (double)y[j],
                             (double)want[j]);
            }
        }
    }
}
END_TEST

START_TEST(test_rows)
{
    const struct kernel_backend *backend;
    struct ktest k;
    ktest_init(&k, (uint64_t)_i);
    for (int round = 0; round < 20; round++) {
        size_t rows = (size_t)ktest_int(&k, 1, 9);
        size_t cols = (size_t)ktest_int(&k, 1, 33);
        size_t n = rows * cols;
        float *x = ktest_random(&k, n);
        for (size_t i = 0; i < n; i++) {
            x[i] *= round % 3 == 0 ? 40.0F : 3.0F;
        }
        float *dy = ktest_random(&k, n);
        enum kernel_rows_kind kind = (enum kernel_rows_kind)_i;
        float *want_y = ktest_floats(&k, n);
        float *want_dx = ktest_floats(&k, n);
        kernel_find("ref")->act->rows_forward(kind, rows, cols, x, want_y);
        kernel_find("ref")->act->rows_backward(kind, rows, cols, want_y, dy, want_dx);
        for (size_t r = 0; r < rows && kind == KERNEL_ROWS_SOFTMAX; r++) {
            ck_assert_double_eq_tol(kernel_find("ref")->vec->sum(cols, want_y + r * cols), 1.0,
                                    1e-5);
        }
        for (size_t i = 0; (backend = kernel_at(i)); i++) {
            float *y = ktest_copy(&k, x, n);
            float *dx = ktest_copy(&k, dy, n);
            backend->act->rows_forward(kind, rows, cols, y, y);
            backend->act->rows_backward(kind, rows, cols, y, dx, dx);
            ktest_near("rows y", n, y, want_y, 2e-6);
            ktest_near("rows dx", n, dx, want_dx, 1e-5);
        }
    }
    ktest_fini(&k);
}
END_TEST

/* Keras 3.15's answer for one row (golden case act_sparsemax): seven equal ones give nothing. */
START_TEST(test_sparsemax)
{
    const struct kernel_backend *backend;
    float x[7] = {3, 3, 3, 3, 3, 3, 3};
    float far[3] = {0, 5, 1};
    float dy[3] = {1, 2, 3};
    float y[7];
    for (size_t i = 0; (backend = kernel_at(i)); i++) {
        backend->act->rows_forward(KERNEL_ROWS_SPARSEMAX, 1, 7, x, y);
        for (int j = 0; j < 7; j++) {
            ck_assert(y[j] == 0.0F);
        }
        backend->act->rows_forward(KERNEL_ROWS_SPARSEMAX, 1, 3, far, y);
        ck_assert(y[0] == 0.0F && y[1] == 1.0F && y[2] == 0.0F);
        backend->act->sparsemax_backward(1, 3, far, dy, y);
        ck_assert(y[0] == 0.0F && y[1] == 0.0F && y[2] == 0.0F);
    }
}
END_TEST

START_TEST(test_xent)
{
    const struct kernel_backend *backend;
    struct ktest k;
    ktest_init(&k, (uint64_t)_i);
    size_t rows = (size_t)ktest_int(&k, 1, 20);
    size_t cols = (size_t)ktest_int(&k, 1, 30);
    size_t n = rows * cols;
    float *logits = ktest_random(&k, n);
    float *targets = ktest_random(&k, n);
    float *scale = ktest_random(&k, rows);
    int32_t *labels = ktest_scratch(&k, rows * sizeof(*labels));
    for (size_t r = 0; r < rows; r++) {
        labels[r] = ktest_int(&k, -1, (int)cols - 1);
    }
    for (size_t i = 0; i < n; i++) {
        targets[i] = fabsf(targets[i]);
        logits[i] *= 20.0F;
    }
    struct kernel_xent_args args = {
        .rows = rows, .cols = cols, .logits = logits, .labels = labels, .scale = scale};
    if (_i % 2) {
        args.targets = targets;
    }
    float *want_loss = args.loss = ktest_floats(&k, rows);
    float *want_probs = args.probs = ktest_floats(&k, n);
    float *want_grad = args.dlogits = ktest_floats(&k, n);
    kernel_find("ref")->act->xent(&args);
    for (size_t i = 0; (backend = kernel_at(i)); i++) {
        args.loss = ktest_floats(&k, rows);
        args.probs = ktest_floats(&k, n);
        float *in_place = ktest_copy(&k, logits, n);
        args.logits = args.dlogits = in_place;
        backend->act->xent(&args);
        args.logits = logits;
        ktest_near("loss", rows, args.loss, want_loss, 1e-6);
        ktest_near("probs", n, args.probs, want_probs, 1e-6);
        ktest_near("dlogits", n, in_place, want_grad, 2e-6);
    }
    ktest_fini(&k);
}
END_TEST

int main(void)
{
    kernel_set_threads(1);
    Suite *suite = suite_create("kernel act");
    TCase *tc = tcase_create("act");
    tcase_add_test(tc, test_names);
    tcase_add_loop_test(tc, test_elementwise, 0, KERNEL_ACT_MAX_);
    tcase_add_loop_test(tc, test_slopes, 0, KERNEL_ACT_MAX_);
    tcase_add_loop_test(tc, test_special, 0, KERNEL_ACT_MAX_);
    tcase_add_loop_test(tc, test_rows, 0, KERNEL_ROWS_SPARSEMAX);
    tcase_add_test(tc, test_sparsemax);
    tcase_add_loop_test(tc, test_xent, 0, 20);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
