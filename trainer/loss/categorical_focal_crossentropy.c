#include "base/math.h"
#include "trainer/loss/loss.h"

struct categorical_focal_crossentropy {
    LOSS_FIELDS
    double alpha, gamma;
};

static const struct opt options[] = {
    LOSS_ROWS(categorical_focal_crossentropy, "categorical_focal_crossentropy"),
    LOSS_LOGITS_ROW(categorical_focal_crossentropy),
    LOSS_SMOOTHING_ROW(categorical_focal_crossentropy),
    LOSS_AXIS_ROW(categorical_focal_crossentropy),
    OPT_F64_ROW(categorical_focal_crossentropy, alpha, 0.25, 0.0, 1000000000.0,
                "The weight of all."),
    OPT_F64_ROW(categorical_focal_crossentropy, gamma, 2.0, 0.0, 100.0, "How little."),
    OPT_END_ROW,
};

static double power(double x, double exponent)
{
    return x > 0.0 ? math_pow(x, exponent) : (exponent == 0.0 ? 1.0 : 0.0);
}

/* d/dc of alpha (1 - c)^gamma * -t log c, and the value. */
static double term(const struct categorical_focal_crossentropy *o, double c, double t,
                   double *slope)
{
    double factor = o->alpha * power(1.0 - c, o->gamma), log_c = math_log(c);
    double bend = o->gamma > 0.0 ? o->alpha * o->gamma * power(1.0 - c, o->gamma - 1.0) : 0.0;
    *slope = t * (bend * log_c - factor / c);
    return -factor * t * log_c;
}

static void row(const struct categorical_focal_crossentropy *o, const float *p, const float *t,
                size_t cols, float *value, double *grad)
{
    double sum = 0.0, loss = 0.0, pull = 0.0;
    for (size_t c = 0; c < cols; c++) {
        sum += (double)p[c];
    }
    for (size_t c = 0; c < cols; c++) {
        double q = (double)p[c] / sum, low = 1e-7;
        double clipped = q < low ? low : (q > 1.0 - low ? 1.0 - low : q);
        loss += term(o, clipped, (double)t[c], &grad[c]);
        grad[c] = clipped == q ? grad[c] : 0.0;
        pull += grad[c] * q;
    }
    *value = (float)loss;
    for (size_t c = 0; c < cols; c++) {
        grad[c] = (grad[c] - pull) / sum;
    }
}

static void run(const void *opaque, const struct loss_call *call)
{
    double *grad = call->wide;
    const float *p = call->y_pred;
    if (call->from_logits) {
        call->backend->act->rows_forward(KERNEL_ROWS_SOFTMAX, call->rows, call->cols, p,
                                         call->scratch);
        p = call->scratch;
    }
    for (size_t r = 0; r < call->rows; r++) {
        const float *q = p + r * call->cols;
        double pull = 0.0;
        row(opaque, q, call->targets + r * call->cols, call->cols, &call->values[r], grad);
        for (size_t c = 0; call->from_logits && c < call->cols; c++) {
            pull += grad[c] * (double)q[c];
        }
        for (size_t c = 0; call->grad && c < call->cols; c++) {
            double slope = call->from_logits ? (double)q[c] * (grad[c] - pull) : grad[c];
            call->grad[r * call->cols + c] = (float)slope * call->scale[r];
        }
    }
}

const struct loss_desc loss_categorical_focal_crossentropy = {
    .name = "CategoricalFocalCrossentropy",
    .summary = "Cross-entropy in which what is right already counts little.",
    .options = options,
    .size = sizeof(struct categorical_focal_crossentropy),
    .run = run,
};
