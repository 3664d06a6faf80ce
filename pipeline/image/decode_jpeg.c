/* decode_jpeg - libjpeg-turbo behind limits: size before pixels, a count of scans, and no warning
 * passes. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

#include "pipeline/image/decode_impl.h"
#include "pipeline/image/exif.h"

enum { ROWS_AT_ONCE = 8, TEXT = JMSG_LENGTH_MAX };

struct decode_jpeg {
    struct jpeg_decompress_struct codec;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf back;
    const unsigned char *data; /* of the call */
    size_t size;
    int orientation;
    int code; /* of the error that is thrown */
    char text[TEXT];
};

static struct decode_jpeg *owner(j_common_ptr codec)
{
    return (struct decode_jpeg *)codec->client_data;
}

static int code_of(int message)
{
    switch (message) {
    case JERR_BAD_PRECISION:
    case JERR_ARITH_NOTIMPL:
    case JERR_SOF_UNSUPPORTED:
    case JERR_CONVERSION_NOTIMPL: return ERR_UNSUPPORTED;
    case JERR_OUT_OF_MEMORY: return ERR_NO_MEMORY;
    case JERR_INPUT_EOF:
    case JERR_INPUT_EMPTY:
    case JWRN_JPEG_EOF: return ERR_TRUNCATED;
    default: return ERR_CORRUPT;
    }
}

_Noreturn static void leave(j_common_ptr codec)
{
    struct decode_jpeg *jpeg = owner(codec);
    if (jpeg->code == 0) {
        codec->err->format_message(codec, jpeg->text);
        jpeg->code = code_of(codec->err->msg_code);
    }
    longjmp(jpeg->back, 1);
}

/* A warning is a damaged picture: what libjpeg would paint over it is not a sample. */
static void on_message(j_common_ptr codec, int level)
{
    if (level < 0) {
        codec->err->num_warnings++;
        leave(codec);
    }
}

static void on_progress(j_common_ptr codec)
{
    struct decode_jpeg *jpeg = owner(codec);
    if (codec->is_decompressor && jpeg->codec.input_scan_number > DECODE_SCANS_MAX) {
        jpeg->code = ERR_LIMIT;
        (void)snprintf(jpeg->text, sizeof jpeg->text, "has more than %d scans", DECODE_SCANS_MAX);
        leave(codec);
    }
}

static void no_output(j_common_ptr codec)
{
    (void)codec;
}

bool decode_jpeg_is(const void *data, size_t size)
{
    return size >= 2 && memcmp(data, "\xff\xd8", 2) == 0;
}

struct decode_jpeg *decode_jpeg_create(void)
{
    return calloc(1, sizeof(struct decode_jpeg));
}

void decode_jpeg_destroy(struct decode_jpeg *jpeg)
{
    free(jpeg);
}

/* What is asked of libjpeg, and how many channels it then gives. */
static int choose_colours(struct jpeg_decompress_struct *codec, int channels, struct err *err)
{
    const int native = codec->num_components;
    if (native != 1 && native != 3 && native != 4) {
        return err_set(err, ERR_UNSUPPORTED, "a JPEG of %d components has no colours", native);
    }
    if (native == 4) {
        codec->out_color_space = JCS_CMYK;
        return 4;
    }
    const int wanted = channels != 0 ? channels : native;
    codec->out_color_space = wanted == 1 ? JCS_GRAYSCALE : JCS_RGB;
    return wanted;
}

static void read_rows(struct jpeg_decompress_struct *codec, JDIMENSION end, unsigned char *to,
                      size_t stride)
{
    const JDIMENSION begin = codec->output_scanline;
    while (codec->output_scanline < end) {
        JSAMPROW rows[ROWS_AT_ONCE];
        JDIMENSION n = end - codec->output_scanline;
        n = n < ROWS_AT_ONCE ? n : ROWS_AT_ONCE;
        for (JDIMENSION i = 0; i < n; i++) {
            rows[i] = to + (codec->output_scanline - begin + i) * stride;
        }
        (void)jpeg_read_scanlines(codec, rows, n);
    }
}

