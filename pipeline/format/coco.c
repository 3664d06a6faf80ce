#include "pipeline/format/coco.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/doc.h"

/* A list by id: what stands at ids[i] is item i of the file. */
struct key {
    int64_t id;
    size_t at;
};
struct read {
    const char *name;
    struct arena *arena;
    struct coco *coco;
    struct key *images, *categories; /* sorted by id */
    struct err *err;
};

#define FAIL(r, code, ...) fail((r), (code), __VA_ARGS__)

__attribute__((format(printf, 3, 4))) static int fail(struct read *r, int code, const char *format,
                                                      ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return err_set(r->err, code, "%s: %s", r->name, text);
}

static int compare(const void *a, const void *b)
{
    const struct key *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static int take_keys(struct read *r, const struct doc *list, const char *what, struct key **ret)
{
    struct key *keys = arena_array(r->arena, list->n + 1, sizeof *keys);
    for (size_t i = 0; i < list->n; i++) {
        const struct doc *id = doc_get(&list->items[i], "id");
        if (id == NULL || id->type != DOC_INT) {
            return FAIL(r, ERR_SCHEMA, "%s[%zu] has no whole number 'id'", what, i);
        }
        keys[i] = (struct key){id->i, i};
    }
    qsort(keys, list->n, sizeof *keys, compare);
    for (size_t i = 1; i < list->n; i++) {
        if (keys[i - 1].id == keys[i].id) {
            return FAIL(r, ERR_SCHEMA, "two %s have the id %lld", what, (long long)keys[i].id);
        }
    }
    *ret = keys;
    return 0;
}

static const struct key *find(const struct key *keys, size_t n, int64_t id)
{
    const struct key key = {id, 0};
    return bsearch(&key, keys, n, sizeof key, compare);
}

static int take_images(struct read *r, const struct doc *list)
{
    r->coco->n = list->n;
    r->coco->images = arena_array(r->arena, list->n + 1, sizeof *r->coco->images);
    for (size_t i = 0; i < list->n; i++) {
        const struct doc *image = &list->items[i];
        r->coco->images[i] = (struct annotation){.file = doc_str(image, "file_name", NULL),
                                                 .id = doc_int(image, "id", 0),
                                                 .width = doc_int(image, "width", 0),
                                                 .height = doc_int(image, "height", 0)};
        if (r->coco->images[i].file == NULL) {
            return FAIL(r, ERR_SCHEMA, "images[%zu] has no 'file_name'", i);
        }
    }
    return take_keys(r, list, "images", &r->images);
}

static int take_categories(struct read *r, const struct doc *list)
{
    int code = take_keys(r, list, "categories", &r->categories);
    r->coco->n_classes = list->n;
    r->coco->classes = arena_array(r->arena, list->n + 1, sizeof *r->coco->classes);
    for (size_t i = 0; code == 0 && i < list->n; i++) {
        r->coco->classes[i] = doc_str(&list->items[r->categories[i].at], "name", NULL);
        if (r->coco->classes[i] == NULL) {
            code = FAIL(r, ERR_SCHEMA, "categories[%zu] has no 'name'", r->categories[i].at);
        }
    }
    return code;
}

/* Which picture an annotation is about. */
static int find_image(struct read *r, const struct doc *annotation, size_t i,
                      struct annotation **ret)
{
    const struct doc *id = doc_get(annotation, "image_id");
    const struct key *key =
        id == NULL || id->type != DOC_INT ? NULL : find(r->images, r->coco->n, id->i);
    if (key == NULL) {
        return FAIL(r, ERR_SCHEMA, "annotations[%zu] is about no picture of the file", i);
    }
    *ret = &r->coco->images[key->at];
    return 0;
}

static int take_box(struct read *r, const struct doc *annotation, size_t i,
                    struct annotation_box *box)
{
    const struct doc *bbox = doc_get(annotation, "bbox"), *id = doc_get(annotation, "category_id");
    const struct key *category =
        id == NULL || id->type != DOC_INT ? NULL : find(r->categories, r->coco->n_classes, id->i);
    double v[4];
    if (category == NULL) {
        return FAIL(r, ERR_SCHEMA, "annotations[%zu] is of no category of the file", i);
    }
    if (bbox == NULL || bbox->type != DOC_LIST || bbox->n != 4) {
        return FAIL(r, ERR_SCHEMA, "annotations[%zu] has no 'bbox' of four numbers", i);
    }
    for (int k = 0; k < 4; k++) {
        if (!doc_is_number(&bbox->items[k])) {
            return FAIL(r, ERR_SCHEMA, "annotations[%zu].bbox[%d] is no number", i, k);
        }
        v[k] = doc_number(&bbox->items[k]);
        if (!isfinite(v[k]) || fabs(v[k]) > 1e9 || (k >= 2 && v[k] < 0)) {
            return FAIL(r, ERR_VALUE, "annotations[%zu].bbox[%d] is %g", i, k, v[k]);
        }
    }
    *box = (struct annotation_box){.x1 = (float)v[0],
                                   .y1 = (float)v[1],
                                   .x2 = (float)(v[0] + v[2]),
                                   .y2 = (float)(v[1] + v[3]),
                                   .class = (int32_t)(category - r->categories),
                                   .is_crowd = doc_int(annotation, "iscrowd", 0) != 0};
    box->name = r->coco->classes[box->class];
    return 0;
}

/* Counted first, then laid picture by picture, in the order of the file. */
static int take_annotations(struct read *r, const struct doc *list)
{
    struct annotation *image = NULL;
    struct annotation_box *boxes = arena_array(r->arena, list->n + 1, sizeof *boxes);
    for (size_t i = 0; i < list->n; i++) {
        int code = find_image(r, &list->items[i], i, &image);
        if (code < 0) {
            return code;
        }
        if (++image->n > ANNOTATION_BOXES_MAX) {
            return FAIL(r, ERR_LIMIT, "more than %d boxes in picture %lld", ANNOTATION_BOXES_MAX,
                        (long long)image->id);
        }
    }
    for (size_t i = 0; i < r->coco->n; i++) {
        r->coco->images[i].boxes = boxes;
        boxes += r->coco->images[i].n;
        r->coco->images[i].n = 0;
    }
    for (size_t i = 0; i < list->n; i++) {
        int code = find_image(r, &list->items[i], i, &image);
        code = code < 0 ? code : take_box(r, &list->items[i], i, &image->boxes[image->n++]);
        if (code < 0) {
            return code;
        }
    }
    return 0;
}

int coco_read(const char *text, size_t size, const char *name, struct arena *arena,
              struct coco *ret, struct err *err)
{
    static const struct {
        const char *key;
        int (*take)(struct read *r, const struct doc *list);
    } parts[] = {{"categories", take_categories},
                 {"images", take_images},
                 {"annotations", take_annotations}};
    const struct doc_limits limits = {
        .depth = COCO_DEPTH_MAX, .nodes = COCO_NODES_MAX, .bytes = COCO_BYTES_MAX};
    struct read r = {.name = name, .arena = arena, .coco = ret, .err = err};
    struct doc *doc = NULL;
    struct err why = {0};
    *ret = (struct coco){.n = 0};
    if (size == 0) {
        return FAIL(&r, ERR_EMPTY, "has no bytes");
    }
    int code = doc_read_json(text, size, &limits, arena, &doc, &why);
    if (code < 0) {
        (void)FAIL(&r, code, "%.300s", why.text);
        if (err != NULL) {
            err->line = why.line;
        }
        return code;
    }
    for (size_t i = 0; code == 0 && i < sizeof parts / sizeof parts[0]; i++) {
        const struct doc *list = doc_get(doc, parts[i].key);
        code = list == NULL || list->type != DOC_LIST
                   ? FAIL(&r, ERR_SCHEMA, "has no list '%s'", parts[i].key)
                   : parts[i].take(&r, list);
    }
    return code;
}
