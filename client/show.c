#include "client/show.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "client/term.h"

void show_count(int64_t n, char buf[SHOW_TEXT])
{
    char digits[24];
    int size = snprintf(digits, sizeof(digits), "%lld", (long long)n);
    size_t used = 0;
    for (int i = 0; i < size && used + 2 < SHOW_TEXT; i++) {
        bool comma = i > 0 && digits[i - 1] != '-' && (size - i) % 3 == 0;
        if (comma) {
            buf[used++] = ',';
        }
        buf[used++] = digits[i];
    }
    buf[used] = '\0';
}

static void scaled(double number, double step, const char *const *units, char buf[SHOW_TEXT])
{
    int i = 0;
    while (number >= step && units[i + 1] != NULL) {
        number /= step;
        i++;
    }
    (void)snprintf(buf, SHOW_TEXT,
                   i == 0         ? "%.0f%s"
                   : number < 100 ? "%.1f%s"
                                  : "%.0f%s",
                   number, units[i]);
}

void show_bytes(int64_t n, char buf[SHOW_TEXT])
{
    static const char *const units[] = {" bytes", " kB", " MB", " GB", " TB", " PB", NULL};
    scaled((double)n, 1000, units, buf);
}

void show_scaled(double number, char buf[SHOW_TEXT])
{
    static const char *const units[] = {"", " k", " M", " G", " T", " P", NULL};
    scaled(number, 1000, units, buf);
}

void show_duration(double seconds, char buf[SHOW_TEXT])
{
    if (!(seconds >= 0) || seconds > 1e9) {
        (void)snprintf(buf, SHOW_TEXT, "-:--");
        return;
    }
    long long s = (long long)(seconds + 0.5);
    if (s >= 3600) {
        (void)snprintf(buf, SHOW_TEXT, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
    } else {
        (void)snprintf(buf, SHOW_TEXT, "%lld:%02lld", s / 60, s % 60);
    }
}

void show_number(double number, char buf[SHOW_TEXT])
{
    double size = fabs(number);
    if (size >= 10) {
        (void)snprintf(buf, SHOW_TEXT, size >= 1000 ? "%.0f" : "%.2f", number);
    } else {
        (void)snprintf(buf, SHOW_TEXT, size >= 0.001 || size <= 0 ? "%.4f" : "%.2e", number);
    }
}

void show_table_init(struct show_table *table, struct arena *arena, int n_columns, unsigned right)
{
    BUG_ON(n_columns > SHOW_COLUMNS_MAX);
    *table = (struct show_table){.arena = arena, .n_columns = n_columns, .right = right};
}

void show_cell(struct show_table *table, const char *format, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    if (table->n_cells == table->capacity) {
        size_t capacity = table->capacity > 0 ? table->capacity * 2 : 64;
        const char **cells = arena_array(table->arena, capacity, sizeof(*cells));
        for (size_t i = 0; i < table->n_cells; i++) {
            cells[i] = table->cells[i];
        }
        table->cells = cells;
        table->capacity = capacity;
    }
    table->cells[table->n_cells++] = arena_strdup(table->arena, text);
}

void show_table_print(const struct show_table *table, const char *head_on, const char *head_off,
                      struct buf *out)
{
    int widths[SHOW_COLUMNS_MAX] = {0};
    size_t n = (size_t)table->n_columns;
    for (size_t i = 0; i < table->n_cells; i++) {
        int width = term_columns(table->cells[i]);
        widths[i % n] = width > widths[i % n] ? width : widths[i % n];
    }
    for (size_t i = 0; i < table->n_cells; i++) {
        const char *cell = table->cells[i];
        bool last = i % n == n - 1;
        bool right = (table->right >> (i % n) & 1) != 0;
        int pad = widths[i % n] - term_columns(cell);
        buf_printf(out, "%s%*s%s%*s", i == 0 ? head_on : "", right ? pad : 0, "", cell,
                   right || last ? 0 : pad, "");
        buf_puts(out, last ? (i == n - 1 ? head_off : "") : "  ");
        buf_puts(out, last ? "\n" : "");
    }
}
