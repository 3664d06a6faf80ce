#include "client/picture.h"

#include <stdio.h>
#include <string.h>

#include "client/term.h"

enum { GAP = 2, SHADES = 5, CAPTION_MAX = 64 };

static unsigned int pixel(const struct picture *picture, int y, int x)
{
    return y < picture->height ? picture->pixels[y * picture->width + x] : 0;
}

/* Strong upper or lower half: a half block; else the shade of both. */
static const char *character(unsigned int upper, unsigned int lower, bool utf8)
{
    static const char *const shades[] = {" ", "\u2591", "\u2592", "\u2593", "\u2588"};
    static const char *const ascii[] = {" ", ".", "+", "*", "#"};
    unsigned int shade = (upper + lower) * SHADES / 511;
    shade = shade < SHADES ? shade : SHADES - 1;
    if (utf8 && upper > 127 && lower < 40) {
        return "\u2580";
    }
    if (utf8 && lower > 127 && upper < 40) {
        return "\u2584";
    }
    return utf8 ? shades[shade] : ascii[shade];
}

static void draw_row(const struct picture *picture, int y, bool utf8, struct buf *out)
{
    for (int x = 0; x < picture->width; x++) {
        buf_puts(out, y < picture->height
                          ? character(pixel(picture, y, x), pixel(picture, y + 1, x), utf8)
                          : " ");
    }
}

static void draw_caption(const struct picture *picture, bool last, struct buf *out)
{
    char text[CAPTION_MAX];
    (void)snprintf(text, sizeof(text), "%.*s", picture->width,
                   picture->caption != NULL ? picture->caption : "");
    int pad = picture->width - term_columns(text);
    buf_printf(out, "%s%*s", text, last || pad < 0 ? 0 : pad, "");
}

static void draw_group(const struct picture *pictures, int n, bool utf8, struct buf *out)
{
    int height = 0;
    for (int i = 0; i < n; i++) {
        height = pictures[i].height > height ? pictures[i].height : height;
    }
    for (int y = 0; y < height; y += 2) {
        for (int i = 0; i < n; i++) {
            draw_row(&pictures[i], y, utf8, out);
            buf_printf(out, "%*s", i + 1 < n ? GAP : 0, "");
        }
        while (out->size > 0 && out->data[out->size - 1] == ' ') {
            out->data[--out->size] = '\0';
        }
        buf_puts(out, "\n");
    }
    for (int i = 0; i < n; i++) {
        draw_caption(&pictures[i], i + 1 == n, out);
        buf_printf(out, "%*s", i + 1 < n ? GAP : 0, "");
    }
    buf_puts(out, "\n");
}

void picture_draw(const struct picture *pictures, int n, int columns, bool utf8, struct buf *out)
{
    for (int i = 0; i < n;) {
        int used = pictures[i].width;
        int count = 1;
        while (i + count < n && used + GAP + pictures[i + count].width <= columns) {
            used += GAP + pictures[i + count].width;
            count++;
        }
        draw_group(pictures + i, count, utf8, out);
        i += count;
    }
}
