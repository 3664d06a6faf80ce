/* show - numbers, times and tables as people read them.
 *
 * Owns:     nothing.
 * Threads:  none shared.
 * Errors:   none; a text that does not fit is cut.
 * Lifetime: the caller's.
 */
#ifndef CLIENT_SHOW_H
#define CLIENT_SHOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum { SHOW_TEXT = 32, SHOW_COLUMNS_MAX = 10 };

void show_count(int64_t n, char buf[SHOW_TEXT]);         /* 1,234,567 */
void show_bytes(int64_t n, char buf[SHOW_TEXT]);         /* 1.9 MB */
void show_duration(double seconds, char buf[SHOW_TEXT]); /* 0:32, 1:02:03 */
void show_number(double number, char buf[SHOW_TEXT]);    /* 0.1234, 12.35, 1.2e-05 */
/* 12.3 M: of operations, parameters. */
void show_scaled(double number, char buf[SHOW_TEXT]);

/* A table that is printed when it is complete: columns as wide as they need to be, two blanks
 * between. */
struct show_table {
    struct arena *arena;
    int n_columns;
    unsigned right; /* bit i: column i is aligned to the right */
    const char **cells;
    size_t n_cells, capacity;
};
void show_table_init(struct show_table *table, struct arena *arena, int n_columns, unsigned right);
void show_cell(struct show_table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void show_table_print(const struct show_table *table, const char *head_on, const char *head_off,
                      struct buf *out);

#endif
