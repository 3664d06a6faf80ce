/* line - one line of standard error that is drawn again and again, and lines that stay above it.
 *
 * Owns:     nothing; the line drawn last is the terminal's.
 * Threads:  one.
 * Errors:   none.
 * Lifetime: init .. line_clear.
 *
 * Not on a terminal: nothing is redrawn, texts that stay are printed as they are.
 */
#ifndef CLIENT_LINE_H
#define CLIENT_LINE_H

#include <stdint.h>

#include "base/buf.h"
#include "client/term.h"

struct line {
    const struct term *term;
    bool drawn;
    int64_t drawn_us;
};

void line_init(struct line *line, const struct term *term);
/* True if it is time to draw again (20 times a second). */
bool line_due(const struct line *line);
/* Draws over the old one. */
void line_draw(struct line *line, const struct buf *text);
/* Prints a text with its line feeds above the line. */
void line_stay(struct line *line, const struct buf *text);
void line_clear(struct line *line);

#endif
