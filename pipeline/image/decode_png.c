/* decode_png - libspng behind a walk over the chunks: their order, and what is not needed (text,
 * profiles, animation) is checked for its sum and never handed on, so that no compressed note can
 * grow. */
#include <stdint.h>
#include <string.h>

#include <spng.h>
#include <zlib.h>

#include "pipeline/image/decode_impl.h"
#include "pipeline/image/exif.h"

enum { HEAD = 8, FRAME = 12, IHDR_BYTES = 13 };
static const unsigned char signature[HEAD] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};

struct walk {
    const unsigned char *data;
    size_t size, at;
    int n_chunks;
    bool has_palette, has_transparency, has_data, is_data_over, has_end;
    int colour, orientation;
    uint64_t data_bytes; /* compressed */
    unsigned char *out;  /* what libspng gets */
    size_t out_size;
};

static uint32_t big32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

bool decode_png_is(const void *data, size_t size)
{
    return size >= 4 && memcmp(data, signature, size < HEAD ? size : HEAD) == 0;
}

static bool is_name(const unsigned char *p)
{
    for (int i = 0; i < 4; i++) {
        if ((p[i] | 32) < 'a' || (p[i] | 32) > 'z') {
            return false;
        }
    }
    return true;
}

static bool is(const unsigned char *name, const char *other)
{
    return memcmp(name, other, 4) == 0;
}

static int keep(struct walk *w, const unsigned char *chunk, size_t bytes)
{
    memcpy(w->out + w->out_size, chunk, bytes);
    w->out_size += bytes;
    return 0;
}

static int take_ancillary(struct walk *w, const unsigned char *chunk, uint32_t length,
                          struct err *err)
{
    if (is(chunk + 4, "eXIf")) {
        w->orientation = exif_orientation(chunk + 8, length);
    }
    const uint32_t sum = (uint32_t)crc32(0, chunk + 4, length + 4);
    return sum == big32(chunk + 8 + length)
               ? 0
               : err_set(err, ERR_CORRUPT, "the checksum of a chunk %.4s is wrong", chunk + 4);
}

static int take_transparency(struct walk *w, const unsigned char *chunk, size_t bytes,
                             struct err *err)
{
    if (w->has_data || w->has_transparency || (w->colour == 3 && !w->has_palette)) {
        return err_set(err, ERR_CORRUPT, "the chunk tRNS is out of order");
    }
    w->has_transparency = true;
    return keep(w, chunk, bytes);
}

static int take_chunk(struct walk *w, const unsigned char *chunk, uint32_t length, struct err *err)
{
    const unsigned char *name = chunk + 4;
    const size_t bytes = FRAME + (size_t)length;
    const bool is_data = is(name, "IDAT");
    if (w->has_data && !is_data) {
        w->is_data_over = true;
    }
    if (w->n_chunks++ == 0) {
        if (!is(name, "IHDR") || length != IHDR_BYTES) {
            return err_set(err, ERR_CORRUPT,
                           "begins with chunk %.4s of %u bytes, not with IHDR of 13", name, length);
        }
        w->colour = chunk[8 + 9];
        return keep(w, chunk, bytes);
    }
    if (is_data) {
        if (w->is_data_over || (w->colour == 3 && !w->has_palette)) {
            return err_set(err, ERR_CORRUPT,
                           w->is_data_over ? "its IDAT chunks are not together" : "has no palette");
        }
        w->has_data = true;
        w->data_bytes += length;
        return keep(w, chunk, bytes);
    }
    if (is(name, "PLTE")) {
        if (w->has_palette || w->has_data || w->colour == 0 || w->colour == 4) {
            return err_set(err, ERR_CORRUPT, "the chunk PLTE is out of place");
        }
        w->has_palette = true;
        return keep(w, chunk, bytes);
    }
    if (is(name, "tRNS")) {
        return take_transparency(w, chunk, bytes, err);
    }
    if (is(name, "IEND")) {
        w->has_end = true;
        return w->has_data ? keep(w, chunk, bytes) : err_set(err, ERR_CORRUPT, "has no IDAT chunk");
    }
    return (name[0] & 32) != 0
               ? take_ancillary(w, chunk, length, err)
               : err_set(err, ERR_CORRUPT, "a critical chunk %.4s that is unknown or a second time",
                         name);
}

