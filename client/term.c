#include "client/term.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { WIDTH = 80, WIDTH_MIN = 20, WIDTH_MAX = 1000 };

static bool is_utf8(void)
{
    const char *names[] = {getenv("LC_ALL"), getenv("LC_CTYPE"), getenv("LANG")};
    for (int i = 0; i < 3; i++) {
        if (names[i] != NULL && names[i][0] != '\0') {
            return strstr(names[i], "UTF-8") != NULL || strstr(names[i], "utf8") != NULL ||
                   strstr(names[i], "UTF8") != NULL || strstr(names[i], "utf-8") != NULL;
        }
    }
    return false;
}

void term_init(struct term *term, enum term_color color)
{
    const char *no_color = getenv("NO_COLOR");
    const char *name = getenv("TERM");
    bool dumb = name == NULL || strcmp(name, "dumb") == 0 || name[0] == '\0';
    bool colored = color == TERM_COLOR_ALWAYS;
    term->live = isatty(STDERR_FILENO) != 0 && !dumb;
    if (color == TERM_COLOR_AUTO) {
        colored =
            term->live && isatty(STDOUT_FILENO) != 0 && (no_color == NULL || no_color[0] == '\0');
    }
    term->utf8 = is_utf8();
    term->bold = colored ? "\033[1m" : "";
    term->dim = colored ? "\033[2m" : "";
    term->red = colored ? "\033[31m" : "";
    term->green = colored ? "\033[32m" : "";
    term->yellow = colored ? "\033[33m" : "";
    term->blue = colored ? "\033[34m" : "";
    term->plain = colored ? "\033[0m" : "";
}

int term_width(void)
{
    struct winsize size = {0};
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) {
        return WIDTH;
    }
    int width = size.ws_col;
    return width < WIDTH_MIN ? WIDTH_MIN : width > WIDTH_MAX ? WIDTH_MAX : width;
}

int term_columns(const char *text)
{
    int n = 0;
    for (const char *c = text; *c != '\0'; c++) {
        n += ((unsigned char)*c & 0xC0) != 0x80;
    }
    return n;
}
