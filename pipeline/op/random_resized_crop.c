/* random_resized_crop - a part of a picture, of a drawn size and place, brought to one size: the
 * law of torchvision's RandomResizedCrop, with Keras's names for the size. */
#include <math.h>

#include "base/math.h"
#include "pipeline/image/resize.h"
#include "pipeline/op.h"

extern const struct op_desc op_random_resized_crop;

enum { TRIES = 10 };

struct random_resized_crop {
    int64_t height, width;
    struct opt_ints size;
    struct opt_floats scale, ratio;
    int interpolation;
    bool antialias;
    int64_t shrink;
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
static const struct opt options[] = {
    OPT_I64_ROW(random_resized_crop, height, 0, 0, 65500, "Rows of the result; 0: as size says.",
                .flags = OPT_NULLABLE, .unit = "pixels"),
    OPT_I64_ROW(random_resized_crop, width, 0, 0, 65500, "Columns of the result; 0: as size says.",
                .flags = OPT_NULLABLE, .unit = "pixels"),
    OPT_INTS_ROW(random_resized_crop, size, NULL, 2, 2, 1, 65500,
                 "Height and width in one, or the side of a square.", .flags = OPT_NULLABLE,
                 .unit = "pixels"),
    OPT_FLOATS_ROW(random_resized_crop, scale, "[0.08,1]", 2, 2, 1e-9, 1e9,
                   "Bounds of the part's area, as a share of the picture's."),
    OPT_FLOATS_ROW(random_resized_crop, ratio, "[0.75,1.3333333333333333]", 2, 2, 1e-9, 1e9,
                   "Bounds of the part's width by its height; its logarithm is uniform."),
    OPT_ENUM_ROW(random_resized_crop, interpolation, RESIZE_BILINEAR, interpolations,
                 "How to read between pixels."),
    OPT_BOOL_ROW(random_resized_crop, antialias, true, "Widen the kernel when the part shrinks."),
    OPT_I64_ROW(random_resized_crop, shrink, 2, 1, 8,
                "A JPEG may be decoded to one pixel of this many a side (1, 2, 4, 8) where the "
                "part is at least so many times as large as the result and antialias is true; "
                "`exact: true` of the map is 1."),
    OPT_END_ROW,
};
static const struct op_param params[] = {
    {"top", 1}, {"left", 1}, {"height", 1}, {"width", 1}, {NULL, 0}};

static int check_pair(const struct opt_floats *pair, const char *row, struct err *err)
{
    return pair->v[0] <= pair->v[1]
               ? 0
               : err_set_at(err, ERR_INVALID, row, "begins with %g, above its end %g", pair->v[0],
                            pair->v[1]);
}

static int init(void *ctx, struct arena *arena, struct err *err)
{
    struct random_resized_crop *k = ctx;
    (void)arena;
    const bool has_sides = k->height > 0 || k->width > 0;
    if (has_sides && k->size.n > 0) {
        return err_set_at(err, ERR_INVALID, "size",
                          "is given together with height and width; one of them");
    }
    if (k->size.n > 0) {
        k->height = k->size.v[0];
        k->width = k->size.v[1];
    }
    if (k->height == 0 || k->width == 0) {
        return err_set_at(err, ERR_MISSING,
                          k->width > 0 ? "height"
                          : has_sides  ? "width"
                                       : "size",
                          "is needed: the size of the result");
    }
    if ((k->shrink & (k->shrink - 1)) != 0) {
        return err_set_at(err, ERR_INVALID, "shrink", "is %lld; 1, 2, 4 or 8",
                          (long long)k->shrink);
    }
    int r = check_pair(&k->scale, "scale", err);
    return r < 0 ? r : check_pair(&k->ratio, "ratio", err);
}

static int check(const void *ctx, const struct op_spec *in, struct op_spec *out, struct err *err)
{
    const struct random_resized_crop *k = ctx;
    int r = op_check_image(in, err);
    if (r < 0) {
        return r;
    }
    *out = *in;
    out->shape.d[0] = k->height;
    out->shape.d[1] = k->width;
    return 0;
}

static void put(double height, double width, int64_t top, int64_t left, float *drawn)
{
    drawn[0] = (float)top;
    drawn[1] = (float)left;
    drawn[2] = (float)height;
    drawn[3] = (float)width;
}

/* No part fitted: the largest one in the middle whose proportions are allowed. */
static void fall_back(const struct random_resized_crop *k, int64_t height, int64_t width,
                      float *drawn)
{
    const double ratio = (double)width / (double)height;
    double h = (double)height, w = (double)width;
    if (ratio < k->ratio.v[0]) {
        h = rint(w / k->ratio.v[0]);
    } else if (ratio > k->ratio.v[1]) {
        w = rint(h * k->ratio.v[1]);
    }
    h = h < 1 ? 1 : h;
    w = w < 1 ? 1 : w;
    put(h, w, (height - (int64_t)h) / 2, (width - (int64_t)w) / 2, drawn);
}

static void draw(const void *ctx, const struct op_spec *in, struct rng *rng, float *drawn)
{
    const struct random_resized_crop *k = ctx;
    const int64_t height = in->shape.d[0], width = in->shape.d[1];
    const double area = (double)height * (double)width, low = math_log(k->ratio.v[0]),
                 high = math_log(k->ratio.v[1]);
    for (int i = 0; i < TRIES; i++) {
        const double part = area * (k->scale.v[0] + (k->scale.v[1] - k->scale.v[0]) * rng_f64(rng));
        const double ratio = math_exp(low + (high - low) * rng_f64(rng));
        const double w = rint(sqrt(part * ratio)), h = rint(sqrt(part / ratio));
        if (w >= 1 && h >= 1 && w <= (double)width && h <= (double)height) {
            const int64_t top = (int64_t)rng_below(rng, (uint64_t)(height - (int64_t)h + 1)),
                          left = (int64_t)rng_below(rng, (uint64_t)(width - (int64_t)w + 1));
            put(h, w, top, left, drawn);
            return;
        }
    }
    fall_back(k, height, width, drawn);
}

static void still(const void *ctx, const struct op_spec *in, float *drawn)
{
    (void)ctx;
    put((double)in->shape.d[0], (double)in->shape.d[1], 0, 0, drawn);
}

static int64_t at_most(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Parameters may be given, too: what they say is brought inside the picture. */
static void look(const void *ctx, const float *drawn, const struct op_spec *in,
                 struct look_area *ret)
{
    const struct random_resized_crop *k = ctx;
    const int64_t height = in->shape.d[0], width = in->shape.d[1];
    *ret = (struct look_area){.top = at_most((int64_t)drawn[0], height - 1),
                              .left = at_most((int64_t)drawn[1], width - 1),
                              .shrink = 1};
    ret->height = at_most((int64_t)drawn[2], height - ret->top);
    ret->width = at_most((int64_t)drawn[3], width - ret->left);
    while (k->antialias && k->interpolation != RESIZE_NEAREST && 2 * ret->shrink <= k->shrink &&
           ret->height >= 2 * ret->shrink * k->height && ret->width >= 2 * ret->shrink * k->width) {
        ret->shrink *= 2;
    }
}

/* The pixels of one axis that the part reaches into. */
static void reach(int64_t at, int64_t n, int64_t corner, int shrink, int64_t size,
                  int64_t *ret_first, int64_t *ret_n)
{
    *ret_first = (at - corner) / shrink;
    *ret_n = at_most((at - corner + n - 1) / shrink + 1, size) - *ret_first;
}

static int run_part(const void *ctx, const float *drawn, const struct look_part *part,
                    const struct tensor *x, struct tensor *out, struct op_scratch *scratch,
                    struct err *err)
{
    const struct random_resized_crop *k = ctx;
    const struct op_spec whole = op_whole(x, part);
    const int shrink = part->height > 0 ? part->shrink : 1;
    const float by = 1 / (float)shrink;
    const int64_t channels = x->shape.d[2];
    struct look_area at;
    int64_t top, left;
    look(ctx, drawn, &whole, &at);
    struct resize_image in = {
        .dtype = x->dtype, .channels = channels, .stride = x->shape.d[1] * channels};
    reach(at.top, at.height, part->top, shrink, x->shape.d[0], &top, &in.height);
    reach(at.left, at.width, part->left, shrink, x->shape.d[1], &left, &in.width);
    in.data = (const unsigned char *)x->data +
              (size_t)(top * in.stride + left * channels) * dtype_bytes(x->dtype);
    const enum resize_method method = (enum resize_method)k->interpolation;
    const size_t bytes = resize_scratch(&in, k->height, k->width, method, k->antialias);
    if (bytes == 0 || bytes > (size_t)1 << 32) {
        return err_set(err, ERR_LIMIT, "is too large to be resized");
    }
    void *memory = op_scratch_need(scratch, bytes);
    if (shrink == 1) {
        resize_run(&in, k->height, k->width, method, k->antialias, memory, out->data,
                   k->width * channels);
        return 0;
    }
    const struct resize_box box = {(float)(at.top - part->top - top * shrink) * by,
                                   (float)(at.left - part->left - left * shrink) * by,
                                   (float)at.height * by, (float)at.width * by};
    resize_box_run(&in, &box, k->height, k->width, method, k->antialias, memory, out->data,
                   k->width * channels);
    return 0;
}

const struct op_desc op_random_resized_crop = {
    .name = "RandomResizedCrop",
    .summary =
        "Cuts a part of random size, proportions and place out of a picture and brings it to "
        "one size, as torchvision's: up to ten draws until one fits, else the largest part "
        "in the middle with the nearest proportions. In validation and predictions it "
        "resizes the whole picture. A JPEG is decoded only where the part is.",
    .options = options,
    .ctx_size = sizeof(struct random_resized_crop),
    .flags = OP_RANDOM,
    .params = params,
    .init = init,
    .check = check,
    .draw = draw,
    .still = still,
    .look = look,
    .run_part = run_part,
};
