#include "client/canvas.h"

#include <stdlib.h>
#include <string.h>

#include <zlib.h>

enum { GLYPH_COLUMNS = CANVAS_GLYPH_WIDTH - 1, PNG_LEVEL = 6 };

int canvas_init(struct canvas *ret, int width, int height, struct colour colour, struct err *err)
{
    *ret = (struct canvas){.width = width, .height = height};
    if (width < 1 || height < 1 || width > CANVAS_SIDE_MAX || height > CANVAS_SIDE_MAX) {
        return err_set(err, ERR_LIMIT, "a picture of %d x %d pixels; at most %d a side", width,
                       height, CANVAS_SIDE_MAX);
    }
    const size_t n = (size_t)width * (size_t)height;
    ret->pixels = malloc(n * sizeof *ret->pixels);
    if (ret->pixels == NULL) {
        return err_set(err, ERR_NO_MEMORY, "no memory for %d x %d pixels", width, height);
    }
    for (size_t i = 0; i < n; i++) {
        ret->pixels[i] = colour;
    }
    return 0;
}

void canvas_fini(struct canvas *canvas)
{
    free(canvas->pixels);
    *canvas = (struct canvas){0};
}

void canvas_set(struct canvas *canvas, int x, int y, struct colour colour)
{
    if (x >= 0 && y >= 0 && x < canvas->width && y < canvas->height) {
        canvas->pixels[(size_t)y * (size_t)canvas->width + (size_t)x] = colour;
    }
}

struct colour canvas_get(const struct canvas *canvas, int x, int y)
{
    BUG_ON(x < 0 || y < 0 || x >= canvas->width || y >= canvas->height);
    return canvas->pixels[(size_t)y * (size_t)canvas->width + (size_t)x];
}

void canvas_frame(struct canvas *canvas, int x0, int y0, int x1, int y1, struct colour colour)
{
    for (int x = x0; x <= x1; x++) {
        canvas_set(canvas, x, y0, colour);
        canvas_set(canvas, x, y1, colour);
    }
    for (int y = y0; y <= y1; y++) {
        canvas_set(canvas, x0, y, colour);
        canvas_set(canvas, x1, y, colour);
    }
}

static void draw_glyph(struct canvas *canvas, int x, int y, unsigned int code, struct colour colour)
{
    const unsigned char *columns = font_glyph(code);
    for (int i = 0; i < GLYPH_COLUMNS; i++) {
        for (int k = 0; k < CANVAS_GLYPH_HEIGHT; k++) {
            if ((columns[i] >> k & 1) != 0) {
                canvas_set(canvas, x + i, y + k, colour);
            }
        }
    }
}

void canvas_text(struct canvas *canvas, int x, int y, int width, const char *text,
                 struct colour colour)
{
    const int end = x + width;
    for (const char *at = text; *at != '\0' && x + GLYPH_COLUMNS <= end; at++) {
        const unsigned char c = (unsigned char)*at;
        if ((c & 0xc0) == 0x80) { /* the rest of a character of several bytes */
            continue;
        }
        draw_glyph(canvas, x, y, c, colour);
        x += CANVAS_GLYPH_WIDTH;
    }
}

/* ---- PNG -------------------------------------------------------------------------------------- */

static void put_big(unsigned char *p, uint32_t n)
{
    p[0] = (unsigned char)(n >> 24);
    p[1] = (unsigned char)(n >> 16);
    p[2] = (unsigned char)(n >> 8);
    p[3] = (unsigned char)n;
}

static void put_chunk(struct buf *out, const char *name, const void *data, size_t size)
{
    unsigned char head[8], tail[4];
    put_big(head, (uint32_t)size);
    memcpy(head + 4, name, 4);
    uLong sum = crc32(0, head + 4, 4);
    sum = size > 0 ? crc32(sum, data, (uInt)size) : sum;
    put_big(tail, (uint32_t)sum);
    buf_put(out, head, sizeof head);
    buf_put(out, data, size);
    buf_put(out, tail, sizeof tail);
}

/* Rows with their filter in front: none, which suits letters and flat borders. */
static unsigned char *filtered(const struct canvas *canvas, size_t *ret_size)
{
    const size_t row = (size_t)canvas->width * 3;
    unsigned char *raw = malloc((row + 1) * (size_t)canvas->height);
    for (int y = 0; y < canvas->height && raw != NULL; y++) {
        unsigned char *to = raw + (row + 1) * (size_t)y;
        *to++ = 0;
        for (int x = 0; x < canvas->width; x++) {
            const struct colour c = canvas_get(canvas, x, y);
            *to++ = c.r;
            *to++ = c.g;
            *to++ = c.b;
        }
    }
    *ret_size = (row + 1) * (size_t)canvas->height;
    return raw;
}

int canvas_png(const struct canvas *canvas, struct buf *out, struct err *err)
{
    static const unsigned char signature[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    unsigned char head[13] = {[8] = 8, [9] = 2}; /* 8 bits, RGB */
    size_t size = 0;
    unsigned char *raw = filtered(canvas, &size);
    uLongf packed_size = compressBound((uLong)size);
    unsigned char *packed = malloc(packed_size);
    const bool good = raw != NULL && packed != NULL &&
                      compress2(packed, &packed_size, raw, (uLong)size, PNG_LEVEL) == Z_OK;
    if (good) {
        put_big(head, (uint32_t)canvas->width);
        put_big(head + 4, (uint32_t)canvas->height);
        buf_put(out, signature, sizeof signature);
        put_chunk(out, "IHDR", head, sizeof head);
        put_chunk(out, "IDAT", packed, packed_size);
        put_chunk(out, "IEND", NULL, 0);
    }
    free(packed);
    free(raw);
    return good ? 0 : err_set(err, ERR_NO_MEMORY, "no memory for the PNG file");
}
