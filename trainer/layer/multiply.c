#include "trainer/layer/layer_merge.h"

static void forward(struct layer *layer, const struct layer_call *call)
{
    layer_merge_forward(LAYER_MERGE_MULTIPLY, layer, call);
}

static void backward(struct layer *layer, const struct layer_call *call)
{
    layer_merge_backward(LAYER_MERGE_MULTIPLY, layer, call);
}

const struct layer_desc layer_multiply = {
    .name = "Multiply",
    .summary = "The product of the inputs.",
    .options = layer_merge_options,
    .size = sizeof(struct layer_merge),
    .min_inputs = 1,
    .max_inputs = LAYER_MERGE_MAX,
    .infer = layer_merge_infer,
    .forward = forward,
    .backward = backward,
};
