/* boxes: any bytes as COCO's JSON, VOC's XML, YOLO's text. Boxes that are taken are in order. */
#include <math.h>
#include <string.h>

#include "pipeline/format/coco.h"
#include "pipeline/format/voc.h"
#include "pipeline/format/yolo.h"
#include "tests/fuzz/fuzz.h"

static void check(const struct annotation *a)
{
    for (size_t i = 0; i < a->n; i++) {
        const struct annotation_box *b = &a->boxes[i];
        BUG_ON(!isfinite(b->x1) || !isfinite(b->y1) || !(b->x2 >= b->x1) || !(b->y2 >= b->y1));
        BUG_ON(b->class < 0 && b->name == NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = size > 0 ? (const char *)data : "";
    struct arena arena;
    struct coco coco;
    struct annotation a;
    struct err err = {0};
    arena_init(&arena);
    int r = coco_read(text, size, "x", &arena, &coco, &err);
    BUG_ON(r > 0 || r != err.code);
    for (size_t i = 0; r == 0 && i < coco.n; i++) {
        check(&coco.images[i]);
    }
    err.code = 0;
    r = voc_read(text, size, "x", &arena, &a, &err);
    BUG_ON(r > 0 || r != err.code);
    if (r == 0) {
        check(&a);
    }
    err.code = 0;
    r = yolo_read(text, size, "x", 640, 480, &arena, &a, &err);
    BUG_ON(r > 0 || r != err.code);
    if (r == 0) {
        check(&a);
    }
    arena_fini(&arena);
    return 0;
}

static void seeds(void (*take)(const void *data, size_t size, void *arg), void *arg)
{
    static const char *const texts[] = {
        "{\"images\": [{\"id\": 7, \"file_name\": \"a\", \"width\": 3}], \"categories\": [{\"id\": "
        "9, "
        "\"name\": \"x\"}], \"annotations\": [{\"image_id\": 7, \"category_id\": 9, \"bbox\": [1, "
        "2.5, 3, "
        "4]}]}",
        "<annotation><filename>a</filename><size><width>4</width><height>5</height></size><object>"
        "<name>dog</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox>"
        "</object></annotation>",
        "3 0.5 0.5 0.25 1\n0 0 0 0 0\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        take(texts[i], strlen(texts[i]), arg);
    }
}

const struct fuzz_corpus fuzz_corpus = {.max_bytes = 1 << 16, .copies = 3000, .seeds = seeds};
