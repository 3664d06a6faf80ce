/* decode_impl - what the files of decode share. */
#ifndef PIPELINE_IMAGE_DECODE_IMPL_H
#define PIPELINE_IMAGE_DECODE_IMPL_H

#include <stdbool.h>

#include "pipeline/image/decode.h"

struct decode_buffer { /* grows, never shrinks */
    unsigned char *data;
    size_t bytes;
};
struct decode_jpeg;
struct decode {
    struct decode_jpeg *jpeg;
    unsigned formats;               /* what is let in */
    const struct look_asker *asker; /* of the call, or NULL */
    struct decode_buffer pixels, raw, stream, turned;
};

/* NULL without memory. */
unsigned char *decode_need(struct decode_buffer *buffer, size_t bytes);
int decode_check_size(int64_t width, int64_t height, struct err *err);
/* n pixels of 8 bits from one number of channels to 1 or 3. */
void decode_convert(const unsigned char *in, int from, unsigned char *out, int to, size_t n);

/* The picture of ret's size that lies in `raw`, with the channels that were asked for. */
int decode_finish(struct decode *decode, struct decode_image *ret, int channels, struct err *err);

struct decode_jpeg *decode_jpeg_create(void);
void decode_jpeg_destroy(struct decode_jpeg *jpeg);
int decode_jpeg_run(struct decode *decode, const void *data, size_t size, int channels,
                    bool is_header, struct decode_image *ret, struct err *err);

bool decode_jpeg_is(const void *data, size_t size);
bool decode_png_is(const void *data, size_t size);
int decode_png_run(struct decode *decode, const void *data, size_t size, int channels,
                   bool is_header, struct decode_image *ret, struct err *err);

bool decode_webp_is(const void *data, size_t size);
int decode_webp_run(struct decode *decode, const void *data, size_t size, int channels,
                    bool is_header, struct decode_image *ret, struct err *err);

bool decode_bmp_is(const void *data, size_t size);
int decode_bmp_run(struct decode *decode, const void *data, size_t size, int channels,
                   bool is_header, struct decode_image *ret, struct err *err);

bool decode_gif_is(const void *data, size_t size);
int decode_gif_run(struct decode *decode, const void *data, size_t size, int channels,
                   bool is_header, struct decode_image *ret, struct err *err);

#endif
