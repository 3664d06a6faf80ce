/* log - one line an event: text on a terminal, JSON otherwise, journald's fields under systemd.
 *
 * Owns:     the file descriptor given (default 2).
 * Threads:  log_event may be called from any thread; a line is one write().
 * Errors:   never fails; a full pipe drops the line and counts it.
 * Lifetime: struct log is made once in main() and handed down. Only programs log; libraries return errors.
 *
 * Every text is escaped (no raw control bytes, invalid UTF-8 as \xHH) and cut at 1 KiB a field: data cannot forge a line.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_form { LOG_FORM_AUTO, LOG_FORM_TEXT, LOG_FORM_JSON, LOG_FORM_JOURNAL };

struct log {
    int fd;
    enum log_level level;
    enum log_form form; /* never AUTO after init */
    const char *program;
    uint64_t n_dropped;
};

struct log_field {
    const char *name; /* lower-case word */
    const char *text; /* or NULL, then number */
    int64_t number;
};
#define LOG_TEXT(n, t) ((struct log_field){.name = (n), .text = (t)})
#define LOG_NUMBER(n, v) ((struct log_field){.name = (n), .number = (int64_t)(v)})

void log_init(struct log *log, const char *program, int fd, enum log_level level, enum log_form form);
void log_event(struct log *log, enum log_level level, const char *message, const struct log_field *fields, int n_fields);
/* log_put(log, LOG_LEVEL_INFO, "worker started", LOG_NUMBER("pid", pid), LOG_TEXT("job", id)) */
#define log_put(log, level, message, ...) \
    log_event((log), (level), (message), (struct log_field[]){{.name = NULL}, ##__VA_ARGS__} + 1, \
              (int)(sizeof((struct log_field[]){{.name = NULL}, ##__VA_ARGS__}) / sizeof(struct log_field)) - 1)
void log_err(struct log *log, enum log_level level, const char *message, const struct err *err);

#endif