/* Pixels of one axis of the output: whole blocks, and one block more on each side, because
 * upsampling and the border of a crop reach over. */
struct span {
    JDIMENSION begin, end;
};

static struct span span_of(int64_t at, int64_t n, int shrink, JDIMENSION block, JDIMENSION size)
{
    const JDIMENSION first = (JDIMENSION)(at / shrink) / block * block,
                     last = ((JDIMENSION)((at + n - 1) / shrink) / block + 2) * block;
    return (struct span){first > block ? first - block : 0, last < size ? last : size};
}

static void decode_part(struct decode *decode, const struct look_area *look, int made,
                        struct decode_image *ret)
{
    struct jpeg_decompress_struct *codec = &decode->jpeg->codec;
    const int64_t bottom = (look->top + look->height - 1) / look->shrink;
    codec->scale_num = 8 / (unsigned)look->shrink;
    codec->scale_denom = 8;
    (void)jpeg_start_decompress(codec);
    const JDIMENSION side = (JDIMENSION)codec->min_DCT_scaled_size;
    const struct span y = span_of(look->top, look->height, look->shrink,
                                  side * (JDIMENSION)codec->max_v_samp_factor,
                                  codec->output_height),
                      x = span_of(look->left, look->width, look->shrink,
                                  side * (JDIMENSION)codec->max_h_samp_factor, codec->output_width);
    /* Downwards libjpeg itself looks ahead as far as the last row needs: a block more would cost
     * the entropy code of two rows of blocks. */
    const JDIMENSION end = (JDIMENSION)bottom + 1;
    JDIMENSION left = x.begin, width = x.end - x.begin;
    if (width < codec->output_width) {
        jpeg_crop_scanline(codec, &left, &width);
    }
    const size_t stride = (size_t)width * (size_t)made;
    unsigned char *to = decode_need(&decode->pixels, stride * (end - y.begin));
    if (to == NULL) {
        decode->jpeg->code = ERR_NO_MEMORY;
        leave((j_common_ptr)codec);
    }
    if (y.begin > 0) {
        (void)jpeg_skip_scanlines(codec, y.begin);
    }
    read_rows(codec, end, to, stride);
    ret->part = (struct look_part){.height = ret->height,
                                   .width = ret->width,
                                   .top = (int64_t)y.begin * look->shrink,
                                   .left = (int64_t)left * look->shrink,
                                   .shrink = look->shrink};
    ret->height = end - y.begin;
    ret->width = width;
    ret->data = to;
}

static bool has_end(const unsigned char *data, size_t size)
{
    const unsigned char *at = memrchr(data, 0xd9, size);
    while (at != NULL && (at == data || at[-1] != 0xff)) {
        at = memrchr(data, 0xd9, (size_t)(at - data));
    }
    return at != NULL;
}

/* Is a part enough, and which? Colours of CMYK are made from the whole picture, and so is one that
 * is turned. */
static bool is_part(const struct decode *decode, const struct decode_image *image,
                    const struct decode_jpeg *jpeg, struct look_area *ret)
{
    const struct look_asker *asker = decode->asker;
    const bool is_turned = jpeg->orientation > 1 && (decode->formats & DECODE_STORED) == 0;
    return asker != NULL && image->channels != 4 && !is_turned && has_end(jpeg->data, jpeg->size) &&
           asker->ask(asker, image->height, image->width, image->channels, ret);
}

/* Adobe's files hold CMYK inverted: 255 is no ink. Others are turned so that one rule serves. */
static void from_cmyk(const unsigned char *in, bool is_inverted, unsigned char *out, size_t n)
{
    for (size_t i = 0; i < n; i++, in += 4, out += 3) {
        for (int c = 0; c < 3; c++) {
            const unsigned a = is_inverted ? in[c] : 255u - in[c],
                           k = is_inverted ? in[3] : 255u - in[3];
            out[c] = (unsigned char)((a * k + 127) / 255);
        }
    }
}

