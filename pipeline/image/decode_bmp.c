/* decode_bmp - Windows bitmaps, read here: headers of 12 to 124 bytes, 1, 4, 8, 16, 24, 32 bits,
 * palettes, masks, run lengths of 4 and 8 bits, either order of rows. Source: Microsoft's "Bitmap
 * Storage"; what is left open there is as Pillow has it (32 bits without an alpha mask are RGB). */
#include <string.h>

#include "pipeline/image/decode_impl.h"

enum { FILE_HEAD = 14, CORE_HEAD = 12, INFO_HEAD = 40, MASKS_HEAD = 52, ALPHA_HEAD = 56 };
enum packing { PACK_RGB = 0, PACK_RLE8 = 1, PACK_RLE4 = 2, PACK_MASKS = 3, PACK_ALPHA_MASKS = 6 };

struct channel {
    uint32_t mask;
    unsigned shift, max;
};
struct bmp {
    const unsigned char *data;
    size_t size, pixels_at, head_bytes;
    int64_t width, height;
    bool is_top_down, is_grey;
    unsigned bits, packing, n_colours;
    const unsigned char *palette;
    unsigned palette_step;
    struct channel channels[4]; /* red, green, blue, alpha */
    int n_channels;
};

static uint32_t little(const unsigned char *p, int bytes)
{
    uint32_t n = 0;
    for (int i = bytes - 1; i >= 0; i--) {
        n = n << 8 | p[i];
    }
    return n;
}

bool decode_bmp_is(const void *data, size_t size)
{
    return size >= 2 && memcmp(data, "BM", 2) == 0;
}

static struct channel channel_of(uint32_t mask)
{
    struct channel c = {.mask = mask};
    if (mask != 0) {
        c.shift = (unsigned)__builtin_ctz(mask);
        c.max = mask >> c.shift;
    }
    return c;
}

static int read_masks(struct bmp *b, struct err *err)
{
    static const uint32_t plain16[] = {0x7c00, 0x3e0, 0x1f, 0},
                          plain32[] = {0xff0000, 0xff00, 0xff, 0};
    const bool has_masks = b->packing == PACK_MASKS || b->packing == PACK_ALPHA_MASKS;
    const bool has_alpha = b->packing == PACK_ALPHA_MASKS || b->head_bytes >= ALPHA_HEAD;
    const size_t at = FILE_HEAD + INFO_HEAD;
    if (has_masks && b->size < at + 16) {
        return err_set(err, ERR_TRUNCATED, "BMP: ends inside its masks");
    }
    uint32_t all = 0;
    for (int i = 0; i < 4; i++) {
        uint32_t mask = b->bits == 16 ? plain16[i] : plain32[i];
        if (has_masks) {
            mask = i < 3 || has_alpha ? little(b->data + at + 4 * i, 4) : 0;
        }
        b->channels[i] = channel_of(mask);
        if ((all & mask) != 0 || (i < 3 && mask == 0) ||
            (b->channels[i].max & (b->channels[i].max + 1u)) != 0) {
            return err_set(err, ERR_CORRUPT, "BMP: mask %d is %08x", i, mask);
        }
        all |= mask;
    }
    b->n_channels = b->channels[3].mask != 0 ? 4 : 3;
    return 0;
}

static int read_palette(struct bmp *b, uint32_t declared, struct err *err)
{
    const size_t begin = FILE_HEAD + b->head_bytes;
    const unsigned most = 1u << b->bits;
    b->palette_step = b->head_bytes == CORE_HEAD ? 3 : 4;
    b->n_colours = declared == 0 ? most : declared;
    b->palette = b->data + begin;
    if (b->n_colours > most) {
        return err_set(err, ERR_CORRUPT, "BMP: %u colours for %u bits", b->n_colours, b->bits);
    }
    if (begin + (size_t)b->n_colours * b->palette_step > b->pixels_at) {
        return err_set(err, ERR_CORRUPT, "BMP: %u colours do not fit in front of its pixels",
                       b->n_colours);
    }
    b->is_grey = true;
    for (unsigned i = 0; i < b->n_colours; i++) {
        const unsigned char *p = b->palette + (size_t)i * b->palette_step;
        b->is_grey = b->is_grey && p[0] == p[1] && p[1] == p[2];
    }
    b->n_channels = b->is_grey ? 1 : 3;
    return 0;
}