static int walk_chunks(struct walk *w, struct err *err)
{
    keep(w, w->data, HEAD);
    w->at = HEAD;
    while (!w->has_end) {
        const unsigned char *chunk = w->data + w->at;
        const size_t left = w->size - w->at;
        if (left < FRAME) {
            return err_set(err, ERR_TRUNCATED, "ends early, without an IEND chunk");
        }
        const uint32_t length = big32(chunk);
        if (!is_name(chunk + 4)) {
            return err_set(err, ERR_CORRUPT, "a chunk's name is no letters");
        }
        if (length > INT32_MAX || length > left - FRAME) {
            return err_set(err, ERR_CORRUPT, "chunk %.4s declares %u bytes, %zu are left",
                           chunk + 4, length, left - FRAME);
        }
        int r = take_chunk(w, chunk, length, err);
        if (r < 0) {
            return r;
        }
        w->at += FRAME + (size_t)length;
    }
    return 0;
}

struct form { /* what libspng is asked for, and what it then gives */
    int format, channels, bytes;
    bool is_indexed;
};

static struct form form_of(const struct spng_ihdr *ihdr, bool has_transparency)
{
    switch (ihdr->color_type) {
    case SPNG_COLOR_TYPE_GRAYSCALE:
        return ihdr->bit_depth == 16 ? (struct form){SPNG_FMT_RAW, 1, 2, false}
                                     : (struct form){SPNG_FMT_G8, 1, 1, false};
    case SPNG_COLOR_TYPE_GRAYSCALE_ALPHA:
        return (struct form){SPNG_FMT_RAW, 2, ihdr->bit_depth / 8, false};
    case SPNG_COLOR_TYPE_TRUECOLOR_ALPHA: return (struct form){SPNG_FMT_RGBA8, 4, 1, false};
    case SPNG_COLOR_TYPE_INDEXED:
        return (struct form){SPNG_FMT_RAW, has_transparency ? 4 : 3, 1, true};
    default: return (struct form){SPNG_FMT_RGB8, 3, 1, false};
    }
}

static int failed(int code, struct err *err)
{
    return err_set(err, code == SPNG_EMEM ? ERR_NO_MEMORY : ERR_CORRUPT, "PNG: %s",
                   spng_strerror(code));
}

/* Compression never makes a picture much larger; data that is, holds more than the picture. */
static int check_data(const struct walk *w, const struct spng_ihdr *ihdr, struct err *err)
{
    const uint64_t row = ((uint64_t)ihdr->width * ihdr->bit_depth * 4 + 7) / 8 + 1,
                   raw = row * ihdr->height;
    return w->data_bytes <= raw + raw / 8 + 64 * (uint64_t)ihdr->height + 4096
               ? 0
               : err_set(err, ERR_CORRUPT,
                         "has %llu compressed bytes, more than its picture can need",
                         (unsigned long long)w->data_bytes);
}

/* Indices to colours, each checked: libspng paints one that is not in the palette black. */
static int expand(spng_ctx *png, const struct spng_ihdr *ihdr, const unsigned char *in,
                  int channels, unsigned char *out, struct err *err)
{
    struct spng_plte palette = {0};
    struct spng_trns alpha = {0};
    const unsigned depth = ihdr->bit_depth, mask = (1u << depth) - 1;
    const size_t stride = ((size_t)ihdr->width * depth + 7) / 8;
    int code = spng_get_plte(png, &palette);
    if (code != 0 || (channels == 4 && spng_get_trns(png, &alpha) != 0)) {
        return err_set(err, ERR_CORRUPT, "its palette cannot be read");
    }
    for (uint32_t y = 0; y < ihdr->height; y++, in += stride) {
        for (uint32_t x = 0; x < ihdr->width; x++, out += channels) {
            const size_t bit = (size_t)x * depth;
            const unsigned i = (unsigned)in[bit / 8] >> (8 - depth - bit % 8) & mask;
            if (i >= palette.n_entries) {
                return err_set(err, ERR_CORRUPT, "colour %u of a palette of %u", i,
                               palette.n_entries);
            }
            if (channels == 1) {
                out[0] = (unsigned char)i;
                continue;
            }
            out[0] = palette.entries[i].red;
            out[1] = palette.entries[i].green;
            out[2] = palette.entries[i].blue;
            if (channels == 4) {
                out[3] = i < alpha.n_type3_entries ? alpha.type3_alpha[i] : 255;
            }
        }
    }
    return 0;
}