static int finish_cmyk(struct decode *decode, const struct jpeg_decompress_struct *codec,
                       int channels, struct decode_image *ret, struct err *err)
{
    const size_t n = (size_t)codec->output_width * codec->output_height;
    const bool is_rgb = channels == 3;
    unsigned char *rgb = decode_need(is_rgb ? &decode->pixels : &decode->stream, 3 * n);
    unsigned char *grey = is_rgb ? rgb : decode_need(&decode->pixels, n);
    if (rgb == NULL || grey == NULL) {
        return err_set(err, ERR_NO_MEMORY, "no memory for the picture");
    }
    from_cmyk(decode->raw.data, codec->saw_Adobe_marker, rgb, n);
    if (!is_rgb) {
        decode_convert(rgb, 3, grey, 1, n);
    }
    ret->channels = channels;
    ret->data = is_rgb ? rgb : grey;
    return 0;
}

static int run(struct decode *decode, int channels, bool is_header, struct decode_image *ret,
               struct err *err)
{
    struct jpeg_decompress_struct *codec = &decode->jpeg->codec;
    (void)jpeg_read_header(codec, TRUE);
    int r = decode_check_size(codec->image_width, codec->image_height, err);
    if (r < 0) {
        return r;
    }
    const int made = choose_colours(codec, channels, err);
    if (made < 0) {
        return made;
    }
    *ret = (struct decode_image){
        .height = codec->image_height, .width = codec->image_width, .channels = made};
    if (is_header) {
        return 0;
    }
    codec->dct_method = JDCT_ISLOW;
    codec->do_fancy_upsampling = TRUE;
    struct look_area look;
    if (is_part(decode, ret, decode->jpeg, &look)) {
        decode_part(decode, &look, made, ret);
        return 0;
    }
    struct decode_buffer *buffer = made == 4 ? &decode->raw : &decode->pixels;
    const size_t stride = (size_t)codec->image_width * (size_t)made;
    unsigned char *to = decode_need(buffer, stride * codec->image_height);
    if (to == NULL) {
        return err_set(err, ERR_NO_MEMORY, "no memory for %u x %u pixels", codec->image_width,
                       codec->image_height);
    }
    (void)jpeg_start_decompress(codec);
    read_rows(codec, codec->output_height, to, stride);
    (void)jpeg_finish_decompress(
        codec); /* reads up to the end marker: a missing one is a warning */
    ret->data = to;
    return made == 4 && channels != 0 ? finish_cmyk(decode, codec, channels, ret, err) : 0;
}

/* A codec for each picture: in a used one the tables of the last picture would stand in for missing
 * ones. */
static int start(struct decode *decode, const void *data, size_t size, int channels, bool is_header,
                 struct decode_image *ret, struct err *err)
{
    struct decode_jpeg *jpeg = decode->jpeg;
    if (setjmp(jpeg->back) != 0) {
        return err_set(err, jpeg->code, "%s", jpeg->text);
    }
    jpeg_create_decompress(&jpeg->codec);
    jpeg->codec.progress = &jpeg->progress;
    jpeg_mem_src(&jpeg->codec, data, (unsigned long)size);
    return run(decode, channels, is_header, ret, err);
}

int decode_jpeg_run(struct decode *decode, const void *data, size_t size, int channels,
                    bool is_header, struct decode_image *ret, struct err *err)
{
    struct decode_jpeg *jpeg = decode->jpeg;
    memset(jpeg, 0, sizeof *jpeg);
    jpeg->codec.err = jpeg_std_error(&jpeg->errors);
    jpeg->errors.error_exit = leave;
    jpeg->errors.emit_message = on_message;
    jpeg->errors.output_message = no_output;
    jpeg->codec.client_data = jpeg;
    jpeg->progress.progress_monitor = on_progress;
    jpeg->data = data;
    jpeg->size = size;
    jpeg->orientation = exif_of_jpeg(data, size);
    const int r = start(decode, data, size, channels, is_header, ret, err);
    jpeg_destroy_decompress(&jpeg->codec);
    if (r == 0) {
        ret->orientation = jpeg->orientation;
    }
    return r;
}
