#include "client/yaml.h"

#include <libfyaml.h>
#include <stdio.h>
#include <string.h>

struct level {
    struct doc *node;
    const char *key; /* of the map's value that comes next, or NULL */
    uint32_t key_line;
};
struct reader {
    struct fy_parser *parser;
    struct fy_diag *diag;
    struct arena *arena;
    struct err *err;
    struct doc *root;
    struct level levels[YAML_DEPTH_MAX];
    int depth;
    size_t n_nodes;
    int n_documents;
    uint32_t line; /* of the last event that has one */
};

static int fail(struct reader *reader, int code, uint32_t line, const char *text)
{
    err_set(reader->err, code, "%s", text);
    if (reader->err != NULL) {
        reader->err->line = (int)line;
    }
    return code;
}

/* ---- the bytes ----------------------------------------------------------------------------------
 */

/* Bytes of the UTF-8 character at p, 0 if it is none. */
static size_t character(const unsigned char *p, size_t left)
{
    static const unsigned int least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = p[0] < 0x80 ? 1 : p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;
    unsigned int code = n == 1 ? p[0] : p[0] & (0x7Fu >> n);
    if ((p[0] >= 0x80 && p[0] < 0xC2) || p[0] > 0xF4 || n > left) {
        return 0;
    }
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xC0) != 0x80) {
            return 0;
        }
        code = code << 6 | (p[i] & 0x3F);
    }
    bool surrogate = code >= 0xD800 && code < 0xE000;
    return n > 1 && (code < least[n] || code > 0x10FFFF || surrogate) ? 0 : n;
}

static int check_bytes(struct reader *reader, const char *text, size_t size)
{
    const unsigned char *p = (const unsigned char *)text;
    uint32_t line = 1;
    for (size_t i = 0; i < size;) {
        size_t n = character(p + i, size - i);
        bool lone = p[i] == '\r' && (i + 1 == size || p[i + 1] != '\n'); /* would shift the lines */
        bool control =
            (p[i] < 0x20 && p[i] != '\t' && p[i] != '\n' && p[i] != '\r') || lone || p[i] == 0x7F;
        if (n == 0 || control) {
            return fail(reader, ERR_SYNTAX, line,
                        n == 0 ? "the text is not UTF-8"
                               : "a control character stands in the text");
        }
        line += p[i] == '\n';
        i += n;
    }
    return 0;
}

/* A directive can only stand before the document. */
static int check_directives(struct reader *reader, const char *text, size_t size)
{
    uint32_t line = 1;
    for (size_t i = 0; i < size; line++) {
        const char *end = memchr(text + i, '\n', size - i);
        if (text[i] == '%') {
            return fail(reader, ERR_UNSUPPORTED, line,
                        "directives ('%') are not taken in a job file");
        }
        if (strchr("#\r\n", text[i]) == NULL || end == NULL) {
            return 0;
        }
        i = (size_t)(end - text) + 1;
    }
    return 0;
}

/* ---- scalars ------------------------------------------------------------------------------------
 */

static bool is_one_of(const char *text, const char *const *words)
{
    while (*words != NULL && strcmp(text, *words) != 0) {
        words++;
    }
    return *words != NULL;
}

static bool looks_like_number(const char *text)
{
    const char *digits = text + (text[0] == '-' || text[0] == '+');
    return digits[0] != '\0' && strspn(digits, "0123456789") == strlen(digits);
}

static int plain_number(struct reader *reader, struct doc *node, const char *text, bool *ret_is)
{
    static const char *const infinite[] = {".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", NULL};
    static const char *const minus_infinite[] = {"-.inf", "-.Inf", "-.INF", NULL};
    static const char *const not_a_number[] = {".nan", ".NaN", ".NAN", NULL};
    const char *digits = text + (text[0] == '-' || text[0] == '+');
    int64_t i;
    double f;
    *ret_is = true;
    if (looks_like_number(text)) {
        if (digits[0] == '0' && digits[1] != '\0') {
            return fail(reader, ERR_SYNTAX, node->line,
                        "a number with a leading zero may be meant as octal: write it in decimal, "
                        "or in quotes as a text");
        }
        if (!doc_parse_int(text + (text[0] == '+'), &i)) {
            return fail(reader, ERR_RANGE, node->line, "the number does not fit into 64 bits");
        }
        doc_set_int(node, i);
    } else if (is_one_of(text, infinite) || is_one_of(text, minus_infinite)) {
        doc_set_float(node, text[0] == '-' ? -__builtin_inf() : __builtin_inf());
    } else if (is_one_of(text, not_a_number)) {
        doc_set_float(node, __builtin_nan(""));
    } else if (strspn(digits, "0123456789.eE+-") == strlen(digits) && doc_parse_float(text, &f)) {
        doc_set_float(node, f);
    } else {
        *ret_is = false;
    }
    return 0;
}