/* What libspng gives, in 8 bits and native channels, into decode->raw. */
static int decode_native(struct decode *decode, spng_ctx *png, const struct spng_ihdr *ihdr,
                         const struct form *form, struct err *err)
{
    const size_t n = (size_t)ihdr->width * ihdr->height, made = n * (size_t)form->channels;
    size_t bytes = 0;
    int code = spng_decoded_image_size(png, form->format, &bytes);
    struct decode_buffer *buffer = form->is_indexed ? &decode->pixels : &decode->raw;
    unsigned char *to = decode_need(buffer, bytes),
                  *raw = decode_need(&decode->raw, bytes > made ? bytes : made);
    to = form->is_indexed ? to : raw;
    if (to == NULL || raw == NULL) {
        return err_set(err, ERR_NO_MEMORY, "no memory for %u x %u pixels", ihdr->width,
                       ihdr->height);
    }
    code = code != 0 ? code : spng_decode_image(png, to, bytes, form->format, 0);
    code = code != 0 ? code : spng_decode_chunks(png); /* to the end: the sum of the last chunk */
    if (code != 0) {
        return failed(code, err);
    }
    for (size_t i = 0; form->bytes == 2 && i < made; i++) {
        raw[i] = raw[2 * i]; /* big-endian: the high byte comes first */
    }
    return form->is_indexed ? expand(png, ihdr, to, form->channels, raw, err) : 0;
}

static int run(struct decode *decode, spng_ctx *png, const struct walk *w, int channels,
               bool is_header, struct decode_image *ret, struct err *err)
{
    struct spng_ihdr ihdr;
    int code = spng_set_image_limits(png, INT32_MAX, INT32_MAX);
    code = code != 0 ? code : spng_set_png_buffer(png, w->out, w->out_size);
    code = code != 0 ? code : spng_get_ihdr(png, &ihdr);
    if (code != 0) {
        return failed(code, err);
    }
    int r = decode_check_size(ihdr.width, ihdr.height, err);
    if (r < 0) {
        return r;
    }
    r = check_data(w, &ihdr, err);
    if (r < 0) {
        return r;
    }
    struct form form = form_of(&ihdr, w->has_transparency);
    if (form.is_indexed && (decode->formats & DECODE_NUMBERS) != 0) {
        form.channels = 1;
    }
    *ret = (struct decode_image){
        .height = ihdr.height, .width = ihdr.width, .channels = form.channels};
    ret->orientation = w->orientation;
    if (is_header) {
        return 0;
    }
    r = decode_native(decode, png, &ihdr, &form, err);
    return r < 0 ? r : decode_finish(decode, ret, channels, err);
}

int decode_png_run(struct decode *decode, const void *data, size_t size, int channels,
                   bool is_header, struct decode_image *ret, struct err *err)
{
    struct walk w = {
        .data = data, .size = size, .orientation = 1, .out = decode_need(&decode->stream, size)};
    if (size < HEAD) {
        return err_set(err, ERR_TRUNCATED, "ends inside its signature");
    }
    if (w.out == NULL) {
        return err_set(err, ERR_NO_MEMORY, "no memory for %zu bytes", size);
    }
    int r = walk_chunks(&w, err);
    if (r < 0) {
        return r;
    }
    spng_ctx *png = spng_ctx_new(0);
    if (png == NULL) {
        return err_set(err, ERR_NO_MEMORY, "no memory for a PNG decoder");
    }
    r = run(decode, png, &w, channels, is_header, ret, err);
    spng_ctx_free(png);
    return r;
}
