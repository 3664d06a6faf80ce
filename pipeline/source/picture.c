#include "pipeline/source/picture.h"

#include <string.h>

const struct opt_name picture_colours[] = {
    {"auto", PICTURE_AUTO},
    {"grayscale", PICTURE_GREY},
    {"rgb", PICTURE_RGB},
    {"rgba", PICTURE_RGBA},
    {NULL, 0},
};
const struct opt_name picture_methods[] = {
    {"bilinear", RESIZE_BILINEAR},
    {"nearest", RESIZE_NEAREST},
    {"bicubic", RESIZE_BICUBIC},
    {"area", RESIZE_AREA},
    {"lanczos3", RESIZE_LANCZOS3},
    {"lanczos5", RESIZE_LANCZOS5},
    {"gaussian", RESIZE_GAUSSIAN},
    {"mitchellcubic", RESIZE_MITCHELLCUBIC},
    {NULL, 0},
};

int picture_init(struct picture *k, const struct picture_options *options, const char *kind,
                 struct err *err)
{
    const bool crops = options->crop_to_aspect_ratio, pads = options->pad_to_aspect_ratio;
    const char *name = crops ? "crop_to_aspect_ratio" : "pad_to_aspect_ratio";
    int r = 0;
    *k = (struct picture){.options = options, .channels = options->color_mode};
    if (crops && pads) {
        r = err_set_at(err, ERR_INVALID, "pad_to_aspect_ratio",
                       "is given together with crop_to_aspect_ratio; one of them");
    } else if ((crops || pads) && options->image_size.n == 0) {
        r = err_set_at(err, ERR_MISSING, "image_size", "%s needs the size it is for", name);
    }
    if (r < 0) {
        err_prefix(err, "source.%s", kind);
        return r;
    }
    k->decode = decode_create();
    return 0;
}

void picture_init_mask(struct picture *k, const struct picture_options *options)
{
    *k = (struct picture){
        .options = options, .channels = 1, .is_mask = true, .decode = decode_create()};
    decode_allow(k->decode, DECODE_ALL | DECODE_NUMBERS);
}

void picture_fini(struct picture *k)
{
    decode_destroy(k->decode);
    op_scratch_fini(&k->pixels);
    op_scratch_fini(&k->floats);
    op_scratch_fini(&k->sized);
    op_scratch_fini(&k->resize);
    *k = (struct picture){0};
}

void picture_name(struct picture *k, const char *path)
{
    const unsigned formats = path != NULL ? decode_formats_of(path) : DECODE_ALL;
    decode_allow(k->decode, formats | (k->is_mask ? DECODE_NUMBERS : 0U));
}

int picture_header(struct picture *k, const void *data, size_t size, struct picture_image *ret,
                   struct err *err)
{
    struct decode_image image;
    int r = decode_header(k->decode, data, size, &image, err);
    if (r == 0) {
        *ret = (struct picture_image){image.height, image.width, image.channels};
    }
    return r;
}

void picture_declare(struct picture *k, const struct picture_image *first, const char *name,
                     struct element_spec *spec)
{
    const struct opt_ints *size = &k->options->image_size;
    if (k->channels == PICTURE_AUTO) {
        k->channels = first->channels >= 3 ? PICTURE_RGB : PICTURE_GREY;
    }
    struct element_field field = {
        .name = name,
        .kind = k->is_mask ? ELEMENT_MASK : ELEMENT_IMAGE,
        .spec = {.dtype = DTYPE_U8,
                 .shape = {.rank = 3, .d = {first->height, first->width, k->channels}}},
        .is_varying = size->n == 0};
    if (size->n > 0) {
        field.spec.dtype = k->is_mask ? DTYPE_U8 : DTYPE_F32;
        field.spec.shape.d[0] = size->v[0];
        field.spec.shape.d[1] = size->v[1];
    }
    element_add(spec, &field);
}

static bool is_jpeg(const void *data, size_t size)
{
    return size >= 2 && memcmp(data, "\xff\xd8", 2) == 0;
}

