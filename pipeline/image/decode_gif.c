/* decode_gif - the first frame of a GIF, read here and laid on its screen. Source: GIF89a
 * (CompuServe, 1990). What the frame leaves free is its transparent colour, or colour 0, as Pillow
 * has it. */
#include <string.h>

#include "pipeline/image/decode_impl.h"

enum { HEAD = 13, FRAME = 10, CODES = 4096, COLOURS = 256 };

struct gif {
    const unsigned char *data;
    size_t size, at;
    int64_t width, height;         /* of the screen */
    int64_t left, top, wide, high; /* of the frame */
    const unsigned char *palette;
    unsigned n_colours;
    int transparent; /* -1: none */
    bool is_interlaced;
};

struct lzw {
    struct gif *gif;
    unsigned block;  /* bytes left of the block */
    uint32_t bits;   /* not used yet */
    unsigned n_bits; /* how many */
    bool is_over;    /* the block of length 0 was seen */
};

static unsigned little16(const unsigned char *p)
{
    return (unsigned)p[0] | (unsigned)p[1] << 8;
}

bool decode_gif_is(const void *data, size_t size)
{
    return size >= 6 && (memcmp(data, "GIF87a", 6) == 0 || memcmp(data, "GIF89a", 6) == 0);
}

static int ends_early(struct err *err)
{
    return err_set(err, ERR_TRUNCATED, "GIF: ends before its first frame does");
}

static int take_palette(struct gif *g, unsigned flags, struct err *err)
{
    if ((flags & 0x80) == 0) {
        return 0;
    }
    g->n_colours = 2u << (flags & 7);
    g->palette = g->data + g->at;
    if (g->size - g->at < 3 * (size_t)g->n_colours) {
        return ends_early(err);
    }
    g->at += 3 * (size_t)g->n_colours;
    return 0;
}

static int skip_blocks(struct gif *g, struct err *err)
{
    while (g->at < g->size && g->data[g->at] != 0) {
        g->at += 1u + g->data[g->at];
    }
    g->at++;
    return g->at <= g->size ? 0 : ends_early(err);
}

static int take_extension(struct gif *g, struct err *err)
{
    enum { CONTROL = 0xf9 };
    const unsigned char *p = g->data + g->at;
    if (g->size - g->at < 2) {
        return ends_early(err);
    }
    if (p[1] == CONTROL && g->size - g->at >= 8 && p[2] == 4) {
        g->transparent = (p[3] & 1) != 0 ? p[6] : -1;
    }
    g->at += 2;
    return skip_blocks(g, err);
}

static int take_frame(struct gif *g, struct err *err)
{
    const unsigned char *p = g->data + g->at;
    if (g->size - g->at < FRAME) {
        return ends_early(err);
    }
    g->left = little16(p + 1);
    g->top = little16(p + 3);
    g->wide = little16(p + 5);
    g->high = little16(p + 7);
    g->is_interlaced = (p[9] & 0x40) != 0;
    g->at += FRAME;
    if (g->wide == 0 || g->high == 0 || g->left + g->wide > g->width ||
        g->top + g->high > g->height) {
        return err_set(err, ERR_CORRUPT,
                       "GIF: a frame of %lld x %lld at %lld, %lld on a screen of %lld x %lld",
                       (long long)g->wide, (long long)g->high, (long long)g->left,
                       (long long)g->top, (long long)g->width, (long long)g->height);
    }
    int r = take_palette(g, p[9], err);
    return r < 0                ? r
           : g->palette == NULL ? err_set(err, ERR_UNSUPPORTED, "GIF: has no palette")
                                : 0;
}

/* Up to the first frame's data. */
static int find_frame(struct gif *g, struct err *err)
{
    g->transparent = -1;
    if (g->size < HEAD) {
        return ends_early(err);
    }
    g->width = little16(g->data + 6);
    g->height = little16(g->data + 8);
    g->at = HEAD;
    int r = decode_check_size(g->width, g->height, err);
    r = r < 0 ? r : take_palette(g, g->data[10], err);
    while (r == 0) {
        if (g->at >= g->size) {
            return ends_early(err);
        }
        switch (g->data[g->at]) {
        case 0x2c: return take_frame(g, err);
        case 0x21: r = take_extension(g, err); break;
        case 0x3b: return err_set(err, ERR_EMPTY, "GIF: has no frame");
        default:
            return err_set(err, ERR_CORRUPT, "GIF: a block of kind %02x at byte %zu",
                           g->data[g->at], g->at);
        }
    }
    return r;
}

/* The next code, or -1 behind the last block or the last byte. */
static int next_code(struct lzw *z, unsigned width)
{
    struct gif *g = z->gif;
    while (z->n_bits < width) {
        if (z->block == 0) {
            if (z->is_over || g->at >= g->size) {
                return -1;
            }
            z->block = g->data[g->at++];
            z->is_over = z->block == 0;
            continue;
        }
        if (g->at >= g->size) {
            return -1;
        }
        z->bits |= (uint32_t)g->data[g->at++] << z->n_bits;
        z->n_bits += 8;
        z->block--;
    }
    const unsigned code = z->bits & ((1u << width) - 1);
    z->bits >>= width;
    z->n_bits -= width;
    return (int)code;
}

