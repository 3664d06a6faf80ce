#include "pipeline/format/voc.h"

#include <stdio.h>
#include <string.h>

#include <expat.h>

#include "pipeline/format/number.h"

enum { TAG_MAX = 32 };

struct read {
    XML_Parser parser;
    const char *name;
    struct arena *arena;
    struct annotation *ret;
    struct err *err;
    int code; /* the first error */
    int depth;
    char tags[VOC_DEPTH_MAX][TAG_MAX]; /* open elements */
    char text[VOC_TEXT_MAX + 1];       /* of the innermost one */
    size_t n_text, capacity;
    struct annotation_box box;
    unsigned seen; /* coordinates, a bit each */
};

__attribute__((format(printf, 3, 4))) static void fail(struct read *r, int code, const char *format,
                                                       ...)
{
    char text[400];
    va_list args;
    if (r->code < 0) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    r->code = err_set(r->err, code, "%s: %s", r->name, text);
    if (r->err != NULL) {
        r->err->line = (int)XML_GetCurrentLineNumber(r->parser);
    }
    (void)XML_StopParser(r->parser, XML_FALSE);
}

/* Are the open elements exactly these, "annotation/object/name"? */
static bool is_at(const struct read *r, const char *path)
{
    for (int i = 0; i < r->depth; i++) {
        const size_t n = strlen(r->tags[i]);
        if (strncmp(path, r->tags[i], n) != 0 || path[n] != (i + 1 < r->depth ? '/' : '\0')) {
            return false;
        }
        path += n + 1;
    }
    return r->depth > 0;
}

static void take_file(struct read *r)
{
    r->ret->file = arena_strdup(r->arena, r->text);
}

static void take_side(struct read *r, int64_t *side)
{
    if (!number_i64(r->text, r->n_text, side) || *side < 0 || *side > 1000000) {
        fail(r, ERR_VALUE, "a side of '%.40s'", r->text);
    }
}

static void take_width(struct read *r)
{
    take_side(r, &r->ret->width);
}

static void take_height(struct read *r)
{
    take_side(r, &r->ret->height);
}

static void take_name(struct read *r)
{
    r->box.name = arena_strdup(r->arena, r->text);
}

static void take_difficult(struct read *r)
{
    r->box.is_difficult = strcmp(r->text, "1") == 0;
}

static void take_truncated(struct read *r)
{
    r->box.is_truncated = strcmp(r->text, "1") == 0;
}

static void take_coordinate(struct read *r)
{
    static const char *const names[] = {"xmin", "ymin", "xmax", "ymax"};
    float *const to[] = {&r->box.x1, &r->box.y1, &r->box.x2, &r->box.y2};
    for (unsigned i = 0; i < 4; i++) {
        if (strcmp(r->tags[r->depth - 1], names[i]) == 0) {
            r->seen |= 1u << i;
            if (!number_f32(r->text, r->n_text, to[i]) || *to[i] < -1e6F || *to[i] > 1e6F) {
                fail(r, ERR_VALUE, "%s is '%.40s'", names[i], r->text);
            }
        }
    }
}

static void add_box(struct read *r)
{
    struct annotation *a = r->ret;
    if (r->box.name == NULL || r->box.name[0] == '\0' || r->seen != 15) {
        fail(r, ERR_SCHEMA, "object %zu has no name or not all of its box", a->n);
        return;
    }
    if (r->box.x2 < r->box.x1 || r->box.y2 < r->box.y1) {
        fail(r, ERR_VALUE, "object %zu: its box ends before it begins", a->n);
        return;
    }
    if (a->n == ANNOTATION_BOXES_MAX) {
        fail(r, ERR_LIMIT, "more than %d objects", ANNOTATION_BOXES_MAX);
        return;
    }
    if (a->n == r->capacity) {
        r->capacity = r->capacity == 0 ? 8 : 2 * r->capacity;
        struct annotation_box *grown = arena_array(r->arena, r->capacity, sizeof *grown);
        if (a->n > 0) {
            memcpy(grown, a->boxes, a->n * sizeof *grown);
        }
        a->boxes = grown;
    }
    a->boxes[a->n++] = r->box;
}

