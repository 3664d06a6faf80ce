#include "pipeline/image/decode.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pipeline/image/decode_impl.h"
#include "pipeline/image/exif.h"

struct decode *decode_create(void)
{
    struct decode *decode = calloc(1, sizeof *decode);
    if (decode == NULL || (decode->jpeg = decode_jpeg_create()) == NULL) {
        BUG("no memory for a decoder");
    }
    decode->formats = DECODE_ALL;
    return decode;
}

void decode_destroy(struct decode *decode)
{
    if (decode != NULL) {
        decode_jpeg_destroy(decode->jpeg);
        free(decode->pixels.data);
        free(decode->raw.data);
        free(decode->stream.data);
        free(decode->turned.data);
        free(decode);
    }
}

unsigned char *decode_need(struct decode_buffer *buffer, size_t bytes)
{
    if (bytes > buffer->bytes) {
        free(buffer->data);
        buffer->bytes = (bytes + bytes / 4 + 63) / 64 * 64;
        buffer->data = aligned_alloc(64, buffer->bytes);
        if (buffer->data == NULL) {
            buffer->bytes = 0;
        }
    }
    return buffer->data;
}

int decode_check_size(int64_t width, int64_t height, struct err *err)
{
    if (width < 1 || height < 1) {
        return err_set(err, ERR_CORRUPT, "declares %lld x %lld pixels", (long long)width,
                       (long long)height);
    }
    if (width > DECODE_SIDE_MAX || height > DECODE_SIDE_MAX || width * height > DECODE_PIXELS_MAX) {
        return err_set(err, ERR_LIMIT,
                       "declares %lld x %lld pixels; at most %d a side and %d in all are decoded",
                       (long long)width, (long long)height, DECODE_SIDE_MAX, DECODE_PIXELS_MAX);
    }
    return 0;
}

static unsigned char luma(const unsigned char *rgb)
{
    /* The weights of JPEG: 0.299, 0.587, 0.114 in 16 bits. */
    return (unsigned char)((19595u * rgb[0] + 38470u * rgb[1] + 7471u * rgb[2] + 32768u) >> 16);
}

void decode_convert(const unsigned char *in, int from, unsigned char *out, int to, size_t n)
{
    for (size_t i = 0; i < n; i++, in += from, out += to) {
        if (to == 1) {
            out[0] = from < 3 ? in[0] : luma(in);
        } else {
            out[0] = in[0];
            out[1] = in[from < 3 ? 0 : 1];
            out[2] = in[from < 3 ? 0 : 2];
        }
    }
}

int decode_finish(struct decode *decode, struct decode_image *ret, int channels, struct err *err)
{
    const size_t n = (size_t)(ret->width * ret->height);
    ret->data = decode->raw.data;
    if (channels != 0 && channels != ret->channels) {
        unsigned char *out = decode_need(&decode->pixels, n * (size_t)channels);
        if (out == NULL) {
            return err_set(err, ERR_NO_MEMORY, "no memory for the picture");
        }
        decode_convert(decode->raw.data, (int)ret->channels, out, channels, n);
        ret->channels = channels;
        ret->data = out;
    }
    return 0;
}

/* A row a format: the order of decode.h. */
static const struct codec {
    const char *name;
    bool (*is)(const void *data, size_t size);
    int (*run)(struct decode *decode, const void *data, size_t size, int channels, bool is_header,
               struct decode_image *ret, struct err *err);
} codecs[] = {
    {"JPEG", decode_jpeg_is, decode_jpeg_run}, {"PNG", decode_png_is, decode_png_run},
    {"WebP", decode_webp_is, decode_webp_run}, {"BMP", decode_bmp_is, decode_bmp_run},
    {"GIF", decode_gif_is, decode_gif_run},
};
enum { N_CODECS = sizeof codecs / sizeof codecs[0] };

unsigned decode_formats_of(const char *name)
{
    enum { EITHER = DECODE_JPEG | DECODE_PNG };
    static const struct {
        const char *extension;
        unsigned formats;
    } rows[] = {
        {".jpg", EITHER},
        {".jpeg", EITHER},
        {".png", EITHER},
        {".webp", EITHER | DECODE_WEBP},
        {".bmp", EITHER | DECODE_BMP},
        {".gif", EITHER | DECODE_GIF},
    };
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot != NULL && i < sizeof rows / sizeof rows[0]; i++) {
        if (strcasecmp(dot, rows[i].extension) == 0) {
            return rows[i].formats;
        }
    }
    return DECODE_ALL;
}

void decode_allow(struct decode *decode, unsigned formats)
{
    decode->formats = formats;
}

/* Turns by what the camera noted; a header's sides change places alike. */
static int turn(struct decode *decode, struct decode_image *image, struct err *err)
{
    const int64_t height = image->height, width = image->width;
    if (image->orientation <= 1 || (decode->formats & DECODE_STORED) != 0) {
        return 0;
    }
    if (exif_is_sideways(image->orientation)) {
        image->height = width;
        image->width = height;
    }
    if (image->data != NULL) {
        unsigned char *out =
            decode_need(&decode->turned, (size_t)(height * width * image->channels));
        if (out == NULL) {
            return err_set(err, ERR_NO_MEMORY, "no memory for the picture");
        }
        exif_apply(image->orientation, image->data, height, width, (int)image->channels, out);
        image->data = out;
    }
    return 0;
}

static int run(struct decode *decode, const void *data, size_t size, int channels, bool is_header,
               struct decode_image *ret, struct err *err)
{
    const unsigned char *p = data;
    BUG_ON(channels != 0 && channels != 1 && channels != 3);
    if (size == 0) {
        return err_set(err, ERR_EMPTY, "is empty");
    }
    for (size_t i = 0; i < N_CODECS; i++) {
        if (!codecs[i].is(data, size)) {
            continue;
        }
        if ((decode->formats & 1u << i) == 0) {
            return err_set(err, ERR_UNSUPPORTED, "is a %s under a name that says otherwise",
                           codecs[i].name);
        }
        int r = codecs[i].run(decode, data, size, channels, is_header, ret, err);
        return r < 0 ? r : turn(decode, ret, err);
    }
    return err_set(err, ERR_BAD_MAGIC,
                   "is neither JPEG nor PNG, WebP, BMP, GIF: it begins with %02x %02x", p[0],
                   size > 1 ? p[1] : 0);
}

int decode_header(struct decode *decode, const void *data, size_t size, struct decode_image *ret,
                  struct err *err)
{
    return run(decode, data, size, 0, true, ret, err);
}

int decode_run(struct decode *decode, const void *data, size_t size, int channels,
               struct decode_image *ret, struct err *err)
{
    return run(decode, data, size, channels, false, ret, err);
}

int decode_look(struct decode *decode, const void *data, size_t size, int channels,
                const struct look_asker *asker, struct decode_image *ret, struct err *err)
{
    decode->asker = asker;
    const int r = run(decode, data, size, channels, false, ret, err);
    decode->asker = NULL;
    return r;
}
