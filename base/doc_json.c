/* JSON through jansson. A scan before it bounds depth and nodes, which jansson does not, and finds
 * the line of each value: jansson keeps the order of the text, so that value number i of the scan
 * is value number i of the walk. */
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/doc.h"

enum { DEPTH_MAX = 128 };

struct scan {
    const char *text;
    size_t size, at;
    uint32_t line;
    unsigned depth;
    bool is_map[DEPTH_MAX + 1];
    bool key_next; /* inside a map, before a key */
    uint32_t *lines;
    size_t n, capacity;
    const struct doc_limits *limits;
    struct err *err;
};

static int scan_limit(struct scan *scan, const char *what, size_t limit)
{
    int code = err_set(scan->err, ERR_LIMIT, "the document has more than %zu %s", limit, what);
    if (scan->err) {
        scan->err->line = (int)scan->line;
    }
    return code;
}

static int scan_value(struct scan *scan)
{
    if (scan->n >= scan->limits->nodes) {
        return scan_limit(scan, "values", scan->limits->nodes);
    }
    if (scan->n == scan->capacity) {
        scan->capacity = scan->capacity ? scan->capacity * 2 : 256;
        uint32_t *lines = realloc(scan->lines, scan->capacity * sizeof(*lines));
        if (!lines) {
            BUG("no memory for %zu lines", scan->capacity);
        }
        scan->lines = lines;
    }
    scan->lines[scan->n++] = scan->line;
    return 0;
}

static void scan_text(struct scan *scan)
{
    for (scan->at++; scan->at < scan->size && scan->text[scan->at] != '"'; scan->at++) {
        if (scan->text[scan->at] == '\\') {
            scan->at++;
        } else if (scan->text[scan->at] == '\n') {
            scan->line++; /* jansson will refuse it */
        }
    }
    scan->at++;
}

static int scan_open(struct scan *scan, bool is_map)
{
    unsigned limit = scan->limits->depth < DEPTH_MAX ? scan->limits->depth : DEPTH_MAX;
    int r = scan_value(scan);
    if (r < 0) {
        return r;
    }
    if (scan->depth >= limit) {
        return scan_limit(scan, "levels", limit);
    }
    scan->is_map[++scan->depth] = is_map;
    scan->key_next = is_map;
    scan->at++;
    return 0;
}

static int scan_scalar(struct scan *scan)
{
    int r = scan_value(scan);
    while (scan->at < scan->size && !strchr(" \t\r\n,]}:", scan->text[scan->at])) {
        scan->at++;
    }
    return r;
}

static int scan_step(struct scan *scan)
{
    switch (scan->text[scan->at]) {
    case '\n':
        scan->line++;
        scan->at++;
        return 0;
    case ' ':
    case '\t':
    case '\0':
    case '\r': scan->at++; return 0;
    case ':':
        scan->key_next = false;
        scan->at++;
        return 0;
    case ',':
        scan->key_next = scan->depth > 0 && scan->is_map[scan->depth];
        scan->at++;
        return 0;
    case '{': return scan_open(scan, true);
    case '[': return scan_open(scan, false);
    case '}':
    case ']':
        scan->depth -= scan->depth > 0 ? 1 : 0;
        scan->key_next = false;
        scan->at++;
        return 0;
    case '"': {
        int r = scan->key_next ? 0 : scan_value(scan);
        scan_text(scan);
        return r;
    }
    default: return scan_scalar(scan);
    }
}