struct table { /* of strings: each is the string of `prefix` and one more */
    uint16_t prefix[CODES], length[CODES];
    unsigned char last[CODES], first[CODES];
};

static void table_reset(struct table *t, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        t->last[i] = t->first[i] = (unsigned char)i;
        t->length[i] = 1;
    }
}

/* The string of a code, written from its end. */
static void put_string(const struct table *t, unsigned code, unsigned char *to, size_t room)
{
    for (size_t n = t->length[code]; n > 0; n--) {
        if (n <= room) {
            to[n - 1] = t->last[code];
        }
        code = t->prefix[code];
    }
}

/* Indices in the order of the file. */
static int inflate_frame(struct gif *g, unsigned char *out, struct err *err)
{
    const size_t n = (size_t)(g->wide * g->high);
    const unsigned root = g->at < g->size ? g->data[g->at++] : 0, clear = 1u << root;
    struct lzw z = {.gif = g};
    struct table t;
    size_t made = 0;
    unsigned width = root + 1, next = clear + 2;
    int last = -1;
    if (root < 2 || root > 8) {
        return err_set(err, ERR_CORRUPT, "GIF: codes begin with %u bits", root);
    }
    table_reset(&t, clear);
    while (made < n) {
        const int code = next_code(&z, width);
        if (code < 0 || (unsigned)code == clear + 1) {
            return err_set(err, code < 0 && !z.is_over ? ERR_TRUNCATED : ERR_CORRUPT,
                           "GIF: its data end after %zu of %zu pixels", made, n);
        }
        if ((unsigned)code == clear) {
            width = root + 1;
            next = clear + 2;
            last = -1;
            continue;
        }
        const bool is_known =
            (unsigned)code < clear || ((unsigned)code > clear + 1 && (unsigned)code < next);
        if (!is_known && ((unsigned)code != next || last < 0 || next >= CODES)) {
            return err_set(err, ERR_CORRUPT, "GIF: code %d after %u are known", code, next);
        }
        if (last >= 0 && next < CODES) {
            t.prefix[next] = (uint16_t)last;
            t.length[next] = (uint16_t)(t.length[last] + 1);
            t.first[next] = t.first[last];
            t.last[next] = t.first[is_known ? code : last];
            next++;
            width += next == 1u << width && width < 12;
        }
        put_string(&t, (unsigned)code, out + made, n - made);
        made += t.length[code];
        last = code;
    }
    return 0;
}

/* Where row i of the file lies in the frame. */
static int64_t row_of(const struct gif *g, int64_t i)
{
    static const int begin[] = {0, 4, 2, 1}, step[] = {8, 8, 4, 2};
    if (!g->is_interlaced) {
        return i;
    }
    for (int pass = 0; pass < 4; pass++) {
        const int64_t rows =
            g->high <= begin[pass] ? 0 : (g->high - begin[pass] + step[pass] - 1) / step[pass];
        if (i < rows) {
            return begin[pass] + i * step[pass];
        }
        i -= rows;
    }
    BUG("row %lld", (long long)i);
}

static void put_colour(const struct gif *g, unsigned i, int channels, unsigned char *out)
{
    memcpy(out, g->palette + 3 * (size_t)i, 3);
    if (channels == 4) {
        out[3] = (int)i == g->transparent ? 0 : 255;
    }
}

static int lay(const struct gif *g, const unsigned char *indices, int channels, unsigned char *out,
               struct err *err)
{
    const unsigned ground = g->transparent >= 0 && (unsigned)g->transparent < g->n_colours
                                ? (unsigned)g->transparent
                                : 0;
    const bool is_whole = g->wide == g->width && g->high == g->height;
    for (int64_t i = 0; !is_whole && i < g->width * g->height; i++) {
        put_colour(g, ground, channels, out + i * channels);
    }
    for (int64_t y = 0; y < g->high; y++) {
        unsigned char *to = out + ((g->top + row_of(g, y)) * g->width + g->left) * channels;
        for (int64_t x = 0; x < g->wide; x++, to += channels) {
            const unsigned i = indices[y * g->wide + x];
            if (i >= g->n_colours) {
                return err_set(err, ERR_CORRUPT, "GIF: colour %u of a palette of %u", i,
                               g->n_colours);
            }
            put_colour(g, i, channels, to);
        }
    }
    return 0;
}

int decode_gif_run(struct decode *decode, const void *data, size_t size, int channels,
                   bool is_header, struct decode_image *ret, struct err *err)
{
    struct gif g = {.data = data, .size = size};
    int r = find_frame(&g, err);
    if (r < 0) {
        return r;
    }
    const int made = g.transparent >= 0 ? 4 : 3;
    *ret = (struct decode_image){.height = g.height, .width = g.width, .channels = made};
    if (is_header) {
        return 0;
    }
    unsigned char *indices = decode_need(&decode->stream, (size_t)(g.wide * g.high)),
                  *out = decode_need(&decode->raw, (size_t)(g.width * g.height * made));
    if (indices == NULL || out == NULL) {
        return err_set(err, ERR_NO_MEMORY, "no memory for the picture");
    }
    r = inflate_frame(&g, indices, err);
    r = r < 0 ? r : lay(&g, indices, made, out, err);
    return r < 0 ? r : decode_finish(decode, ret, channels, err);
}