static int plain(struct reader *reader, struct doc *node, const char *text)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const trues[] = {"true", "True", "TRUE", NULL};
    static const char *const falses[] = {"false", "False", "FALSE", NULL};
    static const char *const unclear[] = {"yes", "Yes", "YES", "no",  "No",  "NO", "on",
                                          "On",  "ON",  "off", "Off", "OFF", NULL};
    bool is_number = false;
    if (is_one_of(text, nulls)) {
        doc_set_null(node);
    } else if (is_one_of(text, trues) || is_one_of(text, falses)) {
        doc_set_bool(node, is_one_of(text, trues));
    } else if (is_one_of(text, unclear)) {
        return fail(reader, ERR_SYNTAX, node->line,
                    "yes, no, on and off mean different things to different readers: write true or "
                    "false, or put it in quotes");
    } else {
        int rc = plain_number(reader, node, text, &is_number);
        if (rc < 0 || is_number) {
            return rc;
        }
        doc_set_str(node, reader->arena, text);
    }
    return 0;
}

/* ---- events -------------------------------------------------------------------------------------
 */

/* A value that is not written ("- -") stands where the one before it ended. */
static uint32_t line_of(struct reader *reader, struct fy_event *event)
{
    const struct fy_mark *mark = fy_event_start_mark(event);
    if (mark != NULL && mark->line >= 0) {
        reader->line = (uint32_t)mark->line + 1;
    }
    return reader->line;
}

static int check_event(struct reader *reader, struct fy_event *event)
{
    if (event->type == FYET_ALIAS || fy_event_get_anchor_token(event) != NULL) {
        return fail(reader, ERR_UNSUPPORTED, line_of(reader, event),
                    "anchors and aliases ('&', '*') are not taken in a job file");
    }
    if (fy_event_get_tag_token(event) != NULL) {
        return fail(reader, ERR_UNSUPPORTED, line_of(reader, event),
                    "tags ('!') are not taken in a job file");
    }
    if (++reader->n_nodes > YAML_NODES_MAX) {
        return fail(reader, ERR_LIMIT, line_of(reader, event),
                    "the document has more than 100,000 values");
    }
    return 0;
}

static int scalar_text(struct reader *reader, struct fy_event *event, const char **ret)
{
    size_t size = 0;
    struct fy_token *token = fy_event_get_token(event);
    const char *text = token != NULL ? fy_token_get_text(token, &size) : "";
    if (text == NULL) {
        return fail(reader, ERR_SYNTAX, line_of(reader, event), "the text cannot be read");
    }
    if (size > YAML_TEXT_MAX) {
        return fail(reader, ERR_LIMIT, line_of(reader, event),
                    "a text is longer than 65,536 bytes");
    }
    if (memchr(text, '\0', size) != NULL) {
        return fail(reader, ERR_SYNTAX, line_of(reader, event), "a text may not hold a zero byte");
    }
    *ret = arena_strndup(reader->arena, text, size);
    return 0;
}

static bool is_plain(struct fy_event *event)
{
    struct fy_token *token = fy_event_get_token(event);
    return token == NULL || fy_token_scalar_style(token) == FYSS_PLAIN;
}

static int take_key(struct reader *reader, struct fy_event *event)
{
    struct level *level = &reader->levels[reader->depth - 1];
    int rc = scalar_text(reader, event, &level->key);
    level->key_line = line_of(reader, event);
    if (rc == 0 && is_plain(event) && strcmp(level->key, "<<") == 0) {
        rc = fail(reader, ERR_UNSUPPORTED, level->key_line,
                  "merge keys ('<<') are not taken in a job file");
    }
    if (rc == 0 && level->key[0] == '\0') {
        rc = fail(reader, ERR_SYNTAX, level->key_line, "a key is empty");
    }
    return rc;
}

/* The node that a value goes to; its line is the key's, where a person looks for it. */
static struct doc *place(struct reader *reader, struct fy_event *event)
{
    struct level *level = reader->depth > 0 ? &reader->levels[reader->depth - 1] : NULL;
    struct doc *node;
    if (level == NULL) {
        node = reader->root = doc_new(reader->arena);
    } else if (level->node->type == DOC_LIST) {
        node = doc_push(level->node, reader->arena);
    } else {
        node = doc_append(level->node, reader->arena, level->key);
        level->key = NULL;
    }
    node->line =
        level != NULL && level->node->type == DOC_MAP ? level->key_line : line_of(reader, event);
    return node;
}

static bool wants_key(const struct reader *reader)
{
    const struct level *level = reader->depth > 0 ? &reader->levels[reader->depth - 1] : NULL;
    return level != NULL && level->node->type == DOC_MAP && level->key == NULL;
}

static int take_scalar(struct reader *reader, struct fy_event *event)
{
    const char *text = NULL;
    if (wants_key(reader)) {
        return take_key(reader, event);
    }
    int rc = scalar_text(reader, event, &text);
    if (rc < 0) {
        return rc;
    }
    struct doc *node = place(reader, event);
    if (is_plain(event)) {
        return plain(reader, node, text);
    }
    doc_set_str(node, reader->arena, text);
    return 0;
}

