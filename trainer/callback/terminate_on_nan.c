#include "trainer/callback/callback.h"

struct terminate_on_nan {
    char none;
};

static const struct opt options[] = {
    OPT_END_ROW,
};

const struct callback_desc callback_terminate_on_nan = {
    .name = "TerminateOnNaN",
    .summary = "Always on: a loss or a gradient that is not finite ends the job, names the step, "
               "and the weights before it stay.",
    .options = options,
    .size = sizeof(struct terminate_on_nan),
};
