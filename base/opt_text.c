/* Option values given as texts: command line, environment, key = value files. */
#include <stdio.h>
#include <string.h>

#include "base/opt.h"

void opt_number_text(double number, char *buf, size_t size)
{
    char text[40];
    doc_format_float(number, text, sizeof(text));
    size_t n = strlen(text);
    if (n > 2 && strcmp(text + n - 2, ".0") == 0) {
        text[n - 2] = '\0';
    }
    (void)snprintf(buf, size, "%s", text);
}

static bool is_word(const char *text, const char *const *words)
{
    for (; *words; words++) {
        if (strcmp(text, *words) == 0) {
            return true;
        }
    }
    return false;
}

static void text_to_bool(struct doc *value, const char *text, struct arena *arena)
{
    static const char *const yes[] = {"true", "yes", "on", "1", NULL};
    static const char *const no[] = {"false", "no", "off", "0", NULL};
    if (is_word(text, yes)) {
        doc_set_bool(value, true);
    } else if (is_word(text, no)) {
        doc_set_bool(value, false);
    } else {
        doc_set_str(value, arena, text);
    }
}

static void text_to_number(struct doc *value, const char *text, struct arena *arena)
{
    int64_t i;
    double f;
    if (doc_parse_int(text, &i)) {
        doc_set_int(value, i);
    } else if (doc_parse_float(text, &f)) {
        doc_set_float(value, f);
    } else {
        doc_set_str(value, arena, text);
    }
}

/* "[1,2]" is JSON, "1,2" a list of its parts. */
static int text_to_list(const struct opt *row, struct doc *value, const char *text,
                        struct arena *arena, struct err *err)
{
    struct doc *json = NULL;
    if (text[0] == '[' || text[0] == '{') {
        int r = doc_read_json(text, strlen(text), NULL, arena, &json, err);
        if (r == 0) {
            *value = *json;
        }
        return r;
    }
    doc_set_list(value);
    for (const char *p = text; *p;) {
        size_t n = strcspn(p, ",");
        const char *part = arena_strndup(arena, p, n);
        struct doc *item = doc_push(value, arena);
        if (row->type == OPT_STRS) {
            doc_set_str(item, arena, part);
        } else {
            text_to_number(item, part, arena);
        }
        p += p[n] == ',' ? n + 1 : n;
    }
    if (value->n == 1) {
        *value = value->items[0]; /* one number may stand for several */
    }
    return 0;
}

static int text_to_json(struct doc *value, const char *text, struct arena *arena, bool or_text,
                        struct err *err)
{
    struct doc *json = NULL;
    int r = doc_read_json(text, strlen(text), NULL, arena, &json, or_text ? NULL : err);
    if (r == 0) {
        *value = *json;
    } else if (or_text) {
        doc_set_str(value, arena, text);
        r = 0;
    }
    return r;
}

static int text_to_doc(const struct opt *row, struct doc *value, const char *text,
                       struct arena *arena, struct err *err)
{
    switch (row->type) {
    case OPT_BOOL: text_to_bool(value, text, arena); return 0;
    case OPT_I64:
    case OPT_F64:
    case OPT_F32: text_to_number(value, text, arena); return 0;
    case OPT_INTS:
    case OPT_FLOATS:
    case OPT_STRS: return text_to_list(row, value, text, arena, err);
    case OPT_GROUP:
    case OPT_GROUPS: return text_to_json(value, text, arena, false, err);
    case OPT_DOC: return text_to_json(value, text, arena, true, err);
    case OPT_STR:
    case OPT_ENUM:
    case OPT_BIN:
    case OPT_END: doc_set_str(value, arena, text); return 0;
    }
    return 0;
}

/* The row that a dotted name ends at, or NULL: opt_set then says what is wrong with the name. */
static const struct opt *find_dotted(const struct opt *table, const char *name)
{
    char head[128];
    const char *dot = strchr(name, '.');
    if (!dot) {
        return opt_find(table, name);
    }
    (void)snprintf(head, sizeof(head), "%.*s", (int)(dot - name), name);
    const struct opt *row = opt_find(table, head);
    return row && row->type == OPT_GROUP ? find_dotted(row->group, dot + 1) : NULL;
}

int opt_set_text(const struct opt *table, void *ctx, const char *name, const char *text,
                 struct arena *arena, struct err *err)
{
    char *plain = arena_strdup(arena, name);
    for (char *c = plain; *c; c++) {
        *c = *c == '-' ? '_' : *c; /* --log-level is log_level */
    }
    const struct opt *row = find_dotted(table, plain);
    struct doc *value = doc_new(arena);
    if (row) {
        int r = text_to_doc(row, value, text, arena, err);
        if (r < 0) {
            err_prefix(err, "%s", plain);
            return r;
        }
    }
    return opt_set(table, ctx, plain, value, arena, err);
}