/* Red, green, blue and alpha of pixels of any channels; without alpha they are opaque. */
static void to_rgba(const unsigned char *in, int channels, size_t n, unsigned char *out)
{
    for (size_t i = 0; i < n; i++, in += channels, out += 4) {
        const bool is_grey = channels < 3;
        out[0] = in[0];
        out[1] = in[is_grey ? 0 : 1];
        out[2] = in[is_grey ? 0 : 2];
        out[3] = channels == 2 ? in[1] : channels == 4 ? in[3] : 255;
    }
}

/* Four channels of a JPEG are CMYK, of all others RGBA. */
static int read_rgba(struct picture *k, const void *data, size_t size, struct tensor *ret,
                     struct err *err)
{
    struct decode_image image;
    const int channels = is_jpeg(data, size) ? 3 : 0;
    int r = decode_run(k->decode, data, size, channels, &image, err);
    if (r < 0) {
        return r;
    }
    const size_t n = (size_t)(image.height * image.width);
    ret->data = op_scratch_need(&k->pixels, n * 4);
    ret->shape = (struct shape){.rank = 3, .d = {image.height, image.width, 4}};
    to_rgba(image.data, (int)image.channels, n, ret->data);
    return 0;
}

static void put_image(const struct decode_image *image, struct tensor *ret)
{
    ret->dtype = DTYPE_U8;
    ret->shape = (struct shape){.rank = 3, .d = {image->height, image->width, image->channels}};
    ret->data = (void *)(uintptr_t)image->data;
}

static int read_pixels(struct picture *k, const void *data, size_t size, struct tensor *ret,
                       struct err *err)
{
    struct decode_image image;
    ret->dtype = DTYPE_U8;
    if (k->channels == PICTURE_RGBA) {
        return read_rgba(k, data, size, ret, err);
    }
    int r = decode_run(k->decode, data, size, k->channels, &image, err);
    if (r == 0) {
        put_image(&image, ret);
    }
    return r;
}

static int fit(struct picture *k, struct tensor *x, struct err *err)
{
    const struct picture_options *o = k->options;
    const struct op_resize resize = {.height = o->image_size.v[0],
                                     .width = o->image_size.v[1],
                                     .method = k->is_mask ? RESIZE_NEAREST
                                                          : (enum resize_method)o->interpolation,
                                     .crop = o->crop_to_aspect_ratio,
                                     .pad = o->pad_to_aspect_ratio,
                                     .fill_value = k->is_mask ? 0 : o->fill_value};
    const int64_t n = x->shape.d[0] * x->shape.d[1] * x->shape.d[2];
    struct tensor in = *x;
    if (!k->is_mask) {
        in.data = op_scratch_need(&k->floats, (size_t)n * sizeof(float));
        in.dtype = DTYPE_F32;
        op_to_floats(x, n, in.data);
    }
    x->dtype = in.dtype;
    x->shape.d[0] = resize.height;
    x->shape.d[1] = resize.width;
    x->data = op_scratch_need(&k->sized, (size_t)(resize.height * resize.width * x->shape.d[2]) *
                                             sizeof(float));
    return op_resize_run(&resize, &in, x, &k->resize, err);
}

int picture_look(struct picture *k, const void *data, size_t size, const struct look_asker *asker,
                 int i, struct element *ret, struct err *err)
{
    struct tensor *x = &ret->fields[i];
    struct decode_image image;
    if (asker == NULL || k->options->image_size.n > 0 || k->channels == PICTURE_RGBA) {
        return picture_read(k, data, size, x, err);
    }
    struct look_asker own = *asker;
    own.field = i;
    int r = decode_look(k->decode, data, size, k->channels, &own, &image, err);
    if (r == 0) {
        put_image(&image, x);
        ret->parts[i] = image.part;
    }
    return r;
}

int picture_read(struct picture *k, const void *data, size_t size, struct tensor *ret,
                 struct err *err)
{
    int r = read_pixels(k, data, size, ret, err);
    return r < 0 || k->options->image_size.n == 0 ? r : fit(k, ret, err);
}
