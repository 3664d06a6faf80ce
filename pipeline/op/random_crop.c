/* random_crop - a part of a picture, the same part in a whole batch, as Keras's RandomCrop. */
#include <math.h>

#include "pipeline/op_resize.h"

extern const struct op_desc op_random_crop;

struct random_crop {
    int64_t height, width;
};
static const struct opt options[] = {
    OPT_I64_ROW(random_crop, height, 0, 1, 65500, "Rows of the result.", .flags = OPT_REQUIRED,
                .unit = "pixels"),
    OPT_I64_ROW(random_crop, width, 0, 1, 65500, "Columns of the result.", .flags = OPT_REQUIRED,
                .unit = "pixels"),
    OPT_END_ROW,
};
static const struct op_param params[] = {{"h_start", 1}, {"w_start", 1}, {NULL, 0}};

static int check(const void *ctx, const struct op_spec *in, struct op_spec *out, struct err *err)
{
    const struct random_crop *k = ctx;
    int r = op_check_image(in, err);
    if (r < 0) {
        return r;
    }
    *out = *in;
    out->shape.d[0] = k->height;
    out->shape.d[1] = k->width;
    return 0;
}

static int64_t middle(int64_t size, int64_t other, int64_t wanted, int64_t other_wanted)
{
    int64_t cut = (int64_t)((float)(other * wanted) / (float)other_wanted);
    cut = cut < 1 ? 1 : cut < size ? cut : size;
    return (int64_t)((float)(size - cut) / 2);
}

static void draw(const void *ctx, const struct op_spec *in, struct rng *rng, float *drawn)
{
    const struct random_crop *k = ctx;
    const int64_t height = in->shape.d[0], width = in->shape.d[1];
    const float y = rng_f32(rng), x = rng_f32(rng);
    if (height > k->height && width > k->width) {
        drawn[0] = truncf(y * (float)(height - k->height + 1));
        drawn[1] = truncf(x * (float)(width - k->width + 1));
    } else {
        drawn[0] = (float)middle(height, width, k->height, k->width);
        drawn[1] = (float)middle(width, height, k->width, k->height);
    }
}

static int64_t at_most(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* The part that lies inside; a smaller one than asked for is enlarged. */
static int run(const void *ctx, const float *drawn, const struct op_key *key,
               const struct tensor *in, struct tensor *out, struct op_scratch *scratch,
               struct err *err)
{
    const struct random_crop *k = ctx;
    const int64_t height = in->shape.d[0], width = in->shape.d[1], channels = in->shape.d[2];
    const int64_t top = at_most((int64_t)drawn[0], height - 1);
    const int64_t left = at_most((int64_t)drawn[1], width - 1);
    const struct resize_image part = {.dtype = in->dtype,
                                      .height = at_most(k->height, height - top),
                                      .width = at_most(k->width, width - left),
                                      .channels = channels,
                                      .stride = width * channels,
                                      .data = (const unsigned char *)in->data +
                                              (size_t)((top * width + left) * channels) *
                                                  dtype_bytes(in->dtype)};
    const size_t bytes = resize_scratch(&part, k->height, k->width, RESIZE_BILINEAR, false);
    (void)key;
    if (bytes == 0) {
        return err_set(err, ERR_LIMIT, "is too large to be resized");
    }
    resize_run(&part, k->height, k->width, RESIZE_BILINEAR, false, op_scratch_need(scratch, bytes),
               out->data, k->width * channels);
    return 0;
}

const struct op_desc op_random_crop = {
    .name = "RandomCrop",
    .summary = "Cuts the same random part out of all pictures of a batch.",
    .options = options,
    .ctx_size = sizeof(struct random_crop),
    .flags = OP_RANDOM | OP_BATCH,
    .params = params,
    .check = check,
    .draw = draw,
    .run = run,
};
