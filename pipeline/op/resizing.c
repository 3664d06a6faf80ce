/* resizing - to a given size, as Keras's Resizing. */
#include "pipeline/op_resize.h"

extern const struct op_desc op_resizing;

struct resizing {
    int64_t height, width;
    int interpolation, fill_mode;
    bool crop_to_aspect_ratio, pad_to_aspect_ratio, antialias;
    float fill_value;
};
static const struct opt_name interpolations[] = {
    {"bilinear", RESIZE_BILINEAR},
    {"nearest", RESIZE_NEAREST},
    {"bicubic", RESIZE_BICUBIC},
    {"area", RESIZE_AREA},
    {"lanczos3", RESIZE_LANCZOS3},
    {"lanczos5", RESIZE_LANCZOS5},
    {NULL, 0},
};
static const struct opt_name fill_modes[] = {{"constant", 0}, {NULL, 0}};
static const struct opt options[] = {
    OPT_I64_ROW(resizing, height, 0, 1, 65500, "Rows of the result.", .flags = OPT_REQUIRED,
                .unit = "pixels"),
    OPT_I64_ROW(resizing, width, 0, 1, 65500, "Columns of the result.", .flags = OPT_REQUIRED,
                .unit = "pixels"),
    OPT_ENUM_ROW(resizing, interpolation, RESIZE_BILINEAR, interpolations,
                 "How to read between pixels."),
    OPT_BOOL_ROW(resizing, crop_to_aspect_ratio, false,
                 "Cut the picture to the result's proportions first."),
    OPT_BOOL_ROW(resizing, pad_to_aspect_ratio, false,
                 "Put a margin around the picture to give it the result's proportions."),
    OPT_ENUM_ROW(resizing, fill_mode, 0, fill_modes, "What the margin is made of."),
    OPT_F32_ROW(resizing, fill_value, 0, -1e30, 1e30, "Value of the margin."),
    OPT_BOOL_ROW(resizing, antialias, false, "Widen the kernel when the picture shrinks."),
    OPT_END_ROW,
};

static int init(void *ctx, struct arena *arena, struct err *err)
{
    const struct resizing *k = ctx;
    (void)arena;
    return k->crop_to_aspect_ratio && k->pad_to_aspect_ratio
               ? err_set_at(err, ERR_INVALID, "pad_to_aspect_ratio",
                            "is given together with crop_to_aspect_ratio; one of them")
               : 0;
}

static int check(const void *ctx, const struct op_spec *in, struct op_spec *out, struct err *err)
{
    const struct resizing *k = ctx;
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
    const struct resizing *k = ctx;
    const struct op_resize resize = {.height = k->height,
                                     .width = k->width,
                                     .method = (enum resize_method)k->interpolation,
                                     .antialias = k->antialias,
                                     .crop = k->crop_to_aspect_ratio,
                                     .pad = k->pad_to_aspect_ratio,
                                     .fill_value = k->fill_value};
    (void)params, (void)key;
    return op_resize_run(&resize, in, out, scratch, err);
}

const struct op_desc op_resizing = {
    .name = "Resizing",
    .summary = "Brings pictures of any size to one size; uint8 stays uint8.",
    .options = options,
    .flags = OP_PLANES,
    .ctx_size = sizeof(struct resizing),
    .init = init,
    .check = check,
    .run = run,
};
