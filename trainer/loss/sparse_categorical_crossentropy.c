#include "base/math.h"
#include "trainer/loss/loss.h"

struct sparse_categorical_crossentropy {
    LOSS_FIELDS
};

static const struct opt options[] = {
    LOSS_ROWS(sparse_categorical_crossentropy, "sparse_categorical_crossentropy"),
    LOSS_LOGITS_ROW(sparse_categorical_crossentropy),
    OPT_I64_ROW(sparse_categorical_crossentropy, ignore_class, LOSS_NO_CLASS, -OPT_I64_MAX,
                OPT_I64_MAX, "A class number whose rows do not count.", .flags = OPT_NULLABLE),
    LOSS_AXIS_ROW(sparse_categorical_crossentropy),
    OPT_END_ROW,
};

static const float low = 1e-7F;

static void run(const void *opaque, const struct loss_call *call)
{
    (void)opaque;
    struct kernel_xent_args args = {
        .rows = call->rows,
        .cols = call->cols,
        .logits = call->y_pred,
        .labels = call->labels,
        .scale = call->scale,
        .loss = call->values,
        .dlogits = call->grad,
    };
    if (call->from_logits) {
        call->backend->act->xent(&args);
        return;
    }
    /* Probabilities: clipped, then the softmax of their logarithms, which divides by their sum. */
    size_t count = call->rows * call->cols;
    call->backend->vec->clip(count, low, 1.0F - low, call->y_pred, call->scratch);
    for (size_t i = 0; i < count; i++) {
        call->scratch[i] = (float)math_log((double)call->scratch[i]);
    }
    args.logits = call->scratch;
    call->backend->act->xent(&args);
    for (size_t i = 0; call->grad && i < count; i++) {
        float p = call->y_pred[i];
        call->grad[i] = p >= low && p <= 1.0F - low ? call->grad[i] / p : 0.0F;
    }
}

const struct loss_desc loss_sparse_categorical_crossentropy = {
    .name = "SparseCategoricalCrossentropy",
    .summary = "Cross-entropy between class numbers and probabilities of classes.",
    .options = options,
    .size = sizeof(struct sparse_categorical_crossentropy),
    .sparse = true,
    .head = LOSS_HEAD_SOFTMAX,
    .run = run,
};
