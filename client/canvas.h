/* canvas - colour pixels to draw on, and how they become a PNG file.
 *
 * Owns:     the pixels, given back by canvas_fini.
 * Threads:  one at a time.
 * Errors:   ERR_LIMIT, ERR_NO_MEMORY. What lies outside of the canvas is not drawn.
 * Lifetime: init .. fini.
 */
#ifndef CLIENT_CANVAS_H
#define CLIENT_CANVAS_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum { CANVAS_SIDE_MAX = 16384, CANVAS_GLYPH_WIDTH = 6, CANVAS_GLYPH_HEIGHT = 8 };

struct colour {
    unsigned char r, g, b;
};
struct canvas {
    int width, height;
    struct colour *pixels;
};

int canvas_init(struct canvas *ret, int width, int height, struct colour colour, struct err *err);
void canvas_fini(struct canvas *canvas);
void canvas_set(struct canvas *canvas, int x, int y, struct colour colour);
struct colour canvas_get(const struct canvas *canvas, int x, int y); /* inside */
/* The outline of a rectangle, one pixel thick; corners included. */
void canvas_frame(struct canvas *canvas, int x0, int y0, int x1, int y1, struct colour colour);
/* One line of letters CANVAS_GLYPH_WIDTH wide, cut after `width` pixels; what is not ASCII becomes a box. */
void canvas_text(struct canvas *canvas, int x, int y, int width, const char *text,
                 struct colour colour);
int canvas_png(const struct canvas *canvas, struct buf *out, struct err *err);

/* Columns of a letter of the font, the lowest bit on top (client/font.c). */
const unsigned char *font_glyph(unsigned int code);

#endif
