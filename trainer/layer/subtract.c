#include "trainer/layer/layer_merge.h"

static void forward(struct layer *layer, const struct layer_call *call)
{
    layer_merge_forward(LAYER_MERGE_SUBTRACT, layer, call);
}

static void backward(struct layer *layer, const struct layer_call *call)
{
    layer_merge_backward(LAYER_MERGE_SUBTRACT, layer, call);
}

const struct layer_desc layer_subtract = {
    .name = "Subtract",
    .summary = "The first input minus the second.",
    .options = layer_merge_options,
    .size = sizeof(struct layer_merge),
    .min_inputs = 2,
    .max_inputs = 2,
    .infer = layer_merge_infer,
    .forward = forward,
    .backward = backward,
};