static int open_level(struct reader *reader, struct fy_event *event, bool map)
{
    if (wants_key(reader)) {
        return fail(reader, ERR_UNSUPPORTED, line_of(reader, event), "a key must be a plain text");
    }
    if (reader->depth == YAML_DEPTH_MAX) {
        return fail(reader, ERR_LIMIT, line_of(reader, event),
                    "values lie more than 32 levels deep");
    }
    struct doc *node = place(reader, event);
    uint32_t line = node->line;
    if (map) {
        doc_set_map(node);
    } else {
        doc_set_list(node);
    }
    node->line = line;
    reader->levels[reader->depth++] = (struct level){.node = node};
    return 0;
}

static int close_level(struct reader *reader)
{
    const struct doc *node = reader->levels[--reader->depth].node;
    const char *twice = node->type == DOC_MAP ? doc_duplicate(node) : NULL;
    uint32_t line = 0;
    for (size_t i = 0; twice != NULL && i < node->n; i++) {
        line = strcmp(node->pairs[i].key, twice) == 0 ? node->pairs[i].value.line : line;
    }
    if (twice != NULL) {
        char text[200];
        (void)snprintf(text, sizeof(text), "the key '%.100s' stands here a second time", twice);
        return fail(reader, ERR_SYNTAX, line, text);
    }
    return 0;
}

static int take(struct reader *reader, struct fy_event *event)
{
    int rc = 0;
    switch (event->type) {
    case FYET_DOCUMENT_START:
        return ++reader->n_documents > 1 ? fail(reader, ERR_UNSUPPORTED, line_of(reader, event),
                                                "a job file holds one document")
                                         : 0;
    case FYET_ALIAS: return check_event(reader, event);
    case FYET_SCALAR:
        rc = check_event(reader, event);
        return rc < 0 ? rc : take_scalar(reader, event);
    case FYET_MAPPING_START:
    case FYET_SEQUENCE_START:
        rc = check_event(reader, event);
        return rc < 0 ? rc : open_level(reader, event, event->type == FYET_MAPPING_START);
    case FYET_MAPPING_END:
    case FYET_SEQUENCE_END: return close_level(reader);
    case FYET_NONE:
    case FYET_STREAM_START:
    case FYET_STREAM_END:
    case FYET_DOCUMENT_END: return 0;
    }
    return 0;
}

static int syntax_error(struct reader *reader)
{
    void *at = NULL;
    const struct fy_diag_error *error = fy_diag_errors_iterate(reader->diag, &at);
    if (error == NULL || error->msg == NULL) {
        return fail(reader, ERR_SYNTAX, 0, "the text is not YAML");
    }
    return fail(reader, ERR_SYNTAX, error->line > 0 ? (uint32_t)error->line : 0, error->msg);
}

static int read_events(struct reader *reader)
{
    int rc = 0;
    bool end = false;
    while (rc == 0 && !end) {
        struct fy_event *event = fy_parser_parse(reader->parser);
        if (event == NULL) {
            return fy_parser_get_stream_error(reader->parser) || reader->root == NULL ||
                           reader->depth > 0
                       ? syntax_error(reader)
                       : 0;
        }
        rc = take(reader, event);
        end = event->type == FYET_STREAM_END;
        fy_parser_event_free(reader->parser, event);
    }
    return rc;
}

static int parse(struct reader *reader, const char *text, size_t size, bool json)
{
    struct fy_diag_cfg diag_cfg;
    fy_diag_cfg_default(&diag_cfg);
    diag_cfg.fp = NULL;
    reader->diag = fy_diag_create(&diag_cfg);
    BUG_ON(reader->diag == NULL);
    fy_diag_set_collect_errors(reader->diag, true);
    const struct fy_parse_cfg cfg = {
        .flags = FYPCF_QUIET | (json ? FYPCF_JSON_FORCE : FYPCF_JSON_NONE), .diag = reader->diag};
    reader->parser = fy_parser_create(&cfg);
    BUG_ON(reader->parser == NULL);
    int rc = fy_parser_set_string(reader->parser, text, size) == 0 ? read_events(reader)
                                                                   : syntax_error(reader);
    fy_parser_destroy(reader->parser);
    fy_diag_destroy(reader->diag);
    return rc;
}

int yaml_read(const char *text, size_t size, bool json, struct arena *arena, struct doc **ret,
              struct err *err)
{
    struct reader reader = {.arena = arena, .err = err, .line = 1};
    if (size > YAML_BYTES_MAX) {
        return err_set(err, ERR_LIMIT, "the text is longer than 4 MiB");
    }
    if (size >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
        text += 3;
        size -= 3;
    }
    int rc = check_bytes(&reader, text, size);
    rc = rc < 0 ? rc : check_directives(&reader, text, size);
    rc = rc < 0 ? rc : parse(&reader, text, size, json);
    if (rc == 0 && reader.root == NULL) {
        rc = err_set(err, ERR_SYNTAX, "the text is empty");
    }
    if (rc == 0) {
        *ret = reader.root;
    }
    return rc;
}