static int check_form(const struct bmp *b, struct err *err)
{
    static const struct {
        unsigned bits, packing;
    } forms[] = {{1, PACK_RGB},  {4, PACK_RGB},  {4, PACK_RLE4},   {8, PACK_RGB},
                 {8, PACK_RLE8}, {16, PACK_RGB}, {16, PACK_MASKS}, {16, PACK_ALPHA_MASKS},
                 {24, PACK_RGB}, {32, PACK_RGB}, {32, PACK_MASKS}, {32, PACK_ALPHA_MASKS}};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (forms[i].bits == b->bits && forms[i].packing == b->packing) {
            return 0;
        }
    }
    return err_set(err, ERR_UNSUPPORTED, "BMP: %u bits a pixel with compression %u", b->bits,
                   b->packing);
}

static int read_heads(struct bmp *b, struct err *err)
{
    const unsigned char *p = b->data;
    if (b->size < FILE_HEAD + 4) {
        return err_set(err, ERR_TRUNCATED, "BMP: ends inside its header");
    }
    b->pixels_at = little(p + 10, 4);
    b->head_bytes = little(p + 14, 4);
    const bool is_core = b->head_bytes == CORE_HEAD;
    if (!is_core && (b->head_bytes < INFO_HEAD || b->head_bytes > 1024)) {
        return err_set(err, ERR_UNSUPPORTED, "BMP: a header of %zu bytes", b->head_bytes);
    }
    if (b->size < FILE_HEAD + b->head_bytes || b->pixels_at > b->size) {
        return err_set(err, ERR_TRUNCATED, "BMP: ends inside its header");
    }
    b->width = is_core ? (int64_t)little(p + 18, 2) : (int32_t)little(p + 18, 4);
    b->height = is_core ? (int64_t)little(p + 20, 2) : (int32_t)little(p + 22, 4);
    b->is_top_down = b->height < 0;
    b->height = b->is_top_down ? -b->height : b->height;
    b->bits = little(p + (is_core ? 24 : 28), 2);
    b->packing = is_core ? PACK_RGB : little(p + 30, 4);
    int r = decode_check_size(b->width, b->height, err);
    r = r < 0 ? r : check_form(b, err);
    if (r < 0) {
        return r;
    }
    if (b->pixels_at < FILE_HEAD + b->head_bytes) {
        return err_set(err, ERR_CORRUPT, "BMP: its pixels begin inside its header");
    }
    if (b->bits <= 8) {
        return read_palette(b, is_core ? 0 : little(p + 46, 4), err);
    }
    return b->bits == 24 ? (b->n_channels = 3, 0) : read_masks(b, err);
}

/* Run lengths into one byte a pixel; what is skipped stays colour 0. */
static int expand_runs(const struct bmp *b, unsigned char *out, struct err *err)
{
    const unsigned char *p = b->data + b->pixels_at, *end = b->data + b->size;
    int64_t x = 0, y = 0;
    memset(out, 0, (size_t)(b->width * b->height));
    while (end - p >= 2) {
        const unsigned n = p[0], value = p[1];
        const bool is_literal = n == 0 && value > 2;
        const unsigned count = is_literal ? value : n;
        p += 2;
        if (n == 0 && value == 1) {
            return 0;
        }
        if (n == 0 && value == 0) {
            x = 0;
            y++;
        } else if (n == 0 && value == 2) {
            if (end - p < 2) {
                break;
            }
            x += p[0];
            y += p[1];
            p += 2;
        } else {
            const size_t bytes = !is_literal ? 0 : b->bits == 8 ? count : (count + 1) / 2;
            if (y >= b->height || count > b->width - x) {
                return err_set(err, ERR_CORRUPT, "BMP: a run of %u leaves row %lld", count,
                               (long long)y);
            }
            if ((size_t)(end - p) < bytes) {
                break;
            }
            unsigned char *to = out + y * b->width + x;
            for (unsigned i = 0; i < count; i++) {
                const unsigned pair = !is_literal ? value : b->bits == 8 ? p[i] : p[i / 2];
                to[i] = (unsigned char)(b->bits == 8 ? pair : i % 2 == 0 ? pair >> 4 : pair & 15);
            }
            x += count;
            p += bytes + bytes % 2 > (size_t)(end - p) ? (size_t)(end - p) : bytes + bytes % 2;
        }
    }
    return err_set(err, ERR_TRUNCATED, "BMP: ends inside its runs");
}

