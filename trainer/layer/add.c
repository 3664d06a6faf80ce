#include "trainer/layer/layer_merge.h"

static void forward(struct layer *layer, const struct layer_call *call)
{
    layer_merge_forward(LAYER_MERGE_ADD, layer, call);
}

static void backward(struct layer *layer, const struct layer_call *call)
{
    layer_merge_backward(LAYER_MERGE_ADD, layer, call);
}

const struct layer_desc layer_add = {
    .name = "Add",
    .summary = "The sum of the inputs.",
    .options = layer_merge_options,
    .size = sizeof(struct layer_merge),
    .min_inputs = 1,
    .max_inputs = LAYER_MERGE_MAX,
    .infer = layer_merge_infer,
    .takes = layer_merge_takes,
    .forward = forward,
    .backward = backward,
};
