#include "trainer/loss/loss.h"

struct mean_squared_error {
    LOSS_FIELDS
};

static const struct opt options[] = {
    LOSS_ROWS(mean_squared_error, "mean_squared_error"),
    OPT_END_ROW,
};

static void run(const void *opaque, const struct loss_call *call)
{
    (void)opaque;
    for (size_t r = 0; r < call->rows; r++) {
        double sum = 0.0;
        float scale = 2.0F * call->scale[r] / (float)call->cols;
        for (size_t c = 0; c < call->cols; c++) {
            size_t i = r * call->cols + c;
            float difference = call->y_pred[i] - call->targets[i];
            sum += (double)difference * (double)difference;
            if (call->grad) {
                call->grad[i] = difference * scale;
            }
        }
        call->values[r] = (float)(sum / (double)call->cols);
    }
}

const struct loss_desc loss_mean_squared_error = {
    .name = "MeanSquaredError",
    .aliases = "mse MSE",
    .summary = "The mean of the squares of the differences.",
    .options = options,
    .size = sizeof(struct mean_squared_error),
    .run = run,
};
