/* center_crop - the middle of a picture, as Keras's CenterCrop. */
#include <string.h>

#include "pipeline/op_resize.h"

extern const struct op_desc op_center_crop;

struct center_crop {
    int64_t height, width;
};
static const struct opt options[] = {
    OPT_I64_ROW(center_crop, height, 0, 1, 65500, "Rows of the result.", .flags = OPT_REQUIRED,
                .unit = "pixels"),
    OPT_I64_ROW(center_crop, width, 0, 1, 65500, "Columns of the result.", .flags = OPT_REQUIRED,
                .unit = "pixels"),
    OPT_END_ROW,
};

static int check(const void *ctx, const struct op_spec *in, struct op_spec *out, struct err *err)
{
    const struct center_crop *k = ctx;
    int r = op_check_image(in, err);
    if (r < 0) {
        return r;
    }
    *out = *in;
    out->shape.d[0] = k->height;
    out->shape.d[1] = k->width;
    return 0;
}

static int run(const void *ctx, const float *params, const struct op_key *key,
               const struct tensor *in, struct tensor *out, struct op_scratch *scratch,
               struct err *err)
{
    const struct center_crop *k = ctx;
    const int64_t height = in->shape.d[0], width = in->shape.d[1];
    (void)params, (void)key;
    if (height < k->height || width < k->width) {
        /* Too small anywhere: cut to the proportions and enlarge all of it. */
        const struct op_resize resize = {
            .height = k->height, .width = k->width, .method = RESIZE_BILINEAR, .crop = true};
        return op_resize_run(&resize, in, out, scratch, err);
    }
    const size_t pixel = (size_t)in->shape.d[2] * dtype_bytes(in->dtype),
                 row = (size_t)k->width * pixel;
    const int64_t top = (height - k->height) / 2, left = (width - k->width) / 2;
    for (int64_t y = 0; y < k->height; y++) {
        memcpy((unsigned char *)out->data + (size_t)y * row,
               (const unsigned char *)in->data + (size_t)((top + y) * width + left) * pixel, row);
    }
    return 0;
}

const struct op_desc op_center_crop = {
    .name = "CenterCrop",
    .summary =
        "Cuts out the middle; a picture that is too small is cut to the proportions and enlarged.",
    .options = options,
    .flags = OP_PLANES,
    .ctx_size = sizeof(struct center_crop),
    .check = check,
    .run = run,
};
