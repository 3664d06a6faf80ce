#include "client/line.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

enum { DRAW_US = 50000 };

void line_init(struct line *line, const struct term *term)
{
    *line = (struct line){.term = term};
}

bool line_due(const struct line *line)
{
    return line->term->live && (!line->drawn || clock_us() - line->drawn_us >= DRAW_US);
}

/* One write, so that the line never shows half. */
static void put(const char *before, const struct buf *text, const char *after)
{
    struct buf out = {0};
    buf_puts(&out, before);
    buf_put(&out, text->data != NULL ? text->data : "", text->size);
    buf_puts(&out, after);
    (void)file_write_all(STDERR_FILENO, out.data, out.size, NULL);
    buf_fini(&out);
}

void line_draw(struct line *line, const struct buf *text)
{
    if (line->term->live) {
        put("\r", text, "\033[K");
        line->drawn = true;
        line->drawn_us = clock_us();
    }
}

void line_stay(struct line *line, const struct buf *text)
{
    put(line->drawn ? "\r\033[K" : "", text, "");
    line->drawn = false;
}

void line_clear(struct line *line)
{
    struct buf nothing = {0};
    if (line->drawn) {
        put("\r\033[K", &nothing, "");
        line->drawn = false;
    }
}
