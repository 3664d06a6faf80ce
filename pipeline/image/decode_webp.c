/* decode_webp - still WebP pictures by libwebp, behind a look at the header and a walk over the
 * chunks for EXIF. Source: RFC 9649. Animations are refused. */
#include <string.h>

#include <webp/decode.h>

#include "pipeline/image/decode_impl.h"
#include "pipeline/image/exif.h"

bool decode_webp_is(const void *data, size_t size)
{
    return size >= 12 && memcmp(data, "RIFF", 4) == 0 &&
           memcmp((const char *)data + 8, "WEBP", 4) == 0;
}

static uint32_t little32(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static int orientation_of(const unsigned char *p, size_t size)
{
    for (size_t at = 12; at + 8 <= size;) {
        const size_t n = little32(p + at + 4);
        if (n > size - at - 8) {
            return 1;
        }
        if (memcmp(p + at, "EXIF", 4) == 0) {
            return exif_orientation(p + at + 8, n);
        }
        at += 8 + n + n % 2;
    }
    return 1;
}

static int failed(VP8StatusCode code, struct err *err)
{
    switch (code) {
    case VP8_STATUS_NOT_ENOUGH_DATA: return err_set(err, ERR_TRUNCATED, "WebP: ends early");
    case VP8_STATUS_OUT_OF_MEMORY: return err_set(err, ERR_NO_MEMORY, "no memory for the picture");
    case VP8_STATUS_UNSUPPORTED_FEATURE:
        return err_set(err, ERR_UNSUPPORTED, "WebP: a feature that libwebp does not know");
    case VP8_STATUS_OK:
    case VP8_STATUS_INVALID_PARAM:
    case VP8_STATUS_BITSTREAM_ERROR:
    case VP8_STATUS_SUSPENDED:
    case VP8_STATUS_USER_ABORT:
    default: return err_set(err, ERR_CORRUPT, "WebP: its data are damaged");
    }
}

int decode_webp_run(struct decode *decode, const void *data, size_t size, int channels,
                    bool is_header, struct decode_image *ret, struct err *err)
{
    WebPDecoderConfig config;
    BUG_ON(!WebPInitDecoderConfig(&config));
    const size_t declared = 8 + (size_t)little32((const unsigned char *)data + 4);
    if (declared > size) {
        return err_set(err, ERR_TRUNCATED, "WebP: declares %zu bytes and has %zu", declared, size);
    }
    VP8StatusCode code = WebPGetFeatures(data, size, &config.input);
    if (code != VP8_STATUS_OK) {
        return failed(code, err);
    }
    if (config.input.has_animation) {
        return err_set(err, ERR_UNSUPPORTED, "WebP: an animation; still pictures are read");
    }
    int r = decode_check_size(config.input.width, config.input.height, err);
    if (r < 0) {
        return r;
    }
    const int made = config.input.has_alpha ? 4 : 3;
    *ret = (struct decode_image){.height = config.input.height,
                                 .width = config.input.width,
                                 .channels = made,
                                 .orientation = orientation_of(data, size)};
    if (is_header) {
        return 0;
    }
    const size_t bytes = (size_t)(ret->height * ret->width * made);
    config.output.colorspace = made == 4 ? MODE_RGBA : MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = decode_need(&decode->raw, bytes);
    config.output.u.RGBA.stride = (int)(ret->width * made);
    config.output.u.RGBA.size = bytes;
    if (config.output.u.RGBA.rgba == NULL) {
        return err_set(err, ERR_NO_MEMORY, "no memory for the picture");
    }
    code = WebPDecode(data, size, &config);
    WebPFreeDecBuffer(&config.output);
    return code != VP8_STATUS_OK ? failed(code, err) : decode_finish(decode, ret, channels, err);
}
