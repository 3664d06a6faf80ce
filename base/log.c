#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"

enum { FIELD_BYTES = 1024, LINE_BYTES = 16384 };

static const struct {
    const char *word;
    int priority; /* of syslog, as journald reads it in front of a line */
} levels[] = {
    [LOG_LEVEL_ERROR] = {"error", 3},
    [LOG_LEVEL_WARNING] = {"warning", 4},
    [LOG_LEVEL_INFO] = {"info", 6},
    [LOG_LEVEL_DEBUG] = {"debug", 7},
};

/* systemd says in JOURNAL_STREAM which device and inode its pipe has. */
static bool is_journal(int fd)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat st;
    char own[64];
    if (!stream || fstat(fd, &st) < 0) {
        return false;
    }
    (void)snprintf(own, sizeof(own), "%llu:%llu", (unsigned long long)st.st_dev,
                   (unsigned long long)st.st_ino);
    return strcmp(own, stream) == 0;
}

void log_init(struct log *log, const char *program, int fd, enum log_level level,
              enum log_form form)
{
    *log = (struct log){.fd = fd, .level = level, .form = form, .program = program};
    if (form == LOG_FORM_AUTO) {
        bool is_terminal = isatty(fd) != 0;
        log->form = is_journal(fd) ? LOG_FORM_JOURNAL : is_terminal ? LOG_FORM_TEXT : LOG_FORM_JSON;
    }
}

/* A line of bounded size on the stack: logging allocates nothing. */
struct line {
    char text[LINE_BYTES];
    size_t n;
};

static void put_n(struct line *line, const char *text, size_t n)
{
    size_t room = sizeof(line->text) - 64 - line->n; /* the end of the line always fits */
    n = n < room ? n : room;
    memcpy(line->text + line->n, text, n);
    line->n += n;
}

static void put(struct line *line, const char *text)
{
    put_n(line, text, strlen(text));
}

static size_t utf8_length(const unsigned char *p)
{
    static const struct {
        unsigned char mask, lead, low, high; /* bounds of the second byte, by first byte below */
    } kinds[] = {{0xE0, 0xC0, 0x80, 0xBF}, {0xF0, 0xE0, 0x80, 0xBF}, {0xF8, 0xF0, 0x80, 0xBF}};
    for (size_t i = 0; i < 3; i++) {
        if ((p[0] & kinds[i].mask) != kinds[i].lead) {
            continue;
        }
        unsigned char low = p[0] == 0xE0 ? 0xA0 : p[0] == 0xF0 ? 0x90 : kinds[i].low;
        unsigned char high = p[0] == 0xED ? 0x9F : p[0] == 0xF4 ? 0x8F : kinds[i].high;
        if (p[0] == 0xC0 || p[0] == 0xC1 || p[0] > 0xF4 || p[1] < low || p[1] > high) {
            return 0;
        }
        for (size_t k = 2; k < i + 2; k++) {
            if ((p[k] & 0xC0) != 0x80) {
                return 0;
            }
        }
        /* U+0080..U+009F are control characters of terminals too. */
        return p[0] == 0xC2 && p[1] < 0xA0 ? 0 : i + 2;
    }
    return 0;
}

/* Quotes and backslashes are escaped in both forms, so that a text cannot end its own quotes. */
static void put_escaped(struct line *line, const char *text, bool json)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t n = strnlen(text, FIELD_BYTES);
    for (size_t i = 0; i < n;) {
        char escaped[8];
        size_t length = p[i] < 0x80 ? 1 : utf8_length(p + i);
        if (p[i] == '"' || p[i] == '\\') {
            (void)snprintf(escaped, sizeof(escaped), "\\%c", p[i]);
            put(line, escaped);
        } else if (p[i] == '\n') {
            put(line, "\\n");
        } else if (length == 0 || p[i] < 0x20 || p[i] == 0x7F) {
            (void)snprintf(escaped, sizeof(escaped), json ? "\\\\x%02x" : "\\x%02x", p[i]);
            put(line, escaped);
            length = 1;
        } else if (i + length > n) {
            break; /* cut between characters */
        } else {
            put_n(line, text + i, length);
        }
        i += length;
    }
    if (text[n] != '\0') {
        put(line, "...");
    }
}

static void put_number(struct line *line, int64_t number)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "%lld", (long long)number);
    put(line, text);
}

static bool is_plain(const char *text)
{
    size_t n =
        strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@+,%");
    return n > 0 && text[n] == '\0';
}

static void form_text(const struct log *log, struct line *line, enum log_level level,
                      const char *message, const struct log_field *fields, int n_fields)
{
    char head[64], when[40];
    if (log->form == LOG_FORM_JOURNAL) {
        (void)snprintf(head, sizeof(head), "<%d>", levels[level].priority);
        put(line, head);
    } else {
        clock_format(clock_wall_us(), when, sizeof(when));
        (void)snprintf(head, sizeof(head), "%.8s %-7s ", when + 11, levels[level].word);
        put(line, head);
        put(line, log->program);
        put(line, ": ");
    }
    put_escaped(line, message, false);
    for (int i = 0; i < n_fields; i++) {
        put(line, " ");
        put(line, fields[i].name);
        put(line, "=");
        if (!fields[i].text) {
            put_number(line, fields[i].number);
            continue;
        }
        const char *quote = is_plain(fields[i].text) ? "" : "\"";
        put(line, quote);
        put_escaped(line, fields[i].text, false);
        put(line, quote);
    }
    line->text[line->n++] = '\n';
}

static void form_json(const struct log *log, struct line *line, enum log_level level,
                      const char *message, const struct log_field *fields, int n_fields)
{
    char when[40];
    clock_format(clock_wall_us(), when, sizeof(when));
    put(line, "{\"time\":\"");
    put(line, when);
    put(line, "\",\"level\":\"");
    put(line, levels[level].word);
    put(line, "\",\"program\":\"");
    put_escaped(line, log->program, true);
    put(line, "\",\"message\":\"");
    put_escaped(line, message, true);
    put(line, "\"");
    /* A field that does not fit is left out whole: the line stays JSON. */
    for (int i = 0; i < n_fields && line->n + 6 * FIELD_BYTES < sizeof(line->text); i++) {
        put(line, ",\"");
        put_escaped(line, fields[i].name, true);
        put(line, "\":");
        if (!fields[i].text) {
            put_number(line, fields[i].number);
            continue;
        }
        put(line, "\"");
        put_escaped(line, fields[i].text, true);
        put(line, "\"");
    }
    put(line, "}");
    line->text[line->n++] = '\n';
}

void log_event(struct log *log, enum log_level level, const char *message,
               const struct log_field *fields, int n_fields)
{
    if (level > log->level) {
        return;
    }
    struct line line;
    line.n = 0;
    if (log->form == LOG_FORM_JSON) {
        form_json(log, &line, level, message, fields, n_fields);
    } else {
        form_text(log, &line, level, message, fields, n_fields);
    }
    ssize_t n;
    do {
        n = write(log->fd, line.text, line.n);
    } while (n < 0 && errno == EINTR);
    if (n != (ssize_t)line.n) {
        __atomic_add_fetch(&log->n_dropped, 1, __ATOMIC_RELAXED);
    }
}

void log_err(struct log *log, enum log_level level, const char *message, const struct err *err)
{
    log_put(log, level, message, LOG_TEXT("error", err_find(err->code)->name),
            LOG_TEXT("path", err->path), LOG_TEXT("reason", err->text));
}