static const struct {
    const char *path;
    void (*take)(struct read *r);
} elements[] = {
    {"annotation/filename", take_file},
    {"annotation/size/width", take_width},
    {"annotation/size/height", take_height},
    {"annotation/object/name", take_name},
    {"annotation/object/difficult", take_difficult},
    {"annotation/object/truncated", take_truncated},
    {"annotation/object/bndbox/xmin", take_coordinate},
    {"annotation/object/bndbox/ymin", take_coordinate},
    {"annotation/object/bndbox/xmax", take_coordinate},
    {"annotation/object/bndbox/ymax", take_coordinate},
    {"annotation/object", add_box},
};

static void XMLCALL on_start(void *arg, const XML_Char *tag, const XML_Char **attributes)
{
    struct read *r = arg;
    (void)attributes;
    if (r->depth == VOC_DEPTH_MAX) {
        fail(r, ERR_LIMIT, "elements more than %d deep", VOC_DEPTH_MAX);
        return;
    }
    if (r->depth == 0 && strcmp(tag, "annotation") != 0) {
        fail(r, ERR_SCHEMA, "is <%.60s>, not <annotation>", tag);
        return;
    }
    (void)snprintf(r->tags[r->depth++], TAG_MAX, "%.*s", TAG_MAX - 1, tag);
    r->n_text = 0;
    if (is_at(r, "annotation/object")) {
        r->box = (struct annotation_box){.class = -1};
        r->seen = 0;
    }
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void XMLCALL on_end(void *arg, const XML_Char *tag)
{
    struct read *r = arg;
    size_t begin = 0;
    (void)tag;
    while (begin < r->n_text && is_blank(r->text[begin])) {
        begin++;
    }
    while (r->n_text > begin && is_blank(r->text[r->n_text - 1])) {
        r->n_text--;
    }
    r->n_text -= begin;
    memmove(r->text, r->text + begin, r->n_text);
    r->text[r->n_text] = '\0';
    for (size_t i = 0; r->code == 0 && i < sizeof elements / sizeof elements[0]; i++) {
        if (is_at(r, elements[i].path)) {
            elements[i].take(r);
        }
    }
    r->depth--;
    r->n_text = 0;
}

static void XMLCALL on_text(void *arg, const XML_Char *text, int n)
{
    struct read *r = arg;
    if ((size_t)n > VOC_TEXT_MAX - r->n_text) {
        fail(r, ERR_LIMIT, "a text of more than %d bytes", VOC_TEXT_MAX);
        return;
    }
    memcpy(r->text + r->n_text, text, (size_t)n);
    r->n_text += (size_t)n;
}

/* Entities are how a small file becomes a large one, or another one: there are none in VOC. */
static void XMLCALL on_doctype(void *arg, const XML_Char *name, const XML_Char *system,
                               const XML_Char *public, int has_subset)
{
    (void)name, (void)system, (void)public, (void)has_subset;
    fail(arg, ERR_UNSAFE_TYPE, "has a document type, which is not read");
}

int voc_read(const char *text, size_t size, const char *name, struct arena *arena,
             struct annotation *ret, struct err *err)
{
    struct read r = {.name = name, .arena = arena, .ret = ret, .err = err};
    *ret = (struct annotation){.id = -1};
    if (size == 0 || size > VOC_BYTES_MAX) {
        return err_set(err, size == 0 ? ERR_EMPTY : ERR_LIMIT, "%s: has %zu bytes", name, size);
    }
    r.parser = XML_ParserCreate(NULL);
    if (r.parser == NULL) {
        return err_set(err, ERR_NO_MEMORY, "no memory for an XML parser");
    }
    XML_SetUserData(r.parser, &r);
    XML_SetElementHandler(r.parser, on_start, on_end);
    XML_SetCharacterDataHandler(r.parser, on_text);
    XML_SetStartDoctypeDeclHandler(r.parser, on_doctype);
    (void)XML_SetHashSalt(r.parser, 1); /* the same each time; sizes are bounded */
    if (XML_Parse(r.parser, text, (int)size, XML_TRUE) != XML_STATUS_OK && r.code == 0) {
        fail(&r, ERR_SYNTAX, "%s", XML_ErrorString(XML_GetErrorCode(r.parser)));
    }
    XML_ParserFree(r.parser);
    return r.code;
}