static int put_colour(const struct bmp *b, unsigned i, unsigned char *out, struct err *err)
{
    if (i >= b->n_colours) {
        return err_set(err, ERR_CORRUPT, "BMP: colour %u of a palette of %u", i, b->n_colours);
    }
    const unsigned char *p = b->palette + (size_t)i * b->palette_step;
    for (int c = 0; c < b->n_channels; c++) {
        out[c] = p[2 - c];
    }
    return 0;
}

static int put_row(const struct bmp *b, const unsigned char *in, unsigned bits, unsigned char *out,
                   struct err *err)
{
    for (int64_t x = 0; x < b->width; x++, out += b->n_channels) {
        if (bits <= 8) {
            const unsigned bit = (unsigned)(x * bits % 8);
            const unsigned i = (unsigned)in[x * bits / 8] >> (8 - bits - bit) & ((1u << bits) - 1);
            int r = put_colour(b, i, out, err);
            if (r < 0) {
                return r;
            }
        } else if (bits == 24) {
            out[0] = in[3 * x + 2];
            out[1] = in[3 * x + 1];
            out[2] = in[3 * x];
        } else {
            const uint32_t pixel = little(in + x * (bits / 8), (int)bits / 8);
            for (int c = 0; c < b->n_channels; c++) {
                const struct channel *k = &b->channels[c];
                out[c] = (unsigned char)((uint64_t)((pixel & k->mask) >> k->shift) * 255 / k->max);
            }
        }
    }
    return 0;
}

static int put_pixels(struct decode *decode, const struct bmp *b, unsigned char *out,
                      struct err *err)
{
    const bool has_runs = b->packing == PACK_RLE8 || b->packing == PACK_RLE4;
    const unsigned bits = has_runs ? 8 : b->bits;
    const size_t stride = has_runs ? (size_t)b->width : ((size_t)b->width * b->bits + 31) / 32 * 4;
    const unsigned char *in = b->data + b->pixels_at;
    int r = 0;
    if (has_runs) {
        unsigned char *indices = decode_need(&decode->stream, stride * (size_t)b->height);
        if (indices == NULL) {
            return err_set(err, ERR_NO_MEMORY, "no memory for the picture");
        }
        in = indices;
        r = expand_runs(b, indices, err);
    } else if (b->size - b->pixels_at < stride * (size_t)b->height) {
        return err_set(err, ERR_TRUNCATED, "BMP: %zu bytes of pixels, %zu are needed",
                       b->size - b->pixels_at, stride * (size_t)b->height);
    }
    for (int64_t y = 0; r == 0 && y < b->height; y++) {
        const int64_t to = b->is_top_down ? y : b->height - 1 - y;
        r = put_row(b, in + (size_t)y * stride, bits, out + to * b->width * b->n_channels, err);
    }
    return r;
}

int decode_bmp_run(struct decode *decode, const void *data, size_t size, int channels,
                   bool is_header, struct decode_image *ret, struct err *err)
{
    struct bmp b = {.data = data, .size = size};
    int r = read_heads(&b, err);
    if (r < 0) {
        return r;
    }
    *ret = (struct decode_image){.height = b.height, .width = b.width, .channels = b.n_channels};
    if (is_header) {
        return 0;
    }
    unsigned char *out =
        decode_need(&decode->raw, (size_t)(b.width * b.height) * (size_t)b.n_channels);
    if (out == NULL) {
        return err_set(err, ERR_NO_MEMORY, "no memory for the picture");
    }
    r = put_pixels(decode, &b, out, err);
    return r < 0 ? r : decode_finish(decode, ret, channels, err);
}