static int scan_all(struct scan *scan)
{
    while (scan->at < scan->size) {
        int r = scan_step(scan);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static void take_value(struct doc *doc, struct arena *arena, json_t *json, const struct scan *scan,
                       size_t *ret_n);

static void take_map(struct doc *doc, struct arena *arena, json_t *json, const struct scan *scan,
                     size_t *ret_n)
{
    const char *key;
    json_t *value;
    doc_set_map(doc);
    json_object_foreach(json, key, value)
    {
        take_value(doc_append(doc, arena, key), arena, value, scan, ret_n);
    }
}

/* Depth is bounded by the scan. */
static void take_value(struct doc *doc, struct arena *arena, json_t *json, const struct scan *scan,
                       size_t *ret_n)
{
    doc->line = *ret_n < scan->n ? scan->lines[*ret_n] : 0;
    (*ret_n)++;
    switch (json_typeof(json)) {
    case JSON_NULL: doc_set_null(doc); break;
    case JSON_TRUE: doc_set_bool(doc, true); break;
    case JSON_FALSE: doc_set_bool(doc, false); break;
    case JSON_INTEGER: doc_set_int(doc, json_integer_value(json)); break;
    case JSON_REAL: doc_set_float(doc, json_real_value(json)); break;
    case JSON_STRING:
        doc_set_strn(doc, arena, json_string_value(json), json_string_length(json));
        break;
    case JSON_ARRAY:
        doc_set_list(doc);
        for (size_t i = 0; i < json_array_size(json); i++) {
            take_value(doc_push(doc, arena), arena, json_array_get(json, i), scan, ret_n);
        }
        break;
    case JSON_OBJECT: take_map(doc, arena, json, scan, ret_n); break;
    }
}

int doc_read_json(const char *text, size_t size, const struct doc_limits *limits,
                  struct arena *arena, struct doc **ret, struct err *err)
{
    const struct doc_limits *bound = limits ? limits : &doc_limits_default;
    if (size > bound->bytes) {
        return err_set(err, ERR_LIMIT, "the document has %zu bytes, more than %zu", size,
                       bound->bytes);
    }
    struct scan scan = {.text = text, .size = size, .line = 1, .limits = bound, .err = err};
    int r = scan_all(&scan);
    if (r == 0) {
        json_error_t why;
        json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
        if (json) {
            size_t n = 0;
            *ret = doc_new(arena);
            take_value(*ret, arena, json, &scan, &n);
            json_decref(json);
        } else {
            r = err_set(err, ERR_SYNTAX, "not JSON: %s (column %d)", why.text, why.column);
            if (err) {
                err->line = why.line;
            }
        }
    }
    free(scan.lines);
    return r;
}

/* Length of the UTF-8 character at p (of n bytes), 0 if it is none. */
static size_t utf8_length(const unsigned char *p, size_t n)
{
    size_t length = p[0] < 0x80 ? 1 : (p[0] & 0xE0) == 0xC0 ? 2 : (p[0] & 0xF0) == 0xE0 ? 3 : 4;
    if (p[0] >= 0xF5 || (p[0] >= 0x80 && p[0] < 0xC2) || length > n) {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if ((p[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    bool is_overlong = (p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xF0 && p[1] < 0x90);
    bool is_outside = (p[0] == 0xED && p[1] >= 0xA0) || (p[0] == 0xF4 && p[1] >= 0x90);
    return length > 1 && (is_overlong || is_outside) ? 0 : length;
}

static void write_text(const char *text, size_t n, struct buf *out)
{
    const unsigned char *p = (const unsigned char *)text;
    buf_put(out, "\"", 1);
    for (size_t i = 0; i < n;) {
        size_t length = utf8_length(p + i, n - i);
        if (length == 0) {
            buf_puts(out, "\\ufffd");
            i++;
            continue;
        }
        if (p[i] == '"' || p[i] == '\\') {
            buf_printf(out, "\\%c", p[i]);
        } else if (p[i] == '\n') {
            buf_puts(out, "\\n");
        } else if (p[i] == '\t') {
            buf_puts(out, "\\t");
        } else if (p[i] < 0x20 || p[i] == 0x7F) {
            buf_printf(out, "\\u%04x", p[i]);
        } else {
            buf_put(out, p + i, length);
        }
        i += length;
    }
    buf_put(out, "\"", 1);
}

static void write_bin(const struct doc *doc, struct buf *out)
{
    size_t size = sodium_base64_encoded_len(doc->n, sodium_base64_VARIANT_ORIGINAL);
    buf_put(out, "\"", 1);
    buf_reserve(out, size);
    sodium_bin2base64(out->data + out->size, size, (const unsigned char *)doc->str, doc->n,
                      sodium_base64_VARIANT_ORIGINAL);
    out->size += strlen(out->data + out->size);
    buf_put(out, "\"", 1);
}

static void write_float(double f, struct buf *out)
{
    char text[40];
    doc_format_float(f, text, sizeof(text));
    bool is_word = strpbrk(text, "Nn") != NULL;
    buf_printf(out, is_word ? "\"%s\"" : "%s", text);
}

struct writer {
    struct buf *out;
    int indent;
    bool canonical;
};

static void write_break(const struct writer *writer, int level)
{
    if (writer->indent > 0) {
        buf_printf(writer->out, "\n%*s", writer->indent * level, "");
    }
}

static void write_value(const struct writer *writer, const struct doc *doc, int level);

static void write_map(const struct writer *writer, const struct doc *doc, int level)
{
    struct doc_pair *sorted = writer->canonical ? doc_sorted(doc) : NULL;
    const struct doc_pair *pairs = sorted ? sorted : doc->pairs;
    bool wide = !writer->canonical;
    buf_put(writer->out, "{", 1);
    for (size_t i = 0; i < doc->n; i++) {
        buf_puts(writer->out, i == 0 ? "" : wide && writer->indent == 0 ? ", " : ",");
        write_break(writer, level + 1);
        write_text(pairs[i].key, strlen(pairs[i].key), writer->out);
        buf_puts(writer->out, wide ? ": " : ":");
        write_value(writer, &pairs[i].value, level + 1);
    }
    if (doc->n > 0) {
        write_break(writer, level);
    }
    buf_put(writer->out, "}", 1);
    free(sorted);
}

static void write_list(const struct writer *writer, const struct doc *doc, int level)
{
    buf_put(writer->out, "[", 1);
    for (size_t i = 0; i < doc->n; i++) {
        buf_puts(writer->out, i == 0 ? "" : !writer->canonical && writer->indent == 0 ? ", " : ",");
        write_break(writer, level + 1);
        write_value(writer, &doc->items[i], level + 1);
    }
    if (doc->n > 0) {
        write_break(writer, level);
    }
    buf_put(writer->out, "]", 1);
}

static void write_value(const struct writer *writer, const struct doc *doc, int level)
{
    switch (doc->type) {
    case DOC_NULL: buf_puts(writer->out, "null"); break;
    case DOC_BOOL: buf_puts(writer->out, doc->b ? "true" : "false"); break;
    case DOC_INT: buf_printf(writer->out, "%lld", (long long)doc->i); break;
    case DOC_FLOAT: write_float(doc->f, writer->out); break;
    case DOC_STR: write_text(doc->str, doc->n, writer->out); break;
    case DOC_BIN: write_bin(doc, writer->out); break;
    case DOC_LIST: write_list(writer, doc, level); break;
    case DOC_MAP: write_map(writer, doc, level); break;
    }
}

void doc_write_json(const struct doc *doc, int indent, struct buf *out)
{
    write_value(&(struct writer){.out = out, .indent = indent}, doc, 0);
}

void doc_write_canonical(const struct doc *doc, struct buf *out)
{
    write_value(&(struct writer){.out = out, .canonical = true}, doc, 0);
}
