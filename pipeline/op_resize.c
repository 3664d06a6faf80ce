#include "pipeline/op_resize.h"

#include <math.h>
#include <string.h>

static int64_t at_least(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t at_most(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Keras computes both in float32 and cuts the fraction off. */
static void proportional(const struct op_resize *k, const struct resize_image *in,
                         int64_t *ret_height, int64_t *ret_width)
{
    *ret_height = (int64_t)((float)(in->width * k->height) / (float)k->width);
    *ret_width = (int64_t)((float)(in->height * k->width) / (float)k->height);
}

static void crop(const struct op_resize *k, struct resize_image *in)
{
    int64_t height, width;
    proportional(k, in, &height, &width);
    height = at_least(at_most(in->height, height), 1);
    width = at_least(at_most(in->width, width), 1);
    const int64_t top = (int64_t)((float)(in->height - height) / 2),
                  left = (int64_t)((float)(in->width - width) / 2);
    in->data = (const unsigned char *)in->data +
               (size_t)(top * in->stride + left * in->channels) * dtype_bytes(in->dtype);
    in->height = height;
    in->width = width;
}

static void fill(const struct op_resize *k, const struct resize_image *in, void *to, int64_t n)
{
    if (in->dtype == DTYPE_U8) {
        const float v = k->fill_value > 0 ? k->fill_value : 0;
        memset(to, v < 255 ? (int)v : 255, (size_t)n);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        ((float *)to)[i] = k->fill_value;
    }
}

/* The size with a margin that gives the target's proportions; the same margin on both sides. */
static void padded_size(const struct op_resize *k, const struct resize_image *in,
                        int64_t *ret_height, int64_t *ret_width)
{
    proportional(k, in, ret_height, ret_width);
    const int64_t top = (int64_t)((float)(at_least(*ret_height, in->height) - in->height) / 2);
    const int64_t left = (int64_t)((float)(at_least(*ret_width, in->width) - in->width) / 2);
    *ret_height = in->height + 2 * top;
    *ret_width = in->width + 2 * left;
}

static void pad(const struct op_resize *k, struct resize_image *in, int64_t height, int64_t width,
                unsigned char *to)
{
    const size_t each = dtype_bytes(in->dtype);
    const int64_t top = (height - in->height) / 2, left = (width - in->width) / 2;
    fill(k, in, to, height * width * in->channels);
    for (int64_t y = 0; y < in->height; y++) {
        memcpy(to + (size_t)(((top + y) * width + left) * in->channels) * each,
               (const unsigned char *)in->data + (size_t)(y * in->stride) * each,
               (size_t)(in->width * in->channels) * each);
    }
    in->data = to;
    in->height = height;
    in->width = width;
    in->stride = width * in->channels;
}

int op_resize_run(const struct op_resize *k, const struct tensor *x, struct tensor *out,
                  struct op_scratch *scratch, struct err *err)
{
    struct resize_image in = {.dtype = x->dtype,
                              .height = x->shape.d[0],
                              .width = x->shape.d[1],
                              .channels = x->shape.d[2],
                              .stride = x->shape.d[1] * x->shape.d[2],
                              .data = x->data};
    int64_t height = in.height, width = in.width;
    size_t margin = 0;
    if (k->crop) {
        crop(k, &in);
    } else if (k->pad) {
        padded_size(k, &in, &height, &width);
        if (height > 1 << 24 || width > 1 << 24 || height * width > (int64_t)1 << 28) {
            return err_set(err, ERR_LIMIT, "its proportions make a margin of %lld x %lld pixels",
                           (long long)height, (long long)width);
        }
        margin = ((size_t)(height * width * in.channels) * dtype_bytes(in.dtype) + 63) / 64 * 64;
    }
    struct resize_image sized = in;
    sized.height = k->pad ? height : in.height;
    sized.width = k->pad ? width : in.width;
    const size_t bytes = resize_scratch(&sized, k->height, k->width, k->method, k->antialias);
    if (bytes == 0 || bytes > (size_t)1 << 32) {
        return err_set(err, ERR_LIMIT, "is too large to be resized");
    }
    unsigned char *memory = op_scratch_need(scratch, margin + bytes);
    if (k->pad) {
        pad(k, &in, height, width, memory);
    }
    resize_run(&in, k->height, k->width, k->method, k->antialias, memory + margin, out->data,
               k->width * in.channels);
    return 0;
}
