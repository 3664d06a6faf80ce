/* op_resize - resizing with the cut or the margin that keeps proportions; what Resizing and
 * CenterCrop share. */
#ifndef PIPELINE_OP_RESIZE_H
#define PIPELINE_OP_RESIZE_H

#include "pipeline/image/resize.h"
#include "pipeline/op.h"

struct op_resize {
    int64_t height, width;
    enum resize_method method;
    bool antialias, crop, pad;
    float fill_value;
};
/* in: an image of uint8 or float32; out gets height x width x channels of the same type. */
int op_resize_run(const struct op_resize *resize, const struct tensor *in, struct tensor *out,
                  struct op_scratch *scratch, struct err *err);

#endif
