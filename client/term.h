/* term - the terminal that a person sits at: is it one, how wide, with which colours.
 *
 * Owns:     nothing.
 * Threads:  none shared.
 * Errors:   none.
 * Lifetime: the program's.
 *
 * Codes are texts that are "" without colour, so that a printf serves both.
 */
#ifndef CLIENT_TERM_H
#define CLIENT_TERM_H

#include <stdbool.h>

enum term_color { TERM_COLOR_AUTO, TERM_COLOR_ALWAYS, TERM_COLOR_NEVER };

struct term {
    bool live; /* standard error is a terminal that can redraw a line */
    bool utf8; /* block characters may be printed */
    const char *bold, *dim, *red, *green, *yellow, *blue, *plain;
};

/* NO_COLOR and TERM=dumb count unless color says otherwise. */
void term_init(struct term *term, enum term_color color);
/* Columns of standard error now; 80 if it is no terminal. */
int term_width(void);
/* Columns that a UTF-8 text takes, one a character. */
int term_columns(const char *text);

#endif
